"""The built-in observers of a run: TensorBoard, samples of text."""

from loomlm.plugin import Component, hookimpl
from loomlm_observers.config import SamplesConfig, TensorBoardConfig

loomlm_api = (1, 1)


@hookimpl
def loomlm_observers() -> list[Component]:
    return [
        Component(
            kind="observer",
            name="tensorboard",
            summary="curves for TensorBoard: loss, learning rate, gradient norm, evaluation",
            target="loomlm_observers.tensorboard:TensorBoard",
            config=TensorBoardConfig,
            requires=("tensorboard",),
            install='pip install "loomlm[tensorboard]"',
        ),
        Component(
            kind="observer",
            name="samples",
            summary="text that a language model writes as it learns, in samples.txt",
            target="loomlm_observers.samples:Samples",
            config=SamplesConfig,
        ),
    ]
