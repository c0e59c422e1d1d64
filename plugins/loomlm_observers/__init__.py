"""The built-in observers of a run: TensorBoard."""

from loomlm.plugin import Component, hookimpl
from loomlm_observers.config import TensorBoardConfig


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
    ]
