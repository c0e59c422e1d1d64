"""Memory that ran out: says how large the batch was, and what to set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from loomlm.contracts import Batch
from loomlm.errors import LoomlmError

WORDS = (
    "out of memory",
    "when allocating",
    "allocate memory",
    "t allocate",
    "to allocate",
    "alloc_failed",  # cuBLAS, for its workspace.
)
"""What frameworks say of memory that ran out, in errors of their own."""

UNLIMITED = 1 << 60
"""What a limit on memory is above where there is none."""


class LackOfMemoryError(LoomlmError):
    """There was not enough memory for a batch."""


@contextmanager
def memory_for(what: Callable[[], str]) -> Iterator[None]:
    """Say what lacked memory, where it runs out within.

    what: which work it was, on how large a batch, and what to set; asked for only then.
    """
    try:
        yield
    except Exception as problem:
        lack = lack_of_memory(problem)
        if lack is None:
            raise
        raise LackOfMemoryError(f"{not_enough(lack)} {what()}") from problem


def lack_of_memory(problem: BaseException | None) -> str | None:
    """What is said of memory that ran out; None where an error is about something else.

    Frameworks may try again then, and fail with another error: the first one is behind it.
    """
    if problem is None or isinstance(problem, LoomlmError):
        return None
    lines = str(problem).splitlines() or [""]
    if isinstance(problem, MemoryError):
        return lines[0]
    for line in lines:
        if any(word in line.lower() for word in WORDS):
            # PyTorch goes on with its own settings, in one long line.
            return ". ".join(line.split(". ")[:3])
    return lack_of_memory(problem.__cause__ or problem.__context__)


def not_enough(lack: str) -> str:
    """The sentence about memory that ran out. lack: what the framework or Python said."""
    # What a framework says of a GPU, it says of its memory too.
    free = None if any(word in lack.lower() for word in ("gpu", "cuda")) else free_memory()
    known = f" ({free / 2**30:.1f} GiB of main memory are free)" if free is not None else ""
    said = lack.strip().rstrip(".")
    return f"There is not enough memory{f': {said}' if said else ''}{known}."


def size_of(batches: Sequence[Batch]) -> str:
    """The size of a batch that is cut into some, in words."""
    rows = sum(_rows(batch) for batch in batches)
    tokens = batches[0].arrays.get("tokens")
    width = f" x {tokens.shape[1]:,} tokens" if tokens is not None and tokens.ndim > 1 else ""
    parts = f", {_rows(batches[0]):,} rows at a time" if len(batches) > 1 else ""
    return f"{rows:,} {'row' if rows == 1 else 'rows'}{width}{parts}"


def _rows(batch: Batch) -> int:
    return max((len(array) for array in batch.arrays.values()), default=0)


def free_memory() -> int | None:
    """Bytes of main memory that this process may still take; None where that cannot be told.

    What the system says is free, within the limits of the process and of its control group.
    """
    known = [_of_system(), _of_group(), _of_process()]
    found = [size for size in known if size is not None]
    return max(0, min(found)) if found else None


def _of_system() -> int | None:
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvail"))
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _of_group() -> int | None:
    """What the control group of a container leaves, where it has a limit."""
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):
        limit = int((group / "memory.max").read_text())
        return limit - int((group / "memory.current").read_text())
    return None


def _of_process() -> int | None:
    """What `ulimit -v` leaves."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if 0 <= limit < UNLIMITED:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            return limit - pages * os.sysconf("SC_PAGE_SIZE")
    return None
