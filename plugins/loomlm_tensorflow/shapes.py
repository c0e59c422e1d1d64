"""The shapes that batches come in: few, since each is traced and compiled by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from loomlm.plugin import Batch, BatchField

PROGRAMS = 8
"""The most shapes that a step is traced and compiled for."""


def kept_shapes(shapes: Sequence[Mapping[str, int]]) -> list[Mapping[str, int]]:
    """At most PROGRAMS of a batch's shapes, smallest first, the largest among them.

    Each costs seconds to compile. Every second one is left out until they are few enough.
    """
    kept = sorted(shapes, key=lambda shape: [n for symbol, n in shape.items() if symbol != "batch"])
    while len(kept) > PROGRAMS:
        kept = kept[::-1][::2][::-1]
    return kept


def padded(
    batch: Batch, fields: Sequence[BatchField], shapes: Sequence[Mapping[str, int]]
) -> Batch:
    """A batch in the first of the shapes that it fits, with zeros behind; as it is if none fits.

    The number of rows stays: it is that of a microbatch.
    """
    sizes = {
        symbol: batch[one.name].shape[axis]
        for one in fields
        for axis, symbol in enumerate(one.shape)
        if isinstance(symbol, str) and axis
    }
    wanted = next((s for s in shapes if all(s[name] >= sizes[name] for name in sizes)), sizes)
    if all(wanted[name] == size for name, size in sizes.items()):
        return batch
    arrays = dict(batch.arrays)
    for one in fields:
        array = arrays[one.name]
        behind = [
            (0, wanted[symbol] - size if axis and isinstance(symbol, str) else 0)
            for axis, (symbol, size) in enumerate(zip(one.shape, array.shape, strict=True))
        ]
        arrays[one.name] = np.pad(array, behind)
    return Batch(arrays)


def stacked(microbatches: Sequence[Batch], count: int) -> dict[str, np.ndarray]:
    """Microbatches as one array each, (microbatches, rows, ...), at least so many.

    Smaller ones are filled up with their last row, and missing ones with the last one's: their
    weight is 0, so they count for nothing, and they name no row of a sparse table that the batch
    does not.
    """
    count = max(count, len(microbatches))
    found = {}
    for name in microbatches[0].arrays:
        arrays = [batch[name] for batch in microbatches]
        rows = max(map(len, arrays))
        if count == 1:
            found[name] = arrays[0][None]
            continue
        whole = np.zeros((count, rows, *arrays[0].shape[1:]), arrays[0].dtype)
        for index, place in enumerate(whole):
            array = arrays[min(index, len(arrays) - 1)]
            if name != "weight":
                place[:] = array[-1:]
            if name != "weight" or index < len(arrays):
                place[: len(array)] = array
        found[name] = whole
    return found
