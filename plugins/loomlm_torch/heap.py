"""What the C library does with memory that a step has given back."""

from __future__ import annotations

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
"""Parameters of glibc's mallopt(3)."""

LARGE = 32 << 20
"""Bytes from which on glibc maps an array by itself, at most."""

OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
"""Variables by which a user has chosen for the process."""


def keep_freed_memory(largest: int) -> bool:
    """Have memory that is freed kept for what comes next, as far as this process is on glibc.

    largest: bytes of the largest array of which each step makes several, a gradient say. glibc
    maps arrays of 32 MB and more anew each time and unmaps them when they are freed, so that the
    system clears all their pages in every step. Those are kept too where there are such; else they
    are not, since the few that come would leave holes in memory that nothing fits: half as much of
    it again (docs/benchmarks/notes.md). Kept memory stays with the process until it ends. Does
    nothing, and says so, with another C library or where the environment has chosen.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in OWN):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl, say
        return False
    mapped = (MMAP_MAX, 0) if largest >= LARGE else (MMAP_THRESHOLD, LARGE)
    return bool(mallopt(*mapped)) and bool(mallopt(TRIM_THRESHOLD, -1))
