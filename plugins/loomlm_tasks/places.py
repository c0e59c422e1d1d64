"""Tokens with their places in a text, and the windows that a long text is read through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from loomlm.plugin import Columns, Locates, Ragged, Tokenizer, UsageError


@frozen
class Located:
    """Tokens of some texts. starts, ends: (tokens,) int32, in characters of the token's text."""

    ids: Ragged
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]

    def __getitem__(self, row: int) -> tuple[NDArray, NDArray, NDArray]:
        """Ids, starts and ends of a text's tokens."""
        begin, end = self.ids.offsets[row : row + 2]
        return self.ids.values[begin:end], self.starts[begin:end], self.ends[begin:end]


def located(tokenizer: Tokenizer, texts: Sequence[str], task: str) -> Located:
    """The tokens of some texts. Raises UsageError for a tokenizer that cannot say where they stand.

    task: what wants to know it.
    """
    if not isinstance(tokenizer, Locates):
        raise UsageError(
            f"tokenizer: {task} points at places of a text, and this tokenizer cannot say where "
            "its tokens stand: it has no encode_spans. Take one that can, such as "
            'tokenizer.type = "wordpiece", "bpe" or "word".'
        )
    return Located(*tokenizer.encode_spans(texts))


def windows(count: int, room: int, stride: int) -> Iterator[tuple[int, int]]:
    """Where windows of `room` tokens begin and end, `stride` apart, until all are in one.

    There is one for no token, too.
    """
    begin = 0
    while begin + room < count:
        yield begin, begin + room
        begin += stride
    yield begin, count


def ragged(rows: Sequence[NDArray], dtype: type = np.int32) -> Ragged:
    """Rows of numbers as a column."""
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return Ragged(np.concatenate([np.zeros(0, dtype), *rows]).astype(dtype), offsets)


def ragged_texts(texts: Sequence[str]) -> Ragged:
    """Texts as a column of bytes."""
    coded = [text.encode("utf-8", "surrogatepass") for text in texts]
    return ragged([np.frombuffer(text, np.uint8) for text in coded], np.uint8)


def row_of(columns: Columns, name: str, row: int) -> NDArray:
    """A row of a ragged column."""
    column = columns[name]
    assert isinstance(column, Ragged)
    return column[row]


def text_of(columns: Columns, name: str, row: int) -> str:
    """A row of a column of texts."""
    return row_of(columns, name, row).tobytes().decode("utf-8", "surrogatepass")
