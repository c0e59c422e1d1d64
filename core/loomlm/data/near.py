"""Near-duplicates: texts that share most of their shingles, found by MinHash and banding.

Broder 1997, "On the resemblance and containment of documents"; banding as in Leskovec, Rajaraman
and Ullman, "Mining of massive datasets", section 3.4.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loomlm.errors import UsageError

Hashes = NDArray[np.uint64]

# Scripts without spaces between words, Thai to Khmer, kana and Han: each character is a word.
ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
    "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
WORD = re.compile(rf"[{ALONE}]|[^\W{ALONE}]+")
BATCH = 1 << 22
"""Characters of the texts whose signatures are computed together, about."""
REMEMBERED = 1 << 18
FOUND = 0.99
"""How likely a pair whose similarity is the threshold is to be looked at."""
SEED = 17
STEP = np.uint64(0x9E3779B97F4A7C15)


def near_duplicates(
    texts: Iterable[str],
    threshold: float = 0.8,
    *,
    words: int = 3,
    permutations: int = 128,
    kept: int = 0,
) -> NDArray[np.int64]:
    """What `loomlm.plugin.near_duplicates` says."""
    assert iter(texts) is not texts, "texts are read twice"
    rows = _rows_of_a_band(threshold, permutations)
    meetings = _Meetings(*_band_keys(texts, words, permutations, rows))
    first = np.full(len(meetings), -1, np.int64)
    members: defaultdict[int, list[int]] = defaultdict(list)
    sets: dict[int, Hashes] = {}
    memory = _Memory()
    for row, text in enumerate(texts):
        groups = meetings.of(row)
        if not groups:
            continue
        mine = np.unique(_shingles([text], words, memory)[0])
        if row >= kept:
            others = sorted({other for group in groups for other in members[group]})
            first[row] = _first_near(mine, others, sets, threshold)
            if first[row] >= 0:
                continue
        sets[row] = mine
        for group in groups:
            members[group].append(row)
    return first


def _rows_of_a_band(threshold: float, permutations: int) -> int:
    """The most rows of a band with which a pair at the threshold is still FOUND."""
    likely = [
        rows
        for rows in range(1, permutations + 1)
        if 1 - (1 - threshold**rows) ** (permutations // rows) >= FOUND
    ]
    return max(likely, default=1)


class _Memory(dict[str, int]):
    """The 64-bit hash of each word, the same in every process."""

    def __missing__(self, word: str) -> int:
        if len(self) >= REMEMBERED:
            self.clear()
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self[word] = found = int.from_bytes(digest, "little")
        return found


def _shingles(
    texts: Sequence[str], words: int, memory: _Memory
) -> tuple[Hashes, NDArray[np.int64]]:
    """The hashes of the shingles of all texts, end to end, and how many each text has."""
    each = [
        np.fromiter(map(memory.__getitem__, WORD.findall(text.casefold())), np.uint64)
        for text in texts
    ]
    lengths = np.fromiter(map(len, each), np.int64, len(each))
    flat = np.concatenate(each)
    # A word's hash is multiplied once for each word behind it, so that order counts.
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    place = np.arange(len(flat)) - starts
    hashes = flat.copy()
    for back in range(1, words):
        earlier = np.zeros_like(flat)
        earlier[back:] = flat[:-back] if back < len(flat) else 0
        hashes += np.where(place >= back, earlier, 0) * STEP ** np.uint64(back)
    whole = place >= np.minimum(words, np.repeat(lengths, lengths)) - 1
    return _mixed(hashes[whole]), np.minimum(lengths, np.maximum(lengths - words + 1, 1))


def _mixed(hashes: Hashes) -> Hashes:
    """Each bit of the result depends on all (the finalizer of SplitMix64, Steele 2014)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def _band_keys(
    texts: Iterable[str], words: int, permutations: int, rows: int
) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """(texts, bands): texts that agree in a band have the same key there; (texts,): with words."""
    library, memory = _library(), _Memory()
    bands = permutations // rows
    weights = _mixed(np.arange(1, rows + 1, dtype=np.uint64))
    keys, worded = [np.empty((0, bands), np.uint32)], [np.empty(0, np.bool_)]
    for batch in _batches(texts):
        hashes, counts = _shingles(batch, words, memory)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)
        digests = library.digest_matrix_from_flat_token_hashes(hashes, offsets, permutations, SEED)
        values = np.array(digests.to_rows(), np.uint64)[:, : bands * rows]
        mixed = _mixed((values.reshape(len(batch), bands, rows) * weights).sum(2))
        keys.append((mixed >> np.uint64(32)).astype(np.uint32))
        worded.append(counts > 0)
    return np.concatenate(keys), np.concatenate(worded)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch, size = [], 0
    for text in texts:
        batch.append(text)
        size += len(text) + BATCH // 4096  # an empty one is not free either
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _library() -> Any:
    try:
        rensa = import_module("rensa")
    except ImportError as error:
        raise UsageError(
            "Near-duplicates are found with rensa, which is not installed: "
            'pip install "loomlm[data]"'
        ) from error
    return rensa.RMinHash


class _Meetings:
    """Which texts meet in a band: groups of at least two whose keys agree there."""

    def __init__(self, keys: NDArray[np.uint32], worded: NDArray[np.bool_]) -> None:
        rows, groups, count = [], [], 0
        these = np.flatnonzero(worded)
        for band in keys.T:
            order = these[np.argsort(band[these], kind="stable")]
            run = np.cumsum(np.diff(band[order], prepend=band[order][:1]) != 0)
            met = np.bincount(run)[run] > 1 if len(run) else np.empty(0, np.bool_)
            rows.append(order[met])
            groups.append(run[met] + count)
            count += len(order)
        row = np.concatenate(rows)
        order = np.argsort(row, kind="stable")
        self._groups = np.concatenate(groups)[order]
        self._offsets = np.searchsorted(row[order], np.arange(len(keys) + 1))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def of(self, row: int) -> list[int]:
        """The groups of a text."""
        return self._groups[self._offsets[row] : self._offsets[row + 1]].tolist()


def _first_near(mine: Hashes, others: list[int], sets: dict[int, Hashes], threshold: float) -> int:
    """The first of the others whose set is near enough, or -1. Sets are sorted."""
    if not others:
        return -1
    sizes = np.array([len(sets[other]) for other in others])
    theirs = np.concatenate([sets[other] for other in others])
    places = np.minimum(np.searchsorted(mine, theirs), len(mine) - 1)
    shared = np.add.reduceat(mine[places] == theirs, np.cumsum(sizes) - sizes, dtype=np.int64)
    near = np.flatnonzero(shared / (len(mine) + sizes - shared) >= threshold)
    return others[near[0]] if len(near) else -1
