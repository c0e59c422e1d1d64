"""What `train.py` and its trainers share: the sizes of models, their text, and the command line.

A trainer is a script that is called with `SIZE STEPS WARMUP` and makes that many updates of the
model on random windows of the text; its last line is the JSON that `timing.py` describes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

VOCABULARY = 65
"""Characters, as tinyshakespeare has."""


@dataclass(frozen=True)
class Size:
    """Of a model without dropout and of its batches: a GPT-2, whose networks are 4 * width wide.

    recurrent: an LSTM instead, without heads. The head shares the embedding in both.
    """

    layers: int
    heads: int
    width: int
    context: int
    batch: int
    vocabulary: int = VOCABULARY
    recurrent: bool = False

    @property
    def tokens(self) -> int:
        """Of an update."""
        return self.context * self.batch

    def flops(self, parameters: int) -> float:
        """Of a token, forward and back (Chowdhery 2022). parameters: without those of positions."""
        attention = 0 if self.recurrent else 12 * self.layers * self.width * self.context
        return 6 * parameters + attention

    @property
    def parameters(self) -> int:
        """Of a model without biases, without those of positions."""
        block = (8 if self.recurrent else 12) * self.width**2 + 2 * self.width
        return self.vocabulary * self.width + self.layers * block + self.width


SIZES = {
    "small": Size(layers=4, heads=4, width=128, context=64, batch=12),
    "medium": Size(layers=6, heads=6, width=384, context=256, batch=16),
    "lstm": Size(layers=2, heads=0, width=256, context=64, batch=32, recurrent=True),
}


@dataclass(frozen=True)
class Asked:
    """What a trainer is to do."""

    size: Size
    steps: int
    warmup: int
    threads: int
    bf16: bool


def asked() -> Asked:
    """The command line of a trainer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("steps", type=int)
    parser.add_argument("warmup", type=int)
    parser.add_argument("--bf16", action="store_true")
    given = parser.parse_args()
    threads = int(os.environ["OMP_NUM_THREADS"])
    return Asked(SIZES[given.size], given.steps, given.warmup, threads, given.bf16)


def numbers(size: Size, count: int = 1_000_000) -> np.ndarray:
    """Random tokens, (count,) uint16: what they say is of no matter here."""
    drawn = np.random.default_rng(17).integers(size.vocabulary, size=count)
    return drawn.astype(np.uint16)


def letters(count: int = 1_000_000) -> str:
    """The same as characters."""
    drawn = numbers(SIZES["small"], count) + 0x21
    return drawn.astype(np.uint8).tobytes().decode("ascii")


def text(folder: Path) -> Path:
    """The same in a file of a folder."""
    path = folder / "text.txt"
    path.write_text(letters(), encoding="utf-8")
    return path


def windows(size: Size, data: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches without end: tokens and what follows each, (batch, context) int64."""
    random = np.random.default_rng(1337)
    while True:
        starts = random.integers(len(data) - size.context - 1, size=size.batch)
        rows = np.stack([data[at : at + size.context + 1] for at in starts]).astype(np.int64)
        yield rows[:, :-1], rows[:, 1:]
