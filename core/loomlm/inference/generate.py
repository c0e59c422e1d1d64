"""Text from a model, token by token; written once, for every backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from attrs import define, field, frozen

from loomlm.contracts import Batch, Cleaner, Engine, Generates, Outcome, Tokenizer, Writes
from loomlm.data.batches import ExampleRows, Rows
from loomlm.data.cleaning import clean
from loomlm.data.packing import Packed
from loomlm.data.vocabularies import tokens_of
from loomlm.inference.beams import beam_search
from loomlm.inference.decoding import Decoding, Written, choose, never_said
from loomlm.inference.running import Running
from loomlm.inference.scoring import Recipe
from loomlm.inference.stopping import Watch, cut, cut_stream, strip_stream

TOGETHER = 32
"""Prompts that are gone on with at a time."""

SCORED_TOGETHER = 64
"""The most rows that are written at a time, beams counted, where a split is scored."""

UNFINISHED = "\ufffd"
"""What a decoder gives for the first bytes of a character whose others are still to come."""

Seen = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@frozen
class Answer:
    """What a model wrote. score: the mean logarithm of a token's probability."""

    text: str
    score: float


@frozen
class Generator:
    """A model of a task that generates, as it is now."""

    engine: Engine
    recipe: Recipe
    tokenizer: Tokenizer
    cleaners: Sequence[Cleaner]

    @property
    def continues(self) -> bool:
        """Whether what it writes goes on from the prompt; a source, or a request, is answered."""
        task = self.recipe.task
        return "encoder_decoder" not in task.needs and not isinstance(task, Writes)

    def how(self, **given: Any) -> Decoding:
        """How it writes: as the task says, unless something else is given."""
        task = self.recipe.task
        return Decoding(**{**(task.how() if isinstance(task, Writes) else {}), **given})

    def texts(self, prompts: Sequence[str], decoding: Decoding) -> list[str]:
        """What the model writes after each prompt, up to the end of the document.

        A row's text does not depend on those beside it; what it draws depends on its number.
        """
        found: list[str] = []
        for first in range(0, len(prompts), TOGETHER):
            running = self._running(self._prompt(prompts[first : first + TOGETHER]))
            begun = [list(row) for row in running.tokens]
            numbers = first + np.arange(len(begun))
            written = self._write(running, decoding, numbers, scored=False)
            found += [
                self._text(row, one, decoding) for row, one in zip(begun, written, strict=True)
            ]
        return found

    def answers(self, asked: Batch, decoding: Decoding, numbers: np.ndarray) -> list[Answer]:
        """What the model answers to each row that a task's `ask` gave. numbers: of the rows."""
        written = self._write(self._running(asked), decoding, numbers, scored=True)
        return [Answer(self._text([], one, decoding), one.score) for one in written]

    def outcomes(
        self,
        split: Rows,
        batch_size: int,
        between: Callable[[], None] = lambda: None,
        decoding: Decoding | None = None,
    ) -> Iterator[tuple[np.ndarray, Outcome]]:
        """What the model writes for each row of a split, beside what is right, batch by batch.

        Gives (n,) numbers of rows, those of like length together, with their outcome. decoding: in
        place of the task's own. between: called before each batch.
        """
        task, how = self.recipe.task, decoding or self.how()
        assert isinstance(task, Writes)
        size = max(1, min(batch_size, SCORED_TOGETHER) // how.beams)
        examples = each_alone(split, task.context)
        for numbers, _ in examples.ordered(size):
            between()
            rows = examples.take(numbers)
            running = self._running(task.ask(rows, self.recipe.facts))
            written = self._write(running, how, numbers, scored=False)
            texts = [self._text([], one, how) for one in written]
            yield numbers, task.compare(rows, texts, self.recipe.facts)

    def stream(self, prompt: str, decoding: Decoding) -> Iterator[str]:
        """What the model writes after a prompt, piece by piece; with beams, in one."""
        if decoding.beams > 1:
            return filter(None, self.texts([prompt], decoding))
        pieces = self._stream(self._running(self._prompt([prompt])), decoding)
        pieces = cut_stream(pieces, decoding.stop)
        return pieces if self.continues else strip_stream(pieces)

    def _stream(self, running: Running, decoding: Decoding) -> Iterator[str]:
        text = Pieces(self._written, list(running.tokens[0]) if self.continues else [])
        for _, token in draw_tokens(running, self._written.end_id, decoding):
            text.add(token)
            if piece := text.next():
                yield piece
        if piece := text.rest():
            yield piece

    def _text(self, begun: list[int], written: Written, decoding: Decoding) -> str:
        if not self.continues:
            return cut(self._written.decode(written.tokens), decoding.stop).strip()
        pieces = Pieces(self._written, begun)
        pieces.ids = [*begun, *written.tokens]
        return cut(pieces.rest(), decoding.stop)

    @property
    def _written(self) -> Tokenizer:
        """The tokenizer of what is written."""
        return tokens_of(self.recipe.task, self.tokenizer)

    def _running(self, prompt: Batch) -> Running:
        return Running(self.engine, self.recipe, prompt, never_said(self._written))

    def _prompt(self, prompts: Sequence[str]) -> Batch:
        task = self.recipe.task
        assert isinstance(task, Generates)
        cleaned = [clean(prompt, self.cleaners) for prompt in prompts]
        return task.prompt(cleaned, self.tokenizer, self.recipe.facts)

    def _write(
        self, running: Running, decoding: Decoding, numbers: np.ndarray, *, scored: bool
    ) -> list[Written]:
        """The new tokens of each row. scored: whether their probabilities are wanted."""
        end = self._written.end_id
        if decoding.beams > 1:
            how = decoding.beams, decoding.max_tokens, decoding.length_penalty
            return beam_search(running, end, *how)
        watch = Watch(self._written, len(running.tokens), decoding.stop, scored)
        for _ in draw_tokens(running, end, decoding, numbers, watch):
            pass
        return watch.rows


def each_alone(split: Rows, context: int) -> Rows:
    """A split with a row for each example, though training has several in one."""
    if isinstance(split, Packed) and split.store is not None:
        return ExampleRows(split.store, context)
    return split


def draw_tokens(
    running: Running,
    end_id: int | None,
    decoding: Decoding,
    first: int | np.ndarray = 0,
    seen: Seen | None = None,
) -> Iterator[tuple[int, int]]:
    """Each new token with its row, until every row has ended.

    first: the number of row 0, or those of all. seen: called with rows, logits, tokens, and whether
    each is text; says which rows are over.
    """
    rows = np.arange(len(running.tokens))
    numbers = rows + first if isinstance(first, int) else first
    for index in range(decoding.max_tokens):
        chosen = choose(running.logits, decoding, index, numbers[rows])
        running.add(chosen)
        written = np.ones(len(rows), bool) if end_id is None else chosen != end_id
        over = ~written
        if seen is not None:
            over |= seen(rows, running.logits, chosen, written)
        yield from zip(rows[written].tolist(), chosen[written].tolist(), strict=True)
        on = np.flatnonzero(~over & ~running.full)
        if not len(on) or index == decoding.max_tokens - 1:
            return
        if len(on) < len(rows):
            running.keep(on)
            rows = rows[on]
        running.advance()


@define
class Pieces:
    """The text of a row as its tokens come.

    A row's text is what decoding all of its tokens adds to decoding its prompt. It is the whole
    that is decoded each time: what a token adds may depend on those before it (spaces between
    words, characters of several bytes).
    """

    tokenizer: Tokenizer
    ids: list[int]
    _said: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._said = self.tokenizer.decode(self.ids)

    def add(self, token: int) -> None:
        self.ids.append(token)

    def next(self) -> str:
        """What is new; nothing as long as its last character is not complete."""
        text = self.tokenizer.decode(self.ids)
        return "" if text.endswith(UNFINISHED) else self._say(text)

    def rest(self) -> str:
        """What is new, though a character may lack its end."""
        return self._say(self.tokenizer.decode(self.ids))

    def _say(self, text: str) -> str:
        said, self._said = self._said, text
        if text.startswith(said):
            return text[len(said) :]
        # The decoder writes the same tokens otherwise now that more have come.
        pairs = enumerate(zip(said, text, strict=False))
        return text[next((at for at, (old, new) in pairs if old != new), len(text)) :]
