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
from loomlm_tasks.facts import check_outputs
from loomlm_tasks.padding import padded


@frozen
class CausalLm:
    """Documents in rows of `context` tokens, an end token behind each.

    With packing = "wrapped" they stand end to end. With "bfd" a row holds whole ones, each kept
    apart from the others by its number in `segment`, and each with an end token in front besides,
    as it has one in front in a text where it follows another: its first token is predicted, too.

    Facts: `outputs`, the size of the vocabulary.
    """

    config: CausalLmConfig

    produces = "likelihood"
    default_metrics = ("perplexity", "bits_per_byte", "word_perplexity")
    stream = True

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"tokens", "causal", *(["segments"] if self.packed else [])})

    @property
    def context(self) -> int:
        return self.config.context

    @property
    def packed(self) -> bool:
        return self.config.packing == "bfd"

    def fit(self, examples: Iterable[Example], tokenizer: Tokenizer) -> Facts:
        return {"outputs": tokenizer.vocab_size}

    def check_facts(self, facts: Facts) -> None:
        """Raise ValueError for facts that `fit` never gives."""
        check_outputs(facts)

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, facts: Facts, labelled: bool
    ) -> Columns:
        """`tokens`, ragged, each document with its end token, or two; `bytes` and `words`, int64
        (n,).
        """
        texts = [example.text for example in examples]
        sizes = [len(text.encode("utf-8", "surrogatepass")) for text in texts]
        tokens = with_end(tokenizer.encode_many(texts), tokenizer.end_id, self.packed)
        words = [len(text.split()) for text in texts]
        return {
            "tokens": tokens,
            "bytes": np.array(sizes, np.int64),
            "words": np.array(words, np.int64),
        }

    def batch_spec(self, facts: Facts, shapes: Sequence[Mapping[str, int]]) -> BatchSpec:
        """tokens, label, weight (batch, time); length (batch,); with "bfd" segment (batch, time),
        the number of a token's document in its row, from 1 on; 0 is padding.
        """
        fields = (
            BatchField("tokens", "int32", ("batch", "time")),
            BatchField("length", "int32", ("batch",)),
            BatchField("label", "int32", ("batch", "time")),
            BatchField("weight", "float32", ("batch", "time")),
        )
        segment = (BatchField("segment", "int32", ("batch", "time")),) if self.packed else ()
        return BatchSpec(fields=(*fields, *segment), shapes=tuple(shapes))

    def collate(self, rows: Columns, shape: Mapping[str, int], facts: Facts) -> Batch:
        """The label of a token is the one behind it; the last of a row, or document, has none."""
        tokens = rows["tokens"]
        assert isinstance(tokens, Ragged)
        if self.packed:
            return packed_batch(tokens, rows.get("pieces"), shape)
        both, lengths = padded(tokens, shape["batch"], shape["time"] + 1)
        length = np.maximum(lengths - 1, 0)
        place = np.arange(shape["time"])
        weight = (place < length[:, None]).astype(np.float32)
        known = np.where(weight > 0, both[:, :-1], 0)
        return Batch({"tokens": known, "length": length, "label": both[:, 1:], "weight": weight})

    def prompt(self, texts: Sequence[str], tokenizer: Tokenizer, facts: Facts) -> Batch:
        """Each text's last `context` tokens; a text without any begins a document.

        With "bfd", each text begins one.

        Raises DataError for a text of which the vocabulary has no token.
        """
        first = tokenizer.end_id if tokenizer.end_id is not None else tokenizer.pad_id
        before = [first] if self.packed and tokenizer.end_id is not None else []
        rows, encoded = [], tokenizer.encode_many(texts)
        for row, text in enumerate(texts):
            ids = encoded[row]
            if len(ids) and np.all(ids == tokenizer.unknown_id):
                raise DataError(
                    f"The prompt {text!r} has no character that the vocabulary knows. Write it in "
                    "the language of the training text."
                )
            ids = np.array([*before, *ids] if len(ids) else [first])
            rows.append(ids[-self.config.context :])
        offsets = np.cumsum([0, *map(len, rows)])
        joined = Ragged(np.concatenate(rows).astype(np.int32), offsets)
        tokens, lengths = padded(joined, len(rows), int(np.diff(offsets).max()))
        return Batch({"tokens": tokens, "length": lengths})

    def head(self, facts: Facts) -> Head:
        return Head(outputs=facts["outputs"], reads="tokens", bias=False, vocabulary=True)

    def loss(self, facts: Facts) -> Loss:
        return Loss(kind="cross_entropy")


def with_end(rows: Ragged, end_id: int | None, both: bool = False) -> Ragged:
    """The rows with an end token behind each, or at both ends; as they are where there is none."""
    if end_id is None:
        return rows
    places, each = rows.offsets[1:], 1
    if both:
        places, each = np.stack([rows.offsets[:-1], rows.offsets[1:]], axis=1).reshape(-1), 2
    values = np.insert(rows.values, places, end_id)
    return Ragged(values, rows.offsets + each * np.arange(len(rows.offsets)))


def packed_batch(
    tokens: Ragged,
    pieces: Ragged | np.ndarray | None,
    shape: Mapping[str, int],
    learnt: Ragged | None = None,
) -> Batch:
    """A batch of rows that hold several documents; one each where there is no word of pieces.

    learnt: 1 for each token that is to be predicted; without, all are but the first of a document.
    """
    if not isinstance(pieces, Ragged):
        lengths = np.diff(tokens.offsets)
        pieces = Ragged(lengths[lengths > 0], np.concatenate([[0], np.cumsum(lengths > 0)]))
    ends = np.cumsum(pieces.values)
    read, predicted = (np.ones(len(tokens.values), bool) for _ in range(2))
    read[ends - 1] = False
    predicted[ends - pieces.values] = False
    many = np.diff(pieces.offsets)
    number = np.arange(len(pieces.values)) - np.repeat(pieces.offsets[:-1], many) + 1
    offsets = tokens.offsets - pieces.offsets
    columns = {
        "tokens": tokens.values[read],
        "label": tokens.values[predicted],
        "segment": np.repeat(number, pieces.values - 1),
    }
    if learnt is not None:
        columns["weight"] = learnt.values[predicted]
    found = {
        name: padded(Ragged(values, offsets), shape["batch"], shape["time"])
        for name, values in columns.items()
    }
    arrays = {name: array for name, (array, _) in found.items()}
    weight = (arrays.get("weight", arrays["segment"]) > 0).astype(np.float32)
    return Batch({**arrays, "length": found["tokens"][1], "weight": weight})
