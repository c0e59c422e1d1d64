"""The backbone as every backend sees it, in numpy: its layout, and what it reads.

The layout is what initial weights, optimizers and checkpoints go by. `torch_module.py`
and `tensorflow_module.py` build a module each, whose parameters bear the same names: so
both begin with equal weights, compute the same, and each reads what the other saved.
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

from plugin_package import PhrasesConfig


@frozen
class Phrases:
    """max over a text of relu(W x + b), x being embeddings of a few tokens in a row.

    That is the convolution of Kim 2014 ("Convolutional Neural Networks for Sentence
    Classification"), with detectors of one length. What each attribute and method is
    for, `loomlm.plugin.Backbone` says.
    """

    config: PhrasesConfig

    # One vector a text, which may depend on all of its tokens; none for each token.
    capabilities = frozenset({"sequence", "bidirectional"})
    longest = None
    tied = None
    threads = None

    @property
    def width(self) -> int:
        return self.config.phrases

    def parameters(self, context: BackboneContext) -> tuple[Parameter, ...]:
        """The layout: a table of embeddings, then the detectors as one matrix."""
        config = self.config
        read = config.words * config.width
        return (
            Parameter(
                name="embedding.weight",
                shape=(context.vocab_size, config.width),
                init=Normal(0.5),
                role="embedding",
                decay=False,
            ),
            Parameter(
                name="detectors.weight",
                shape=(config.phrases, read),
                init=Normal((2 / read) ** 0.5),  # He 2015, for relu
                role="matrix",
                decay=True,
            ),
            Parameter(
                name="detectors.bias",
                shape=(config.phrases,),
                init=Constant(0.0),
                role="vector",
                decay=False,
            ),
        )

    def batch_spec(self, spec: BatchSpec) -> BatchSpec:
        """What `prepare` makes: `inside` (batch, time) for `length` (batch,)."""
        kept = tuple(field for field in spec.fields if field.name != "length")
        inside = BatchField("inside", "float32", ("batch", "time"))
        return BatchSpec((*kept, inside), spec.shapes)

    def prepare(self, batch: Batch) -> Batch:
        """Add `inside`: 1 in a text, 0 behind it.

        Only `length` says where a text ends: what fills a row may be a word's id, too.
        """
        arrays = {n: array for n, array in batch.arrays.items() if n != "length"}
        place = np.arange(batch["tokens"].shape[1])
        inside = (place < batch["length"][:, None]).astype(np.float32)
        return Batch({**arrays, "inside": inside})

    def fit(self, context: FitContext) -> Fitted:
        """Nothing is learnt from the texts before training."""
        return Fitted()
