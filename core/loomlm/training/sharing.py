"""What the processes of a run tell one another before each piece of work.

The leader carries the run out as if it were alone: it alone decides, writes and tells. What its
engine is asked to do, it has the others do too (`leading.py`, `following.py`).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from enum import IntEnum

import numpy as np
from attrs import frozen

from loomlm.contracts import Batch, Engine, Team
from loomlm.errors import LoomlmError


class Do(IntEnum):
    """What comes next."""

    UPDATE = 1
    MODEL = 2
    OPTIMIZER = 3
    COMPARE = 4
    END = 5


@frozen
class Order:
    """What comes next, of what step; for an update, by what rate, and the digest of its batch."""

    do: Do
    step: int = 0
    seed: int = 0
    rate: float = 0.0
    digest: int = 0

    def numbers(self, signal: int = 0) -> list[int]:
        """As many whole numbers as every order has. signal: that the process has had, or 0."""
        (rate,) = struct.unpack("<q", struct.pack("<d", self.rate))
        return [self.do, self.step, self.seed, rate, self.digest, signal]

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Order:
        do, step, seed, rate, digest, _ = numbers
        return cls(Do(do), step, seed, struct.unpack("<d", struct.pack("<q", rate))[0], digest)


ANSWER = [0] * 5
"""What the others give beside their signal, where the leader gives an order."""


def digest(microbatches: Sequence[Batch]) -> int:
    """A checksum of a whole batch: it is the same in each process, or the data are not."""
    return _checksum(batch.arrays[name] for batch in microbatches for name in sorted(batch.arrays))


def compare(team: Team, engine: Engine, step: int) -> None:
    """Raise LoomlmError where the weights are no longer the same in all processes."""
    own = _checksum(array for _, array in engine.state("model"))
    found = [numbers[0] for numbers in team.exchange([own])]
    apart = [rank for rank, checksum in enumerate(found) if checksum != found[0]]
    if apart:
        raise LoomlmError(
            f"After step {step}, the weights of process {apart[0]} are not those of process 0: the "
            "machines compute differently. Use processors, devices and versions of one kind, with "
            'determinism = "exact".'
        )


def _checksum(arrays: Iterable[np.ndarray]) -> int:
    found = 0
    for array in arrays:
        found = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, found)
    return found
