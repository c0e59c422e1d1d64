"""SIGINT and SIGTERM while training: noted, and acted on after the step."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from attrs import define, field

from loomlm.errors import LoomlmError


class StoppedError(LoomlmError):
    """A run was asked to stop, and did, after a checkpoint."""

    def __init__(self, stage: str, step: int, number: int) -> None:
        super().__init__(f"Stopped after step {step} of stage {stage!r}, with a checkpoint.")
        self.exit_code = 128 + number


@define
class Interrupts:
    """Use as a context manager around training. `signal` is the number of the signal, or 0.

    A second signal is not held back: it ends the process as if nobody listened.
    """

    signal: int = 0
    _before: dict[int, Any] = field(factory=dict)

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, _: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)
