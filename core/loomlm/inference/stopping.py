"""Where what is written ends besides its end token, and how likely it is: row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from attrs import define, field

from loomlm.contracts import Tokenizer
from loomlm.inference.decoding import Written, log_of

BYTES = 4
"""Tokens that a character may take: those of its bytes."""


@define
class Watch:
    """Looks at each token of some rows as it is chosen.

    count: of rows. stop: texts that end a row. scored: whether probabilities are wanted.
    """

    tokenizer: Tokenizer
    count: int
    stop: Sequence[str]
    scored: bool
    rows: list[Written] = field(init=False)
    _tail: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rows = [Written() for _ in range(self.count)]
        self._tail = BYTES * (1 + max(map(len, self.stop), default=0))

    def __call__(
        self, rows: np.ndarray, logits: np.ndarray, chosen: np.ndarray, said: np.ndarray
    ) -> np.ndarray:
        """Which of some rows are over now, (n,), for a stop in their text.

        logits: (n, outputs). chosen: (n,) tokens. said: (n,), whether each is part of the text.
        """
        if self.scored:
            for row, log in zip(rows.tolist(), log_of(logits, chosen).tolist(), strict=True):
                self.rows[row].log += log
                self.rows[row].count += 1
        for row, token, part in zip(rows.tolist(), chosen.tolist(), said.tolist(), strict=True):
            if part:
                self.rows[row].tokens.append(token)
        if not self.stop:
            return np.zeros(len(rows), bool)
        return np.array([self._stopped(self.rows[row].tokens) for row in rows.tolist()], bool)

    def _stopped(self, tokens: list[int]) -> bool:
        # A stop ends with the newest token, or it would have been seen before.
        text = self.tokenizer.decode(tokens[-self._tail :])
        return any(stop in text for stop in self.stop)


def cut(text: str, stop: Sequence[str]) -> str:
    """A text up to the first of some stops: the one that was whole first, as it was written."""
    found = [(at + len(one), at) for one in stop if (at := text.find(one)) >= 0]
    return text[: min(found)[1]] if found else text


def cut_stream(pieces: Iterable[str], stop: Sequence[str]) -> Iterator[str]:
    """The pieces of a text up to the first of some stops; what may begin one is held back."""
    held = ""
    for piece in pieces:
        held += piece
        sure = cut(held, stop)
        if len(sure) < len(held):
            held = sure
            break
        most = max((_begun(held, one) for one in stop), default=0)
        sure, held = held[: len(held) - most], held[len(held) - most :]
        if sure:
            yield sure
    if held:
        yield held


def strip_stream(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces of a text without the white space around it."""
    held, begun = "", False
    for piece in pieces:
        held += piece
        sure = held.rstrip()
        if not begun:
            sure = sure.lstrip()
        if sure:
            held = held[len(held.rstrip()) :]
            begun = True
            yield sure


def _begun(text: str, stop: str) -> int:
    """Characters at the end of a text that a stop begins with."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
