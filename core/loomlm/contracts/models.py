"""Batches, layouts, backbones: what a model is, on every backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attrs import evolve, field, frozen

from loomlm.contracts.data import Arrays, Ragged, Tokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@frozen
class BatchField:
    """One array of a batch: dtype, and a shape of sizes and symbols, e.g. `("batch", "time")`."""

    name: str
    dtype: str
    shape: tuple[str | int, ...]


@frozen
class BatchSpec:
    """The arrays of a batch, and the closed set of sizes that their symbols take.

    shapes: one mapping of symbol to size for each shape that may occur; an engine that compiles
    compiles that many programs at most. It may fill rows up to a larger one of them, with zeros, or
    cut a `time` to the longest row of a batch, by `length` (batch,), which counts its places.
    """

    fields: tuple[BatchField, ...]
    shapes: tuple[Mapping[str, int], ...]


@frozen
class Batch:
    """Arrays by name, as the BatchSpec says. Every batch has `weight`."""

    arrays: Arrays

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self.arrays


@frozen
class Normal:
    """Initial values from a normal distribution with mean 0."""

    std: float


@frozen
class Uniform:
    """Initial values from [-bound, bound)."""

    bound: float


@frozen
class Constant:
    """The same initial value everywhere."""

    value: float


@frozen(kw_only=True)
class Parameter:
    """An entry of a layout: what a parameter is, the same for every backend.

    name: canonical, dotted; the name in every checkpoint. No `/`.
    role: what optimizers go by: a hidden matrix, an embedding table, the head's matrix, or a
        vector (biases, norms).
    decay: whether weight decay applies. learning_rate_scale multiplies the step's learning rate.
    tied_to: the name of the parameter whose values this one shares; it is then not stored.
    sparse: rows are updated only when a global batch touches them (see `docs/design.md`).
    depth: how far it is from the model's input, for `trainer.layer_decay`: 0 for embeddings, 1 for
        the first layer, and so on; None: as its name and role say.
    """

    name: str
    shape: tuple[int, ...]
    init: Normal | Uniform | Constant
    role: Literal["matrix", "embedding", "head", "vector"]
    decay: bool
    trainable: bool = True
    learning_rate_scale: float = 1.0
    tied_to: str | None = None
    sparse: bool = False
    depth: int | None = None


@frozen(kw_only=True)
class Head:
    """A linear layer from the backbone's hidden states to `outputs` logits.

    reads: "sequence" for one vector an example, (batch, width); "tokens" for (batch, time, width).
    vocabulary: the outputs are the tokens, so the backbone may share its embedding with the head.
    places: of a head that reads tokens, only those whose places in their row stand in the batch's
        int32 `places` (batch, places); logits are (batch, places, outputs) then.
    """

    outputs: int
    reads: Literal["sequence", "tokens"]
    bias: bool = True
    vocabulary: bool = False
    places: bool = False


@frozen(kw_only=True)
class Loss:
    """A loss that every trainer implements; the mean over a global batch, weighted by `weight`.

    cross_entropy: logits (..., classes) against int32 `label` (...).
    binary_cross_entropy: logits (..., classes) against float32 `label` (..., classes), the mean
    over classes.
    squared_error: logits (..., 1) against float32 `label` (...).
    span: logits (batch, time, 2), of a span's first and of its last token, against int32 `label`
    (batch, 2), their places: the mean of two cross-entropies over the places where the batch's
    float32 `allowed` (batch, time) is 1. `weight` is (batch,).
    label_smoothing is of the first two alone, and of training: what is reported of a split is
        `plain`, so that a perplexity is one, and compares with that of another run.
    """

    kind: Literal["cross_entropy", "binary_cross_entropy", "squared_error", "span"]
    label_smoothing: float = 0.0

    @property
    def plain(self) -> Loss:
        """The loss without label smoothing."""
        return evolve(self, label_smoothing=0.0)


@frozen(kw_only=True)
class ModelSpec:
    """All that a trainer needs to build a model: nothing in it belongs to a framework.

    layout: the parameters of the backbone, then of the head (`head.weight` (outputs, width) and,
    with a bias, `head.bias` (outputs,)).
    causal: a token's hidden state may depend on those before it alone.
    source_vocab_size: as in BackboneContext.
    """

    backbone: str
    config: Any
    vocab_size: int
    pad_id: int
    layout: tuple[Parameter, ...]
    head: Head
    causal: bool
    loss: Loss
    batch: BatchSpec
    source_vocab_size: int | None = None


@frozen(kw_only=True)
class BackboneContext:
    """What a backbone is told before its layout is made.

    reads, causal: as in Head and ModelSpec.
    vocab_size: of `tokens`, and, of an encoder-decoder, of its `source` where source_vocab_size is
        None: then one embedding is for both.
    fields: the names of the arrays of a batch, as the task makes it. Where `second` (batch,) is
        among them, a row has two texts, and says at which place the second begins, behind a token
        that parts them.
    """

    vocab_size: int
    pad_id: int
    reads: Literal["sequence", "tokens"]
    causal: bool
    source_vocab_size: int | None = None
    fields: frozenset[str] = frozenset()


@frozen(kw_only=True)
class FitContext:
    """What a backbone may learn from before training, and the seed of what it draws itself."""

    tokenizer: Tokenizer
    tokens: Ragged
    seed: int


@frozen(kw_only=True)
class Fitted:
    """Starting values that come from data or files, with sentences for the user about them.

    rows: for each parameter, the rows that it gives and their values; the others keep their
    initial values.
    """

    rows: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float32]]] = field(factory=dict)
    notes: tuple[str, ...] = ()


class Backbone(Protocol):
    """A model's body, as every backend sees it. A `backbone` target is called with its config.

    capabilities: of "sequence" (can give one vector an example), "tokens" (one a token),
    "causal", "bidirectional", "encoder_decoder" (reads a source besides: it does tasks that need
    that, and no others), "segments" (where a batch has `segment`, (batch, time), no token sees one
    with another number, and positions begin anew with each number).
    width: of the hidden states that it gives.
    longest: the most tokens that a row may have; None for any number.
    tied: the embedding that a head over the vocabulary shares; None for a head of its own.
    threads: CPU threads that its operations are worth, None for all; small ones lose by sharing.
    A backbone may have `told(tokenizer)`: the same backbone, with what `prepare` and `fit` have to
    know of the vocabulary. It is called first.
    A Builder for each backend makes the module; its parameters bear the layout's names.

    It may also have `free`: the keys of its config that may differ from those of the model that a
    stage begins with, since they do not change what its weights mean. Those that end in
    `dropout` are among them anyhow. Without `free`, nothing but shapes is compared.
    """

    capabilities: frozenset[str]
    width: int
    longest: int | None
    tied: str | None
    threads: int | None

    def parameters(self, context: BackboneContext) -> tuple[Parameter, ...]:
        """The layout."""
        ...

    def batch_spec(self, spec: BatchSpec) -> BatchSpec:
        """The task's spec with what `prepare` adds or takes away."""
        ...

    def prepare(self, batch: Batch) -> Batch:
        """Add what the module reads, in numpy; pure. Called on whole batches before cutting."""
        ...

    def fit(self, context: FitContext) -> Fitted:
        """Starting values from data or files; `Fitted()` for none."""
        ...
