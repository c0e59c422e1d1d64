"""When a step of Keras' `fit` ended."""

from __future__ import annotations

import keras
from timing import mark


class Clock(keras.callbacks.Callback):
    """Notes when a step ended, without waiting for its loss to be fetched."""

    async_safe = True

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step, self.at = step, mark(0)

    def on_train_batch_end(self, batch: int, logs=None) -> None:
        if batch + 1 == self.step:
            self.at = mark(self.step)
