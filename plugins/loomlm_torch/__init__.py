"""The trainer on PyTorch, its modules and its optimizers. Nothing on this page imports torch."""

import os

from loomlm.plugin import Builder, Component, hookimpl
from loomlm_torch.modules import module_backbone

__all__ = ["module_backbone"]


loomlm_api = (1, 1)

# How often GNU's OpenMP looks for work before a thread sleeps; read once, when torch is imported.
# Its own 300,000 make a small step four times as long where other programs have the cores:
# docs/benchmarks/notes.md.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")


@hookimpl
def loomlm_trainers() -> list[Component]:
    return [
        Component(
            kind="trainer",
            name="torch",
            summary="PyTorch: CPU, CUDA, MPS",
            target="loomlm_torch.trainer:TorchTrainer",
            requires=("torch",),
            install='pip install "loomlm[torch]"',
            default=True,
        )
    ]


@hookimpl
def loomlm_builders() -> list[Builder]:
    return [
        _builder("backbone", "mlp", "loomlm_torch.mlp:build"),
        _builder("backbone", "rnn", "loomlm_torch.rnn:build"),
        _builder("backbone", "transformer", "loomlm_torch.encoder_decoder:build"),
        _builder("optimizer", "adamw", "loomlm_torch.optimizers:AdamW"),
        _builder("optimizer", "muon", "loomlm_torch.optimizers:Muon"),
        _builder("optimizer", "sgd", "loomlm_torch.optimizers:SGD"),
    ]


def _builder(kind: str, name: str, target: str) -> Builder:
    return Builder(kind=kind, name=name, backend="torch", target=target)
