"""The rows that a model is writing, over an engine's `start`, `step` and `reorder`."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import define, field

from loomlm.contracts import Batch, Engine
from loomlm.inference.memory import memory_for
from loomlm.inference.scoring import Recipe


@define
class Running:
    """Rows of unequal length, with the logits of the token behind each.

    prompt: as the task gives it. tokens: of each row, those of the prompt first. logits: (rows,
    outputs) float32, -inf for tokens in `banned`.

    Where a row reaches the task's context, its last half is read again, and it goes on from there.
    With a source besides, there is nothing to go on from: such a row is `full`.
    """

    engine: Engine
    recipe: Recipe
    prompt: Batch
    banned: list[int]
    tokens: list[list[int]] = field(init=False)
    logits: np.ndarray = field(init=False)
    _cache: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        lengths = self.prompt["length"]
        rows = zip(self.prompt["tokens"], lengths, strict=True)
        self.tokens = [row[:length].tolist() for row, length in rows]
        self._read(self.prompt)

    @property
    def full(self) -> np.ndarray:
        """Which rows can take no further token, (rows,)."""
        over = np.array([len(row) > self.recipe.task.context for row in self.tokens], bool)
        return over if "encoder_decoder" in self.recipe.task.needs else np.zeros_like(over)

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these rows, (n,) indices, in this order; one may be named several times."""
        self.tokens = [list(self.tokens[row]) for row in rows]
        self.prompt = Batch({name: array[rows] for name, array in self.prompt.arrays.items()})
        self.logits = self.logits[rows]
        self._cache = self.engine.reorder(self._cache, np.asarray(rows, np.int64))

    def add(self, chosen: np.ndarray) -> None:
        """Put a token behind each row, (rows,); it is read when `advance` is called."""
        for row, token in zip(self.tokens, chosen.tolist(), strict=True):
            row.append(token)

    def advance(self) -> None:
        """Read the tokens that were added."""
        context = self.recipe.task.context
        over = [len(row) > context for row in self.tokens]
        if not any(over):
            last = np.array([row[-1] for row in self.tokens], np.int32)
            with memory_for(self._too_large):
                self._set_logits(self.engine.step(self._cache, last))
            return
        # The other rows are read as they are, so that none depends on those beside it.
        half = max(1, context // 2)
        self.tokens = [
            row[-half:] if full else row for row, full in zip(self.tokens, over, strict=True)
        ]
        self._read(_with_rows(self.prompt, self.tokens))

    def _read(self, batch: Batch) -> None:
        prepared = self.recipe.backbone.prepare(batch)
        with memory_for(self._too_large):
            self._cache, logits = self.engine.start(prepared, self.recipe.task.context)
        self._set_logits(logits)

    def _too_large(self) -> str:
        rows, longest = len(self.tokens), max(map(len, self.tokens), default=0)
        return (
            f"{'A row' if rows == 1 else f'{rows} rows'} of up to {longest:,} tokens were written, "
            f"with room for {self.recipe.task.context:,}. Give fewer prompts at a time, shorter "
            "ones, or fewer beams."
        )

    def _set_logits(self, logits: np.ndarray) -> None:
        self.logits = np.array(logits, np.float32)
        self.logits[:, self.banned] = -np.inf


def _with_rows(batch: Batch, rows: list[list[int]]) -> Batch:
    """A batch with other tokens to go on from."""
    lengths = np.array([len(row) for row in rows], np.int32)
    tokens = np.zeros((len(rows), lengths.max()), np.int32)
    tokens[np.arange(lengths.max()) < lengths[:, None]] = [t for row in rows for t in row]
    return Batch({**batch.arrays, "tokens": tokens, "length": lengths})
