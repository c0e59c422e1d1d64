"""Looks at a split and says what it is like: sizes, labels, lengths."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable

import numpy as np

from loomlm.contracts import DataSummary, Example

TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*(\s[^<>]*)?/?>")
PERCENTILES = (0.5, 0.95, 1.0)
SAMPLE = 1500


def summarize(examples: Iterable[Example]) -> DataSummary:
    """One pass over the examples; holds a number for each, and the texts of a sample."""
    labels: Counter[str] = Counter()
    words: list[int] = []
    characters = markup = 0
    multi_label = False
    sample: list[Example] = []
    draw = random.Random(0)
    for example in examples:
        if len(words) < SAMPLE:
            sample.append(example)
        elif (place := draw.randrange(len(words) + 1)) < SAMPLE:
            sample[place] = example  # Vitter 1985, algorithm R: each is as likely to be in it
        words.append(len(example.text.split()))
        characters += len(example.text)
        markup += bool(TAG.search(example.text))
        if isinstance(example.label, str):
            labels[example.label] += 1
        elif example.label is not None:
            multi_label = True
            labels.update(example.label)
    lengths = np.array(words or [0])
    return DataSummary(
        examples=len(words),
        labels=dict(sorted(labels.items())),
        multi_label=multi_label,
        words={p: int(np.quantile(lengths, p, method="higher")) for p in PERCENTILES},
        total_words=int(lengths.sum()),
        characters=characters,
        markup=markup / max(len(words), 1),
        sample=tuple(sample),
    )
