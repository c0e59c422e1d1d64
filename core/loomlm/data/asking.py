"""Reading parts of a memory map that is larger than memory."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

LARGE = 1 << 28
"""Bytes of a map from which its parts are asked for: a smaller one soon stands in memory whole."""


def ask_for(values: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
    """Have the system read these parts of an array that is mapped from a file, all at once.

    starts, ends: (n,) indices of the first axis. Without it each part is waited for when it is
    touched, one by one, and some hundred kilobytes around it are read too. Does nothing where the
    array is small, lies in memory, or the system has no such call.
    """
    if values.nbytes < LARGE or not hasattr(mmap, "MADV_WILLNEED"):
        return
    under: Any = values
    while isinstance(under, np.ndarray):
        under = under.base
    if not isinstance(under, mmap.mmap):
        return
    first = _address(values) - _address(np.frombuffer(under, np.uint8))
    row = values.strides[0]
    begins = (first + starts * row) // mmap.PAGESIZE * mmap.PAGESIZE
    sizes = first + ends * row - begins
    for begin, size in zip(begins.tolist(), sizes.tolist(), strict=True):
        if size > 0:
            under.madvise(mmap.MADV_WILLNEED, begin, size)


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]
