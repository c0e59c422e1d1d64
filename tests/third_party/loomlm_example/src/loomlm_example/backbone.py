"""A backbone as every backend sees it: its layout and what it adds to a batch, in numpy.

The layout is where initial weights, optimizers and checkpoints go by. `torch_modules.py` and
`tensorflow_modules.py` build a module each, whose parameters bear the same names: both start from
equal weights and give the same model.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen

from loomlm.plugin import (
    BackboneContext,
    Batch,
    BatchField,
    BatchSpec,
    Constant,
    FitContext,
    Fitted,
    Normal,
    Parameter,
)
from loomlm_example.config import GatedMeanConfig


@frozen
class GatedMean:
    """Mean over a text of x * sigmoid(W x + b), x being a word's embedding.

    The gate is that of Dauphin 2017 ("Language Modeling with Gated Convolutional Networks"), for
    one word at a time. See `loomlm.plugin.Backbone` for what each method is for.
    """

    config: GatedMeanConfig

    capabilities = frozenset({"sequence", "bidirectional"})
    longest = None
    tied = None
    threads = 1

    @property
    def width(self) -> int:
        return self.config.width

    def parameters(self, context: BackboneContext) -> tuple[Parameter, ...]:
        """`embedding.weight` (vocab_size, width), `gate.weight` (width, width), `gate.bias`."""
        width = self.config.width
        return (
            Parameter(
                name="embedding.weight",
                shape=(context.vocab_size, width),
                init=Normal(0.1),
                role="embedding",
                decay=False,
            ),
            Parameter(
                name="gate.weight",
                shape=(width, width),
                init=Normal(width**-0.5),
                role="matrix",
                decay=True,
            ),
            Parameter(
                name="gate.bias", shape=(width,), init=Constant(0.0), role="vector", decay=False
            ),
        )

    def batch_spec(self, spec: BatchSpec) -> BatchSpec:
        """What `prepare` makes of the task's batch: `share` (batch, time) in place of `length`."""
        kept = tuple(field for field in spec.fields if field.name != "length")
        share = BatchField("share", "float32", ("batch", "time"))
        return BatchSpec((*kept, share), spec.shapes)

    def prepare(self, batch: Batch) -> Batch:
        """Add `share`: what each place counts in its text's mean, 0 behind the text.

        Only `length` says where a text ends: the id that fills the rest may be a word's own.
        """
        length = batch["length"][:, None]
        inside = np.arange(batch["tokens"].shape[1]) < length
        arrays = {name: array for name, array in batch.arrays.items() if name != "length"}
        return Batch({**arrays, "share": (inside / np.maximum(length, 1)).astype(np.float32)})

    def fit(self, context: FitContext) -> Fitted:
        """Nothing is learnt from the data before training."""
        return Fitted()
