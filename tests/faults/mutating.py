"""Makes wrong files of right ones, the same for the same seed, and watches what reads them."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from loomlm.errors import LoomlmError

PATIENCE = 120
"""Seconds that one case may take before it is called a hang: far more than the slowest takes."""

MORE = 400 << 20
"""Bytes that reading one wrong file after another may add to the memory of the process."""

STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def mutated(content: bytes, draw: random.Random, words: Sequence[bytes]) -> bytes:
    """The content with a few bytes gone, replaced, repeated, or words put in."""
    for _ in range(draw.choice([1, 1, 1, 2, 3, 6])):
        start = draw.randrange(len(content) + 1)
        end = min(len(content), start + draw.choice([1, 1, 2, 5, 20, 200]))
        before, cut, behind = content[:start], content[start:end], content[end:]
        content = before + _changed(cut, draw, words) + behind
    return content


def _changed(cut: bytes, draw: random.Random, words: Sequence[bytes]) -> bytes:
    match draw.randrange(6):
        case 0:
            return b""
        case 1:
            return draw.choice(words)
        case 2:
            return draw.choice(words) + cut
        case 3:
            return cut * draw.choice([2, 3, 50])
        case 4:
            return bytes([draw.randrange(256)]) + cut[1:]
    return bytes(byte ^ 1 << draw.randrange(8) for byte in cut)


def refused(read: Callable[[], Any], case: Any, code: int | None = None) -> str:
    """What is said of a wrong file; "" where it is not so wrong that it cannot be read.

    Fails for anything but an error that a user can mend. code: what the command would end with.
    """
    try:
        with watched():
            read()
    except LoomlmError as error:
        said = str(error)
        assert said.strip() and "Traceback" not in said, case
        assert code is None or error.exit_code == code, (case, error)
        return said
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        pytest.fail(f"{type(error).__name__}: {error}\nof {case!r}")
    return ""


@contextmanager
def watched() -> Iterator[None]:
    """Fails where something hangs."""

    def hang(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"hangs for {PATIENCE} seconds")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def bounded() -> Iterator[None]:
    """Fails where the memory of the process grew by more than MORE at any time within the block.

    Where the system tells no peak, nothing is checked.
    """
    try:
        PEAK.write_text("5")  # From here on the peak is that of what follows.
    except OSError:
        yield
        return
    begun = _kilobytes("VmRSS")
    yield
    grown = (_kilobytes("VmHWM") - begun) << 10
    assert grown < MORE, f"reading took {grown:,} bytes of memory"


def _kilobytes(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
