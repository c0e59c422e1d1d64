"""Where in a text its tokens stand, as the library keeps it through all that it changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import tokenizers
from numpy.typing import NDArray

from loomlm.plugin import Ragged
from loomlm_tokenizers.fast import spans
from loomlm_tokenizers.training import well_formed

CHUNK, PART = 1000, 1 << 20
"""At most so many texts, and about so many characters, are with the library at once."""


def located(
    tokenizer: tokenizers.Tokenizer, texts: Sequence[str]
) -> tuple[Ragged, NDArray[np.int32], NDArray[np.int32]]:
    """Ids of each text, and the start and end of each of them: see `loomlm.plugin.Locates`."""
    ids: list[NDArray[np.int32]] = []
    places: list[NDArray[np.int32]] = []
    for part in spans(texts, PART, CHUNK):
        given = list(texts[part])
        clean = [well_formed(text) for text in given]
        encoded = tokenizer.encode_batch(clean, add_special_tokens=False)
        for text, known, row in zip(given, clean, encoded, strict=True):
            ids.append(np.array(row.ids, np.int32))
            flat = np.fromiter(chain.from_iterable(row.offsets), np.int32, 2 * len(row.offsets))
            found = _trimmed(known, flat.reshape(-1, 2))
            places.append(found if len(known) == len(text) else _before(text)[found])
    offsets = np.zeros(len(ids) + 1, np.int64)
    np.cumsum([len(row) for row in ids], out=offsets[1:])
    values = np.concatenate(ids) if ids else np.zeros(0, np.int32)
    starts, ends = (np.concatenate(places) if places else np.zeros((0, 2), np.int32)).T
    return Ragged(values, offsets), starts, ends


def _trimmed(text: str, places: NDArray[np.int32]) -> NDArray[np.int32]:
    """Places (tokens, 2) without white space at their ends.

    Its first character that is none is a table's: a text has many tokens, and is gone through once.
    """
    blank = np.array([character.isspace() for character in text], bool)
    at = np.arange(len(text), dtype=np.int32)
    following = np.full(len(text) + 1, len(text), np.int32)
    following[:-1] = np.minimum.accumulate(np.where(blank, len(text), at)[::-1])[::-1]
    behind = np.zeros(len(text) + 1, np.int32)
    behind[1:] = np.maximum.accumulate(np.where(blank, 0, at + 1))
    starts = np.minimum(following[places[:, 0]], places[:, 1])
    ends = np.maximum(behind[places[:, 1]], starts)
    return np.stack([starts, ends], axis=1)


def _before(text: str) -> NDArray[np.int32]:
    """Of each place in the well-formed text the one in the text, which has halves of pairs."""
    data = text.encode("utf-16-le", "surrogatepass")
    units = np.frombuffer(data, "<u2")
    second = np.zeros(len(units), bool)
    second[1:] = (units[1:] >> 10 == 0x37) & (units[:-1] >> 10 == 0x36)
    # A pair that the text has as two halves is one character of the other, and two of its own.
    whole = np.array([ord(c) > 0xFFFF for c in text for _ in range(1 + (ord(c) > 0xFFFF))], bool)
    own = np.cumsum(~(second & whole)) - 1
    return np.append(own[~second], len(text)).astype(np.int32)
