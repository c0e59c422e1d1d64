"""SIGINT, SIGTERM and SIGHUP: a program ends so that it can go on.

Before a run trains, a signal is raised in the main thread, so that what is half written is cleared
away; while it trains, it is noted, and acted on after the step, the batch or the save. A second
signal ends the process at once.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

from attrs import define, field

from loomlm.errors import LoomlmError

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)

AGAIN_SECONDS = 0.02
"""After which a signal that came at an odd moment is raised once more."""

SHOW_CURSOR = b"\x1b[?25h"
"""What a terminal is told where a progress line has hidden the cursor."""


class Interruption(KeyboardInterrupt):
    """A signal, raised in the main thread. where: what was being done, in words for the user."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number
        self.where = ""


class StoppedError(LoomlmError):
    """A run was asked to stop once its folder was there, and did. Its message says what stands."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


@contextmanager
def listening(handler: Any) -> Iterator[None]:
    """Have a function called for each signal, in the main thread; not for a SIGHUP that is ignored.

    For a program that is no run itself, and passes signals on.
    """
    before = _install(handler)
    try:
        yield
    finally:
        _restore(before)


@contextmanager
def during(where: str) -> Iterator[None]:
    """Say what was being done when a signal came inside the block."""
    try:
        yield
    except Interruption as stopped:
        stopped.where = stopped.where or where
        raise


class Program:
    """The signals of a program. Use as a context manager around all that it does.

    number: that of the signal that came, or 0. trained: whether a run's folder was written.
    works: whether what a signal raises will be caught; before and after, one ends the process.
    """

    def __init__(self) -> None:
        self.number = 0
        self.trained = False
        self.works = False
        self._code: int | None = None
        self._again = False
        self._before: dict[int, Any] = {}
        self._process = os.getpid()
        self._thread = threading.main_thread().ident
        self._unraisable = sys.unraisablehook
        self._terminal = -1

    def __enter__(self) -> Program:
        if _in_main_thread():
            # What imports a framework quietly turns standard error elsewhere meanwhile.
            with suppress(OSError):
                self._terminal = os.dup(2)
            sys.unraisablehook = self._not_raised
            self._before = _install(self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before:
            _restore(self._before)
            sys.unraisablehook = self._unraisable
            if self._terminal >= 0:
                os.close(self._terminal)

    def over(self, code: int) -> None:
        """The program has done what it had to: a signal only ends it sooner, with its own code."""
        self._code = code

    def gone(self) -> None:
        """Nobody listens any more: what is left of the process, a second at most, is let be.

        Python puts handlers away before it takes its modules apart; a signal would end it there as
        if it had done nothing.
        """
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            _as_if_nobody_listened(number)
        elif self._code is not None:
            os._exit(self._code)
        elif self._again:
            self._again = False
            self._raise(frame)
        elif self.number or not self.works:
            self._leave(number)
        else:
            self.number = number
            self._raise(frame)

    def _raise(self, frame: FrameType | None) -> None:
        """Raise, but not where it would be lost or where others could not bear it: later, then.

        A module that is imported halfway fails in its own way, in compiled code by an abort.
        """
        if _is_odd(frame):
            self._later()
        else:
            raise Interruption(self.number)

    def _later(self) -> None:
        # A thread of `threading` takes locks that the main thread may hold at this moment.
        _thread.start_new_thread(self._send_again, ())

    def _send_again(self) -> None:
        time.sleep(AGAIN_SECONDS)
        self._again = True
        if self._thread is not None:
            signal.pthread_kill(self._thread, self.number)

    def _not_raised(self, about: Any) -> None:
        """An exception that Python could not raise, such as one in a finalizer."""
        if isinstance(about.exc_value, Interruption):
            self._later()
        else:
            self._unraisable(about)

    def _leave(self, number: int) -> NoReturn:
        said = b"\nStopped at once. What was complete is kept.\n"
        if self._terminal >= 0:
            with suppress(OSError):
                os.write(self._terminal, SHOW_CURSOR * os.isatty(self._terminal) + said)
        os._exit(128 + number)


@define
class Interrupts:
    """The signals of a run. `signal` is the number of the one that was noted, or 0.

    Use as a context manager around all that a run does in its folder. A second signal is not held
    back: it does what it would if no run listened. Outside the main thread there are none to note.
    """

    signal: int = 0
    _before: dict[int, Any] = field(factory=dict)
    _process: int = field(factory=os.getpid)

    def __enter__(self) -> Interrupts:
        if _in_main_thread():
            self._before = _install(self._note)
        for program in self._programs():
            program.trained = True
            # Somebody else's code may have caught what was raised.
            self.signal = program.number
        return self

    def __exit__(self, *_: object) -> None:
        _restore(self._before)

    def check(self, message: str) -> None:
        """Raise StoppedError with a message if a signal was noted."""
        if self.signal:
            raise StoppedError(message, self.signal)

    @contextmanager
    def explaining(self, message: str) -> Iterator[None]:
        """Raise StoppedError in place of an error that came of the signal, as far as one can know.

        A terminal sends SIGINT to the compilers, too, that a framework has started.
        """
        try:
            yield
        except LoomlmError:
            raise
        except Exception as error:
            if not self.signal:
                raise
            raise StoppedError(message, self.signal) from error

    def _programs(self) -> list[Program]:
        return [
            handler.__self__
            for handler in self._before.values()
            if isinstance(getattr(handler, "__self__", None), Program)
        ]

    def _note(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._process:
            _as_if_nobody_listened(number)
            return
        self.signal = number
        for program in self._programs():
            program.number = number
        _restore(self._before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _install(handler: Any) -> dict[int, Any]:
    """Listen to the signals; who listened before. `nohup` has SIGHUP ignored, and it stays so."""
    before = {}
    for number in SIGNALS:
        known = signal.getsignal(number)
        hangs_up = signal.Signals(number).name == "SIGHUP"
        # None is a listener that Python does not know, and could not put back.
        if known is not None and not (hangs_up and known is signal.SIG_IGN):
            before[number] = known
            signal.signal(number, handler)
    return before


def _restore(before: dict[int, Any]) -> None:
    while before:
        number, handler = before.popitem()
        signal.signal(number, handler)


def _as_if_nobody_listened(number: int) -> None:
    """In a forked process, which is no program and no run."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _is_odd(frame: FrameType | None) -> bool:
    """Whether something is being imported, or an object finalized."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
