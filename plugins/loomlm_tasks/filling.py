"""Texts with masks that a model is to fill: what it reads, and the words that it gives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from loomlm.plugin import Columns, DataError, Ragged, Tokenizer
from loomlm_tasks.config import MaskedLmConfig

MASK = re.compile(r"\[MASK\]|<mask>", re.IGNORECASE)
"""What stands for a mask in a text."""


def encode_open(
    texts: Sequence[str], tokenizer: Tokenizer, mask: int, config: MaskedLmConfig
) -> Columns:
    """`tokens` and `places`, ragged: texts between end tokens, as they stand in training.

    Of a text that is longer than the context, the part around its masks. Raises DataError where
    they stand too far apart.
    """
    strip = _spaces_go_with_words(tokenizer)
    cut = [MASK.split(text) for text in texts]
    pieces = [
        piece.rstrip(" ") if strip and index < len(parts) - 1 else piece
        for parts in cut
        for index, piece in enumerate(parts)
    ]
    encoded = tokenizer.encode_many(pieces)
    end = [] if tokenizer.end_id is None else [tokenizer.end_id]
    # The end of a packed document is not read.
    behind = [] if config.packing == "bfd" else end
    rows, places, at = [], [], 0
    for parts, text in zip(cut, texts, strict=True):
        ids, found = [*end], []
        for index in range(len(parts)):
            if index:
                found.append(len(ids))
                ids.append(mask)
            ids += encoded[at + index].tolist()
        at += len(parts)
        ids, found = _around(ids + behind, found, config.context, text)
        rows.append(ids or [mask])
        places.append(found)
    return {"tokens": _ragged(rows), "places": _ragged(places)}


def _spaces_go_with_words(tokenizer: Tokenizer) -> bool:
    """Whether a word's token has the space in front of it: then none stands before a mask."""
    whole, left, right = _each(tokenizer, ["a b", "a ", "b"])
    return whole != left + right


def _each(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    rows = tokenizer.encode_many(texts)
    return [rows[index].tolist() for index in range(len(texts))]


def _around(
    ids: list[int], places: list[int], context: int, text: str
) -> tuple[list[int], list[int]]:
    """At most `context` tokens with all the masks among them."""
    if len(ids) <= context:
        return ids, places
    first, last = (places[0], places[-1]) if places else (0, 0)
    if last - first >= context:
        raise DataError(
            f"The masks of {text[:60]!r} stand {last - first + 1:,} tokens apart, and the model "
            f"reads {context:,}. Give it a shorter text, or one mask at a time."
        )
    start = min(max((first + last + 1 - context) // 2, 0), len(ids) - context)
    return ids[start : start + context], [place - start for place in places]


def _ragged(rows: Sequence[Sequence[int]]) -> Ragged:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Ragged(np.array([number for row in rows for number in row], np.int32), offsets)


def filled(
    logits: np.ndarray,
    rows: Columns,
    tokenizer: Tokenizer,
    special: Sequence[int],
    candidates: int,
) -> list[dict[str, Any]]:
    """What a model says of each row; see `MaskedLm.filled`. logits: (rows, places, outputs)."""
    tokens, places = rows["tokens"], rows["places"]
    assert isinstance(tokens, Ragged)
    assert isinstance(places, Ragged)
    found = []
    for row, scores in enumerate(logits):
        ids, masks = tokens[row].tolist(), []
        if not len(places[row]):
            raise DataError(
                f"There is no mask in {tokenizer.decode(ids)[:60]!r}. Write [MASK] where a word is "
                "wanted."
            )
        for place, each in zip(places[row].tolist(), scores, strict=False):
            odds = each.astype(np.float64)
            odds = np.exp(odds - odds.max())
            odds /= odds.sum()
            odds[list(special)] = 0
            best = np.argsort(-odds, kind="stable")[:candidates].tolist()
            words = [tokenizer.decode([number]).strip() for number in best]
            masks.append(
                [
                    {"word": word, "score": float(odds[number])}
                    for word, number in zip(words, best, strict=True)
                ]
            )
            ids[place] = best[0]
        found.append({"filled": tokenizer.decode(ids).strip(), "masks": masks})
    return found
