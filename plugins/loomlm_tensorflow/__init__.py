"""The trainer on TensorFlow, its Keras layers and its optimizers. Imports no TensorFlow."""

from loomlm.plugin import Builder, Component, hookimpl

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
        _builder("backbone", "rnn", "loomlm_tensorflow.rnn:Rnn"),
        _builder("backbone", "transformer", "loomlm_tensorflow.transformer:Transformer"),
        _builder("optimizer", "adamw", "loomlm_tensorflow.optimizers:AdamW"),
        _builder("optimizer", "muon", "loomlm_tensorflow.optimizers:Muon"),
        _builder("optimizer", "sgd", "loomlm_tensorflow.optimizers:SGD"),
    ]


def _builder(kind: str, name: str, target: str) -> Builder:
    return Builder(kind=kind, name=name, backend="tensorflow", target=target)
