"""Examples of a split, as inspection reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from attrs import evolve

from loomlm.contracts import Example
from loomlm.data.examples import Split

CHUNK = 1024


def whole_text(example: Example) -> str:
    """All that an example says: its text, and its further texts, a line each."""
    return "\n".join((example.text, *example.extra.values())) if example.extra else example.text


def whole_texts(split: Split) -> Iterator[str]:
    """All that each example says, in order."""
    for chunk in split.chunks(CHUNK):
        for example in chunk:
            yield whole_text(example)


def pick(split: Split, rows: Sequence[int] | np.ndarray) -> list[Example]:
    """Some examples, in the order given."""
    chosen = evolve(split, rows=split.rows[np.asarray(rows, np.int64)])
    return list(chosen.examples())


def labels_of(example: Example) -> tuple[str, ...]:
    """An example's labels, none where it has none."""
    if example.label is None:
        return ()
    return (example.label,) if isinstance(example.label, str) else example.label
