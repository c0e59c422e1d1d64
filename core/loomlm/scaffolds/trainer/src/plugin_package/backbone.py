"""The backbone as every backend sees it: its layout, and what it reads."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from loomlm.plugin import (
    BackboneContext,
    Batch,
    BatchField,
    BatchSpec,
    FitContext,
    Fitted,
    Normal,
    Parameter,
)

from plugin_package import AverageConfig


@frozen
class Average:
    """The mean of a text's embeddings. See `loomlm.plugin.Backbone`."""

    config: AverageConfig

    capabilities = frozenset({"sequence", "bidirectional"})
    longest = None
    tied = None
    threads = 1

    @property
    def width(self) -> int:
        return self.config.width

    def parameters(self, context: BackboneContext) -> tuple[Parameter, ...]:
        """The layout. Of a sparse table, only rows that a batch names are updated."""
        return (
            Parameter(
                name="embedding.weight",
                shape=(context.vocab_size, self.config.width),
                init=Normal(0.1),
                role="embedding",
                decay=False,
                sparse=True,
            ),
        )

    def batch_spec(self, spec: BatchSpec) -> BatchSpec:
        """What `prepare` makes: `share` (batch, time) for `length` (batch,)."""
        kept = tuple(field for field in spec.fields if field.name != "length")
        share = BatchField("share", "float32", ("batch", "time"))
        return BatchSpec((*kept, share), spec.shapes)

    def prepare(self, batch: Batch) -> Batch:
        """Add `share`: what each token counts in its text's mean, 0 behind the text."""
        length = batch["length"][:, None]
        inside = np.arange(batch["tokens"].shape[1]) < length
        share = (inside / np.maximum(length, 1)).astype(np.float32)
        arrays = {n: array for n, array in batch.arrays.items() if n != "length"}
        return Batch({**arrays, "share": share})

    def fit(self, context: FitContext) -> Fitted:
        """Nothing is learnt from the texts before training."""
        return Fitted()
