"""What the C library does with memory that a step has given back."""

from __future__ import annotations

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Parameters of glibc's mallopt(3)."""

OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
"""Variables by which a user has chosen for the process."""


def keep_freed_memory() -> bool:
    """Have memory that is freed kept for what comes next, as far as this process is on glibc.

    By itself glibc maps each array of over 32 MB anew and unmaps it when it is freed, so that the
    system clears all its pages in every step: more than half the time of one whose logits have
    some 300 MB. Kept memory stays with the process until it ends. Does nothing, and says so, with
    another C library or where the environment has chosen.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in OWN):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl, say
        return False
    return bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, -1))
