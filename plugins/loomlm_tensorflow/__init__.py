"""The trainer on TensorFlow, its Keras layers and its optimizers.

For builders of one's own there are `Form`, which says how a layer keeps a parameter, and
`dropout(x, share, training, shape=None)`, a cheap one whose numbers are a function of the step.
Only asking for `dropout` imports TensorFlow.
"""

from typing import TYPE_CHECKING, Any

from loomlm.plugin import Builder, Component, hookimpl
from loomlm_tensorflow.forms import Form

if TYPE_CHECKING:
    from loomlm_tensorflow.drawing import dropout

__all__ = ["Form", "dropout"]

loomlm_api = (1, 1)


@hookimpl
def loomlm_trainers() -> list[Component]:
    return [
        Component(
            kind="trainer",
            name="tensorflow",
            summary="TensorFlow and Keras: CPU, CUDA",
            target="loomlm_tensorflow.trainer:TensorFlowTrainer",
            requires=("tensorflow", "keras"),
            install='pip install "loomlm[tensorflow]"',
        )
    ]


@hookimpl
def loomlm_builders() -> list[Builder]:
    return [
        _builder("backbone", "mlp", "loomlm_tensorflow.mlp:build"),
        _builder("backbone", "rnn", "loomlm_tensorflow.rnn:build"),
        _builder("backbone", "transformer", "loomlm_tensorflow.encoder_decoder:build"),
        _builder("optimizer", "adamw", "loomlm_tensorflow.optimizers:AdamW"),
        _builder("optimizer", "muon", "loomlm_tensorflow.optimizers:Muon"),
        _builder("optimizer", "sgd", "loomlm_tensorflow.optimizers:SGD"),
    ]


def _builder(kind: str, name: str, target: str) -> Builder:
    return Builder(kind=kind, name=name, backend="tensorflow", target=target)


def __getattr__(name: str) -> Any:
    if name == "dropout":
        from loomlm_tensorflow.drawing import dropout

        return dropout
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
