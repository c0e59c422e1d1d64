"""128-bit digests of texts, kept as bytes end to end, and which of them repeat."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

SIZE = 16


def folded(text: str) -> str:
    """Without case, with one space for a run of white space."""
    return " ".join(text.casefold().split())


def digest(text: str) -> bytes:
    """16 bytes that tell one text from another: of a billion, two agree once in 10^20 times."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=SIZE).digest()


class Digests:
    """The digests of the parts of texts, in order; 16 bytes each."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._counts = array("I")

    def add(self, parts: Collection[bytes]) -> None:
        """Those of the next text."""
        self._bytes += b"".join(parts)
        self._counts.append(len(parts))

    def first_texts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each part the number of the first text that has it, and that of its own text."""
        order, run = self._sorted()
        own = np.repeat(np.arange(len(self._counts)), np.array(self._counts, np.int64))
        first = np.empty(len(order), np.int64)
        # The sort is stable, so that the first of a run stands first in the texts.
        heads = order[np.flatnonzero(np.diff(run, prepend=-1))]
        first[order] = own[heads][run]
        return first, own

    def in_at_least(self, count: int) -> list[bytes]:
        """The digests that were added as often as that."""
        order, run = self._sorted()
        heads = order[np.flatnonzero(np.diff(run, prepend=-1))]
        often = heads[np.bincount(run) >= count] if len(run) else heads
        return [bytes(self._bytes[at * SIZE : (at + 1) * SIZE]) for at in often.tolist()]

    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """An order in which equal ones stand together, and the number of each one's run there."""
        halves = np.frombuffer(self._bytes, "<u8").reshape(-1, 2)
        order = np.lexsort((halves[:, 1], halves[:, 0]))
        ordered = halves[order]
        new = np.any(ordered[1:] != ordered[:-1], axis=1)
        run = np.concatenate([np.zeros(min(len(order), 1), np.int64), np.cumsum(new)])
        return order, run
