"""Text from a model, token by token; written once, for every backend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from attrs import define, field, frozen

from loomlm.contracts import Batch, Cleaner, Engine, Generates, Tokenizer
from loomlm.data.cleaning import clean
from loomlm.data.vocabularies import tokens_of
from loomlm.inference.beams import beam_search
from loomlm.inference.decoding import Decoding, choose, never_said
from loomlm.inference.running import Running
from loomlm.inference.scoring import Recipe

TOGETHER = 32
"""Prompts that are gone on with at a time."""

UNFINISHED = "\ufffd"
"""What a decoder gives for the first bytes of a character whose others are still to come."""


@frozen
class Generator:
    """A model of a task that generates, as it is now."""

    engine: Engine
    recipe: Recipe
    tokenizer: Tokenizer
    cleaners: Sequence[Cleaner]

    def texts(self, prompts: Sequence[str], decoding: Decoding) -> list[str]:
        """What the model writes after each prompt, up to the end of the document.

        A row's text does not depend on those beside it; what it draws depends on its number.
        """
        found: list[str] = []
        for first in range(0, len(prompts), TOGETHER):
            running = self._running(prompts[first : first + TOGETHER])
            texts = [Pieces(self._written, list(row)) for row in running.tokens]
            for row, token in self._tokens(running, decoding, first):
                texts[row].add(token)
            found += [text.rest() for text in texts]
        return found

    def stream(self, prompt: str, decoding: Decoding) -> Iterator[str]:
        """What the model writes after a prompt, piece by piece; with beams, in one."""
        running = self._running([prompt])
        return self._stream(running, decoding)

    def _stream(self, running: Running, decoding: Decoding) -> Iterator[str]:
        text = Pieces(self._written, list(running.tokens[0]))
        for _, token in self._tokens(running, decoding, 0):
            text.add(token)
            if decoding.beams == 1 and (piece := text.next()):
                yield piece
        if piece := text.rest():
            yield piece

    def _running(self, prompts: Sequence[str]) -> Running:
        return Running(self.engine, self.recipe, self._prompt(prompts), never_said(self._written))

    @property
    def _written(self) -> Tokenizer:
        """The tokenizer of what is written."""
        return tokens_of(self.recipe.task, self.tokenizer)

    def _prompt(self, prompts: Sequence[str]) -> Batch:
        task = self.recipe.task
        assert isinstance(task, Generates)
        cleaned = [clean(prompt, self.cleaners) for prompt in prompts]
        return task.prompt(cleaned, self.tokenizer, self.recipe.facts)

    def _tokens(
        self, running: Running, decoding: Decoding, first: int
    ) -> Iterator[tuple[int, int]]:
        """Each new token with its row; the end token is none."""
        end = self._written.end_id
        if decoding.beams == 1:
            yield from draw_tokens(running, end, decoding, first)
            return
        found = beam_search(running, end, decoding.beams, decoding.max_tokens)
        for row, tokens in enumerate(found):
            yield from ((row, token) for token in tokens)


def draw_tokens(
    running: Running, end_id: int | None, decoding: Decoding, first: int
) -> Iterator[tuple[int, int]]:
    """Each new token with its row, until every row has ended. first: the number of row 0."""
    rows = np.arange(len(running.tokens))
    for index in range(decoding.max_tokens):
        chosen = choose(running.logits, decoding, index, rows + first)
        running.add(chosen)
        written = np.ones(len(rows), bool) if end_id is None else chosen != end_id
        yield from zip(rows[written].tolist(), chosen[written].tolist(), strict=True)
        on = np.flatnonzero(written & ~running.full)
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
