"""The task `copy`: the target is the source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from attrs import frozen

from loomlm.plugin import (
    Batch,
    BatchField,
    BatchSpec,
    Columns,
    Example,
    Facts,
    Head,
    Loss,
    Ragged,
    Tokenizer,
)
from loomlm_copying.config import CopyConfig


@frozen
class Copy:
    """Facts: `outputs`, the size of the vocabulary; `end`, the token that begins and ends a target.

    Columns: `source` and `tokens`, the target with `end` on both sides; `length`, of the longer.
    """

    config: CopyConfig

    needs = frozenset({"tokens", "encoder_decoder"})
    produces = "likelihood"
    default_metrics = ("perplexity",)
    stream = False

    @property
    def context(self) -> int:
        return self.config.context

    def fit(self, examples: Iterable[Example], tokenizer: Tokenizer) -> Facts:
        return {"outputs": tokenizer.vocab_size, "end": tokenizer.end_id}

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, facts: Facts, labelled: bool
    ) -> Columns:
        texts = [example.text for example in examples]
        end = facts["end"]
        encoded = tokenizer.encode_many(texts)
        sources = [encoded[row][: self.context - 1] for row in range(len(texts))]
        targets = [np.array([end, *source, end], np.int32) for source in sources]
        return {
            "source": ragged(sources),
            "tokens": ragged(targets),
            "length": np.array([len(target) - 1 for target in targets], np.int64),
            "bytes": np.array([len(text.encode()) for text in texts], np.int64),
        }

    def batch_spec(self, facts: Facts, shapes: Sequence[Mapping[str, int]]) -> BatchSpec:
        rows, both = ("batch",), ("batch", "time")
        return BatchSpec(
            fields=(
                BatchField("source", "int32", both),
                BatchField("source_length", "int32", rows),
                BatchField("tokens", "int32", both),
                BatchField("length", "int32", rows),
                BatchField("label", "int32", both),
                BatchField("weight", "float32", both),
            ),
            shapes=tuple(shapes),
        )

    def collate(self, rows: Columns, shape: Mapping[str, int], facts: Facts) -> Batch:
        height, width = shape["batch"], shape["time"]
        source, source_length = padded(rows["source"], height, width)
        both, lengths = padded(rows["tokens"], height, width + 1)
        length = np.maximum(lengths - 1, 0)
        inside = np.arange(width) < length[:, None]
        return Batch(
            {
                "source": source,
                "source_length": source_length,
                "tokens": np.where(inside, both[:, :-1], 0),
                "length": length,
                "label": both[:, 1:],
                "weight": inside.astype(np.float32),
            }
        )

    def head(self, facts: Facts) -> Head:
        return Head(outputs=facts["outputs"], reads="tokens", bias=False, vocabulary=True)

    def loss(self, facts: Facts) -> Loss:
        return Loss(kind="cross_entropy")

    def prompt(self, texts: Sequence[str], tokenizer: Tokenizer, facts: Facts) -> Batch:
        """The texts as sources, and the token that begins a target."""
        encoded = tokenizer.encode_many(texts)
        sources = ragged([encoded[row][: self.context - 1] for row in range(len(texts))])
        longest = max(1, int(np.diff(sources.offsets).max(initial=0)))
        source, source_length = padded(sources, len(texts), longest)
        return Batch(
            {
                "source": source,
                "source_length": source_length,
                "tokens": np.full((len(texts), 1), facts["end"], np.int32),
                "length": np.ones(len(texts), np.int32),
            }
        )


def ragged(rows: Sequence[np.ndarray]) -> Ragged:
    """Rows end to end."""
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return Ragged(np.concatenate([np.zeros(0, np.int32), *rows]), offsets)


def padded(rows: Ragged | np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(height, width) tokens, 0 behind each row, and (height,) lengths."""
    assert isinstance(rows, Ragged)
    lengths = np.zeros(height, np.int32)
    lengths[: len(rows)] = np.diff(rows.offsets)
    tokens = np.zeros((height, width), np.int32)
    tokens[np.arange(width) < lengths[:, None]] = rows.values
    return tokens, lengths
