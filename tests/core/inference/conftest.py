"""An engine without a framework: its logits are a function of a row's tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from attrs import define, field, frozen

from loomlm.contracts import Batch, Outcome
from loomlm.inference.generate import Generator
from loomlm.inference.running import Running
from loomlm.inference.scoring import Recipe

END, PAD, UNKNOWN = 0, 1, 2
LETTERS = "abcdefg"
OUTPUTS = 3 + len(LETTERS)


class Letters:
    """A tokenizer of seven letters; ids 0 to 2 stand for no text."""

    vocab_size, end_id, pad_id, unknown_id = OUTPUTS, END, PAD, UNKNOWN

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(LETTERS[i - 3] for i in ids if i > UNKNOWN)


@frozen
class Writing:
    """A task that generates; with `source`, one whose rows have another array besides."""

    context: int
    needs: frozenset[str] = frozenset({"tokens", "causal"})

    def prompt(self, texts: Sequence[str], tokenizer: Any, facts: Any) -> Batch:
        rows = [[3 + LETTERS.index(letter) for letter in text] or [END] for text in texts]
        lengths = np.array([len(row) for row in rows], np.int32)
        tokens = np.full((len(rows), lengths.max()), PAD, np.int32)
        for place, row in zip(tokens, rows, strict=True):
            place[: len(row)] = row
        source = np.arange(len(rows), dtype=np.int32)
        return Batch({"tokens": tokens, "length": lengths, "source": source})


@frozen
class Answering(Writing):
    """A task that answers: a letter's row is to be what follows it in the alphabet."""

    def ask(self, rows: Any, facts: Any) -> Batch:
        texts = [
            LETTERS[row[0] - 3] for row in (rows["tokens"][i] for i in range(len(rows["tokens"])))
        ]
        return self.prompt(texts, None, facts)

    def compare(self, rows: Any, texts: Sequence[str], facts: Any) -> Outcome:
        return Outcome(list(texts), [[LETTERS]] * len(texts))

    def how(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 20, "stop": self.stop}

    stop: tuple[str, ...] = ()


class Plain:
    """A backbone whose batches are the task's."""

    def prepare(self, batch: Batch) -> Batch:
        return batch


@define
class FakeEngine:
    """Gives `logits(tokens of the row)`; counts its calls, and minds that no row outgrows its room.

    A cache is a list of rows.
    """

    logits: Callable[[list[int]], np.ndarray]
    starts: list[list[list[int]]] = field(factory=list)
    sources: list[list[int]] = field(factory=list)
    steps: list[int] = field(factory=list)
    room: int = 0

    def start(self, batch: Batch, room: int) -> tuple[list[list[int]], np.ndarray]:
        lengths = batch["length"]
        rows = [row[:n].tolist() for row, n in zip(batch["tokens"], lengths, strict=True)]
        self.room = room
        self.sources.append(batch["source"].tolist())
        self.starts.append([list(row) for row in rows])
        return rows, self._all(rows)

    def step(self, cache: list[list[int]], tokens: np.ndarray) -> np.ndarray:
        assert tokens.dtype == np.int32
        self.steps.append(len(cache))
        for row, token in zip(cache, tokens.tolist(), strict=True):
            row.append(token)
        return self._all(cache)

    def reorder(self, cache: list[list[int]], rows: np.ndarray) -> list[list[int]]:
        return [list(cache[row]) for row in rows]

    def _all(self, rows: list[list[int]]) -> np.ndarray:
        assert all(0 < len(row) <= self.room for row in rows)
        return np.array([self.logits(row) for row in rows], np.float32)


@frozen
class Fake:
    """A fake engine with what it takes to write."""

    engine: FakeEngine
    generator: Generator
    running: Callable[[Sequence[str]], Running]


MakeFake = Callable[..., Fake]


@pytest.fixture
def fake() -> MakeFake:
    """Makes one from a function of a row's tokens, and the task's context."""

    def make(
        logits: Callable[[list[int]], np.ndarray],
        context: int = 50,
        encoder_decoder: bool = False,
        banned: Sequence[int] = (),
        answers: bool = False,
    ) -> Fake:
        engine = FakeEngine(logits)
        needs = {"tokens", "encoder_decoder" if encoder_decoder else "causal"}
        kind = Answering if answers else Writing
        recipe = Recipe(kind(context, frozenset(needs)), Plain(), {})  # type: ignore[arg-type]
        generator = Generator(engine, recipe, Letters(), [])  # type: ignore[arg-type]

        def running(prompts: Sequence[str]) -> Running:
            batch = Writing(context).prompt(prompts, None, None)
            return Running(engine, recipe, batch, list(banned))  # type: ignore[arg-type]

        return Fake(engine, generator, running)

    return make


def hashed(tokens: Sequence[int], scale: float = 1.0, outputs: int = OUTPUTS) -> np.ndarray:
    """Logits that depend on every token of a row, and look random."""
    seed = np.random.SeedSequence([7, *tokens])
    return np.random.default_rng(seed).normal(size=outputs) * scale
