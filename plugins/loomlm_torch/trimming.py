"""Batches without the columns that are padding in all of their rows.

Batches come in few widths, which whoever compiles for each of them needs, and nobody else.
"""

from __future__ import annotations

import numpy as np

from loomlm.plugin import Batch, BatchField, BatchSpec


def trimmed(batch: Batch, spec: BatchSpec) -> Batch:
    """A batch as narrow as its longest row, by `length` and `source_length`.

    As it is where there is no length, or where a size is made of the width, such as `2*time`.
    """
    wide = [one for one in spec.fields if "time" in one.shape]
    lengths = [one.name for one in spec.fields if one.name in ("length", "source_length")]
    if not wide or not lengths or any(map(_derived, spec.fields)):
        return batch
    width = max(1, *(int(batch[name].max(initial=0)) for name in lengths))
    arrays = dict(batch.arrays)
    for one in wide:
        cut = tuple(slice(width if symbol == "time" else None) for symbol in one.shape)
        arrays[one.name] = np.ascontiguousarray(batch[one.name][cut])
    return Batch(arrays)


def _derived(one: BatchField) -> bool:
    return any("time" in str(symbol) and symbol != "time" for symbol in one.shape)
