"""Cuts a missing validation or test split off the training examples."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import ceil

import numpy as np

from loomlm.config.settings import SplitConfig
from loomlm.data.examples import Split
from loomlm.errors import DataError

FOLD = b"fold"
"""What tells the hash that chooses a text's fold from that which chooses its split."""


def cut_splits(given: dict[str, Split], config: SplitConfig, seed: int) -> dict[str, Split]:
    """The given splits, with validation and test cut off train where they are asked for.

    A split that the source has itself is kept as it is. Shares are of the uncut training split.
    By position, the last part of each source is taken, and one single text is cut itself: its last
    characters are validation, then test.
    `random` with `stratify` keeps each label's share to within one example.

    With `fold`, one of `folds` parts of what training has left is the validation split.

    Raises DataError when nothing would be left to train on, or a cut would be empty.
    """
    if config.folds is None or config.fold is None:
        return _cut_shares(given, config, seed)
    if "validation" in given:
        raise DataError(
            "The data has a validation split of its own, and the folds of training are to be one. "
            "Leave the data's out, or run without --folds."
        )
    cut = _cut_shares(given, config, seed)
    return {**cut, **_fold(cut["train"], config.folds, config.fold - 1, config, seed)}


def _cut_shares(given: dict[str, Split], config: SplitConfig, seed: int) -> dict[str, Split]:
    shares = {
        name: share
        for name, share in (("validation", config.validation), ("test", config.test))
        if share is not None and name not in given
    }
    if not shares:
        return given
    train = given["train"]
    if config.by == "position" and len(train) == 1:
        return {**given, **_cut_text(train, shares)}
    parts = _assign(train, shares, config, seed)
    for name, rows in parts.items():
        if not len(rows):
            way = (
                'split.by = "position" cuts a single text itself.'
                if len(train) == 1
                else "Change data.split, or give more data."
            )
            raise DataError(
                f"The cut leaves no example for {name}: there are {len(train)} in all. {way}"
            )
    cut = {name: Split(train.store, rows) for name, rows in parts.items()}
    return {**given, **cut}


def _fold(
    train: Split, folds: int, number: int, config: SplitConfig, seed: int
) -> dict[str, Split]:
    """A part of the training split for validation, and the others.

    At random each label's examples are dealt out in turn, so that parts differ by one example of
    it at most; by position a part is a piece of each source; by hash a text decides.
    """
    if train.part != (0.0, 1.0) or len(train) < folds:
        raise DataError(
            f"{len(train)} training example{'' if len(train) == 1 else 's'} cannot be cut into "
            f"{folds} folds. Give more data, or fewer folds."
        )
    dealt = np.zeros(len(train), np.int64)
    if config.by == "hash":
        dealt[:] = [int(_point(example.text, FOLD) * folds) for example in train.examples()]
    elif config.by == "position":
        dealt[:] = np.concatenate([np.arange(n) * folds // n for n in train.parts if n])
    else:
        order = _shuffled(train, config, seed)
        groups = _groups(order, train.labels()) if config.stratify else [order]
        dealt[np.concatenate(groups)] = np.arange(len(train)) % folds
    held = dealt == number
    if held.all() or not held.any():
        raise DataError(
            f"Fold {number + 1} of {folds} would have {'all' if held.all() else 'none'} of the "
            f"{len(train)} training examples. Give fewer folds, or cut at random."
        )
    return {
        "train": Split(train.store, train.rows[~held]),
        "validation": Split(train.store, train.rows[held]),
    }


def _shuffled(train: Split, config: SplitConfig, seed: int) -> np.ndarray:
    generator = np.random.default_rng(config.seed if config.seed is not None else seed)
    return generator.permutation(len(train))


def _cut_text(train: Split, shares: dict[str, float]) -> dict[str, Split]:
    """Parts of one text: what is tested on comes last."""
    start = 1 - sum(shares.values())
    parts = {"train": Split(train.store, train.rows, (0.0, start))}
    for name, share in sorted(shares.items(), reverse=True):
        parts[name] = Split(train.store, train.rows, (start, start + share))
        start += share
    return parts


def _assign(
    train: Split, shares: dict[str, float], config: SplitConfig, seed: int
) -> dict[str, np.ndarray]:
    if config.by == "hash":
        return _by_hash(train, shares)
    if config.by == "position":
        # Of each source the last part, or all that is held out would be of the last one.
        parts = np.split(np.arange(len(train)), np.cumsum(train.parts)[:-1])
        groups = [part[::-1] for part in parts]
        # In time's order, what is tested on comes last.
        shares = dict(sorted(shares.items()))
    else:
        order = _shuffled(train, config, seed)
        groups = _groups(order, train.labels()) if config.stratify else [order]
    return _cut(train, groups, shares)


def _groups(order: np.ndarray, labels: Sequence[str]) -> list[np.ndarray]:
    """The rows of each label, in the order given."""
    _, codes = np.unique(np.asarray(labels, dtype=object), return_inverse=True)
    by_label = order[np.argsort(codes[order], kind="stable")]
    sizes = np.bincount(codes)
    return np.split(by_label, np.cumsum(sizes)[:-1])


def _cut(train: Split, groups: list[np.ndarray], shares: dict[str, float]) -> dict[str, np.ndarray]:
    """Take each share off the front of every group; the remainders are rounded over all groups."""
    parts: dict[str, np.ndarray] = {}
    taken = [0] * len(groups)
    for name, share in shares.items():
        room = [len(group) - start for group, start in zip(groups, taken, strict=True)]
        quotas = [len(group) * share for group in groups]
        counts = _apportion(quotas, room, len(train) * share)
        rows = [
            group[start : start + count]
            for group, start, count in zip(groups, taken, counts, strict=True)
        ]
        taken = [start + count for start, count in zip(taken, counts, strict=True)]
        parts[name] = np.sort(train.rows[np.concatenate(rows)])
    rest = [group[start:] for group, start in zip(groups, taken, strict=True)]
    parts["train"] = np.sort(train.rows[np.concatenate(rest)])
    return parts


def _apportion(quotas: list[float], room: list[int], total: float) -> list[int]:
    """Whole numbers near the quotas whose sum is the total, rounded up as scikit-learn does.

    The largest remainders are rounded up first.
    room: the most that each may be; an earlier split may have taken a small group whole.
    """
    counts = [min(int(quota), most) for quota, most in zip(quotas, room, strict=True)]
    missing = ceil(total - 1e-9) - sum(counts)
    with_room = (i for i, count in enumerate(counts) if count < room[i])
    by_remainder = sorted(with_room, key=lambda i: (counts[i] - quotas[i], i))
    for index in by_remainder[:missing]:
        counts[index] += 1
    return counts


def _by_hash(train: Split, shares: dict[str, float]) -> dict[str, np.ndarray]:
    """Each text's own hash decides, so that an example stays where it is when data is added."""
    points = np.array([_point(example.text) for example in train.examples()])
    parts: dict[str, np.ndarray] = {}
    low = 0.0
    for name, share in shares.items():
        parts[name] = train.rows[(points >= low) & (points < low + share)]
        low += share
    parts["train"] = train.rows[points >= low]
    return parts


def _point(text: str, of: bytes = b"") -> float:
    """Where in [0, 1) a text falls. of: what is decided by it, one thing apart from another."""
    content = text.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(content, digest_size=8, person=of).digest()
    return int.from_bytes(digest, "big") / 2**64
