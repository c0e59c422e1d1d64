"""One text a row, or two with an end token between, as tasks of whole texts read them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loomlm.plugin import BatchField, Columns, DataError, Example, Ragged, Tokenizer
from loomlm_tasks.padding import padded

SECOND = "second"
"""The array of a batch that says at which place of a row its second text begins, int32."""


def encoded(
    examples: Sequence[Example], tokenizer: Tokenizer, most: int, pair: bool
) -> dict[str, Ragged | np.ndarray]:
    """`tokens`, ragged, of at most `most` a row; with pair, `second`, int32 (n,), besides.

    Raises DataError where there is a second text and none is read, or the other way round.
    """
    check_texts(examples, pair)
    first = tokenizer.encode_many([example.text for example in examples])
    if not pair:
        return {"tokens": cut(first, np.full(len(first), most))}
    second = tokenizer.encode_many([example.extra["pair"] for example in examples])
    between = tokenizer.end_id if tokenizer.end_id is not None else tokenizer.pad_id
    tokens, places = joined(first, second, between, most)
    return {"tokens": tokens, SECOND: places}


def check_texts(examples: Sequence[Example], pair: bool) -> None:
    """Raises DataError, with its place, for an example that has not the texts that are read."""
    for example in examples:
        if pair != ("pair" in example.extra):
            raise DataError(
                f"{example.place}: the example has no second text. Name its column: "
                'data = { pair = "..." }.'
                if pair
                else f"{example.place}: the example has a second text, and the task reads one. "
                "Set task = { pair = true }, or take `pair` out of the data table."
            )


def joined(first: Ragged, second: Ragged, between: int, most: int) -> tuple[Ragged, np.ndarray]:
    """Rows of both texts with a token between, and where the second begins, int32 (n,).

    A row that would have more than `most` tokens loses the last ones of the longer text, until both
    are equally long, and then of either (longest first, as BERT's).
    """
    lengths, others = np.diff(first.offsets), np.diff(second.offsets)
    room = most - 1
    kept = np.minimum(lengths, np.maximum(room - room // 2, room - others))
    left = np.minimum(others, room - kept)
    one, two = cut(first, kept), cut(second, left)
    offsets = np.zeros(len(kept) + 1, np.int64)
    np.cumsum(kept + left + 1, out=offsets[1:])
    values = np.full(offsets[-1], between, np.int32)
    values[_within(offsets[:-1], kept)] = one.values
    values[_within(offsets[:-1] + kept + 1, left)] = two.values
    return Ragged(values, offsets), (kept + 1).astype(np.int32)


def cut(rows: Ragged, most: np.ndarray) -> Ragged:
    """The first tokens of each row, at most so many, (n,)."""
    lengths = np.diff(rows.offsets)
    if (lengths <= most).all():
        return rows
    kept = np.minimum(lengths, most)
    offsets = np.zeros_like(rows.offsets)
    np.cumsum(kept, out=offsets[1:])
    return Ragged(rows.values[_within(rows.offsets[:-1], kept)], offsets)


def _within(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The places `starts[i]`, `starts[i] + 1`, ..., of which each row has `counts[i]`."""
    before = np.cumsum(counts) - counts
    return np.arange(counts.sum()) + np.repeat(starts - before, counts)


def fields(pair: bool) -> tuple[BatchField, ...]:
    """The arrays that `read` makes."""
    second = (BatchField(SECOND, "int32", ("batch",)),) if pair else ()
    return (
        BatchField("tokens", "int32", ("batch", "time")),
        BatchField("length", "int32", ("batch",)),
        *second,
    )


def read(rows: Columns, height: int, width: int) -> dict[str, np.ndarray]:
    """A padded batch of rows as `encoded` gives them: tokens, length, and second."""
    tokens = rows["tokens"]
    assert isinstance(tokens, Ragged)
    ids, lengths = padded(tokens, height, width)
    found = {"tokens": ids, "length": lengths}
    if SECOND in rows:
        found[SECOND] = np.zeros(height, np.int32)
        found[SECOND][: len(tokens)] = rows[SECOND]
    return found
