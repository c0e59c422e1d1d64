"""Language modelling from left to right: each token from those before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from attrs import frozen

from loomlm.plugin import (
    Batch,
    BatchField,
    BatchSpec,
    Columns,
    DataError,
    Example,
    Facts,
    Head,
    Loss,
    Ragged,
    Tokenizer,
)
from loomlm_tasks.config import CausalLmConfig
from loomlm_tasks.padding import padded


@frozen
class CausalLm:
    """Documents end to end, an end token behind each, in rows of `context` tokens.

    Facts: `outputs`, the size of the vocabulary.
    """

    config: CausalLmConfig

    needs = frozenset({"tokens", "causal"})
    produces = "likelihood"
    default_metrics = ("perplexity", "bits_per_byte")
    stream = True

    @property
    def context(self) -> int:
        return self.config.context

    def fit(self, examples: Iterable[Example], tokenizer: Tokenizer) -> Facts:
        return {"outputs": tokenizer.vocab_size}

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, facts: Facts, labelled: bool
    ) -> Columns:
        """`tokens`, ragged, each document with its end token; `bytes`, int64 (n,)."""
        texts = [example.text for example in examples]
        sizes = [len(text.encode("utf-8", "surrogatepass")) for text in texts]
        tokens = with_end(tokenizer.encode_many(texts), tokenizer.end_id)
        return {"tokens": tokens, "bytes": np.array(sizes, np.int64)}

    def batch_spec(self, facts: Facts, shapes: Sequence[Mapping[str, int]]) -> BatchSpec:
        """tokens, label, weight (batch, time); length (batch,)."""
        return BatchSpec(
            fields=(
                BatchField("tokens", "int32", ("batch", "time")),
                BatchField("length", "int32", ("batch",)),
                BatchField("label", "int32", ("batch", "time")),
                BatchField("weight", "float32", ("batch", "time")),
            ),
            shapes=tuple(shapes),
        )

    def collate(self, rows: Columns, shape: Mapping[str, int], facts: Facts) -> Batch:
        """The label of a token is the one behind it; the last has none."""
        tokens = rows["tokens"]
        assert isinstance(tokens, Ragged)
        both, lengths = padded(tokens, shape["batch"], shape["time"] + 1)
        length = np.maximum(lengths - 1, 0)
        place = np.arange(shape["time"])
        weight = (place < length[:, None]).astype(np.float32)
        known = np.where(weight > 0, both[:, :-1], 0)
        return Batch({"tokens": known, "length": length, "label": both[:, 1:], "weight": weight})

    def prompt(self, texts: Sequence[str], tokenizer: Tokenizer, facts: Facts) -> Batch:
        """Each text's last `context` tokens; a text without any begins a document.

        Raises DataError for a text of which the vocabulary has no token.
        """
        first = tokenizer.end_id if tokenizer.end_id is not None else tokenizer.pad_id
        rows, encoded = [], tokenizer.encode_many(texts)
        for row, text in enumerate(texts):
            ids = encoded[row]
            if len(ids) and np.all(ids == tokenizer.unknown_id):
                raise DataError(
                    f"The prompt {text!r} has no character that the vocabulary knows. Write it in "
                    "the language of the training text."
                )
            rows.append(ids[-self.config.context :] if len(ids) else np.array([first]))
        offsets = np.cumsum([0, *map(len, rows)])
        joined = Ragged(np.concatenate(rows).astype(np.int32), offsets)
        tokens, lengths = padded(joined, len(rows), int(np.diff(offsets).max()))
        return Batch({"tokens": tokens, "length": lengths})

    def head(self, facts: Facts) -> Head:
        return Head(outputs=facts["outputs"], reads="tokens", bias=False, vocabulary=True)

    def loss(self, facts: Facts) -> Loss:
        return Loss(kind="cross_entropy")


def with_end(rows: Ragged, end_id: int | None) -> Ragged:
    """The rows with an end token behind each; as they are where there is none."""
    if end_id is None:
        return rows
    values = np.insert(rows.values, rows.offsets[1:], end_id)
    return Ragged(values, rows.offsets + np.arange(len(rows.offsets)))
