"""How often texts name a label: their own, and that of others."""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np
from attrs import frozen

from loomlm.data.examples import Split
from loomlm.data.inspection.counting import Counted
from loomlm.data.inspection.texts import pick, whole_text

WORD = re.compile(r"[^\W_]+")
SHORTEST = 3
"""Letters of a label that is looked for: "1" or "no" stands in texts for other reasons."""

SAMPLE = 5_000
LEAST_NAMED = 0.2
MORE_OFTEN = 5
"""A label gives itself away when a fifth of its texts name it, five times as often as the others:
texts about sport say "sport" now and then, and so do some about politics."""

LEAST_TEXTS = 10


@frozen
class Naming:
    """Of a label: the share of its own texts that name it, that of the others, and its rows."""

    own: float
    others: float
    rows: tuple[int, ...]


def naming(split: Split, counted: Counted) -> dict[str, Naming]:
    """The labels that texts name; of a large split, by a sample that is the same each time."""
    size = len(counted)
    rows = np.arange(size)
    if size > SAMPLE:
        rows = np.sort(np.random.default_rng(0).choice(size, SAMPLE, replace=False))
    wanted = {label: _plain(label) for label in counted.label_counts}
    wanted = {
        label: words
        for label, words in wanted.items()
        if len(words.strip()) >= SHORTEST and not words.strip().isdigit()
    }
    if not wanted:
        return {}
    own: defaultdict[str, list[int]] = defaultdict(list)
    others: defaultdict[str, int] = defaultdict(int)
    totals: defaultdict[str, int] = defaultdict(int)
    for row, example in zip(rows.tolist(), pick(split, rows), strict=True):
        labels = counted.labels[row]
        text = _plain(whole_text(example))
        for label in labels:
            totals[label] += 1
        for label, words in wanted.items():
            if words in text:
                if label in labels:
                    own[label].append(row)
                else:
                    others[label] += 1
    return {
        label: Naming(
            len(named) / totals[label],
            others[label] / max(len(rows) - totals[label], 1),
            tuple(named),
        )
        for label, named in own.items()
        if totals[label] >= LEAST_TEXTS
    }


def _plain(text: str) -> str:
    """The words of a text in small letters, a space around each."""
    return f" {' '.join(WORD.findall(text.lower()))} "
