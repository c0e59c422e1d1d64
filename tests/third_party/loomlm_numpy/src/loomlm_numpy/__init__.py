"""A backend in plain NumPy: what it adds to Loomlm stands on this page.

A trainer, and a builder for each thing that it can build: the built-in backbone `mlp` and the
built-in optimizers. Both are somebody else's components, which a backend may build all the same.
"""

from loomlm.plugin import Builder, Component, hookimpl
from loomlm_numpy.config import NumpyConfig

loomlm_api = (1, 1)
"""The plugin API that this plugin works with, first and last."""


@hookimpl
def loomlm_trainers() -> list[Component]:
    return [
        Component(
            kind="trainer",
            name="numpy",
            summary="NumPy alone: the mlp, on a CPU, in fp32",
            target="loomlm_numpy.trainer:NumpyTrainer",
            config=NumpyConfig,
            requires=("numpy", "threadpoolctl"),
            install="pip install loomlm-numpy",
        )
    ]


@hookimpl
def loomlm_builders() -> list[Builder]:
    return [
        _builder("backbone", "mlp", "loomlm_numpy.mlp:build"),
        _builder("optimizer", "adamw", "loomlm_numpy.optimizers:AdamW"),
        _builder("optimizer", "muon", "loomlm_numpy.optimizers:Muon"),
        _builder("optimizer", "sgd", "loomlm_numpy.optimizers:SGD"),
    ]


def _builder(kind: str, name: str, target: str) -> Builder:
    return Builder(kind=kind, name=name, backend="numpy", target=target)
