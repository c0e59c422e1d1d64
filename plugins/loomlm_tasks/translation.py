"""Translation: what is written goes by a source that is read besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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
    Outcome,
    Ragged,
    Tokenizer,
    target_of,
)
from loomlm_tasks.config import TranslationConfig
from loomlm_tasks.facts import check_end
from loomlm_tasks.padding import padded

TARGET = "target"
"""The further text of an example that is to be written."""


@frozen
class Translation:
    """An encoder reads the text, with an end token behind it; a decoder writes the target.

    What is written begins with the end token of its vocabulary, and ends with it. The vocabulary is
    one for both, or that of the tokenizer's `target`.

    Facts: `outputs`, the size of the vocabulary of what is written, and `end`, its end token.
    """

    config: TranslationConfig

    needs = frozenset({"tokens", "encoder_decoder"})
    produces = frozenset({"likelihood", "texts"})
    default_metrics = ("bleu", "chrf", "perplexity")
    stream = False
    reads = (TARGET,)

    @property
    def context(self) -> int:
        return self.config.max_tokens

    def fit(self, examples: Iterable[Example], tokenizer: Tokenizer) -> Facts:
        """Raises DataError for a vocabulary without an end token."""
        target = target_of(tokenizer)
        if target.end_id is None:
            raise DataError(
                "What is written begins and ends with an end token, and the tokenizer has none. "
                "Train one, or take a file that has <end>, </s> or <|endoftext|>."
            )
        return {"outputs": target.vocab_size, "end": target.end_id}

    def check_facts(self, facts: Facts) -> None:
        """Raise ValueError for facts that `fit` never gives."""
        check_end(facts)

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, facts: Facts, labelled: bool
    ) -> Columns:
        """`source`, ragged; `tokens`, ragged, the target with the end token on both sides; `length`
        (n,), places that a row takes, of the longer side; `bytes` and `words` (n,), and
        `reference`, ragged, in UTF-8, of the target.

        Raises DataError for an example without a target, where labels are wanted.
        """
        source = self._sources([example.text for example in examples], tokenizer)
        texts = [_target(example, labelled) for example in examples]
        target = _cut(target_of(tokenizer).encode_many(texts), self.config.max_tokens - 1)
        tokens = _around(target, facts["end"])
        lengths = np.maximum(np.diff(source.offsets), np.diff(tokens.offsets) - 1)
        written = [np.frombuffer(text.encode("utf-8", "replace"), np.uint8) for text in texts]
        reference = _joined(written, np.uint8)
        return {
            "source": source,
            "tokens": tokens,
            "length": lengths,
            "bytes": np.diff(reference.offsets),
            "words": np.array([len(text.split()) for text in texts], np.int64),
            "reference": reference,
        }

    def _sources(self, texts: Sequence[str], tokenizer: Tokenizer) -> Ragged:
        """The texts' tokens, cut, with an end token behind each where there is one."""
        room = self.config.max_tokens - (tokenizer.end_id is not None)
        return _behind(_cut(tokenizer.encode_many(texts), room), tokenizer.end_id)

    def batch_spec(self, facts: Facts, shapes: Sequence[Mapping[str, int]]) -> BatchSpec:
        """source, tokens, label, weight (batch, time); source_length, length (batch,)."""
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
        """A padded batch; the label of a token is the one behind it."""
        height, width = shape["batch"], shape["time"]
        given, tokens = rows["source"], rows["tokens"]
        assert isinstance(given, Ragged)
        assert isinstance(tokens, Ragged)
        source, source_length = padded(given, height, width)
        both, lengths = padded(tokens, height, width + 1)
        length = np.maximum(lengths - 1, 0)
        inside = np.arange(width) < length[:, None]
        arrays = {
            "source": source,
            "source_length": source_length,
            "tokens": np.where(inside, both[:, :-1], 0),
            "length": length,
            "label": both[:, 1:],
            "weight": inside.astype(np.float32),
        }
        return Batch(arrays)

    def head(self, facts: Facts) -> Head:
        return Head(outputs=facts["outputs"], reads="tokens", bias=False, vocabulary=True)

    def loss(self, facts: Facts) -> Loss:
        return Loss(kind="cross_entropy", label_smoothing=self.config.label_smoothing)

    def prompt(self, texts: Sequence[str], tokenizer: Tokenizer, facts: Facts) -> Batch:
        """The texts as sources, and the token that what is written begins with.

        Raises DataError for a text of which the vocabulary has no token.
        """
        encoded = tokenizer.encode_many(texts)
        for row, text in enumerate(texts):
            if text.strip() and np.all(encoded[row] == tokenizer.unknown_id):
                raise DataError(
                    f"The text {text!r} has nothing that the vocabulary knows. Write it in the "
                    "language that the model was trained to read."
                )
        return _begun(self._sources(texts, tokenizer), facts)

    def ask(self, rows: Columns, facts: Facts) -> Batch:
        """What is read of some rows of a split."""
        source = rows["source"]
        assert isinstance(source, Ragged)
        return _begun(source, facts)

    def compare(self, rows: Columns, texts: Sequence[str], facts: Facts) -> Outcome:
        """What was written of each row, beside its target."""
        reference = rows["reference"]
        assert isinstance(reference, Ragged)
        targets = [bytes(reference[row]).decode() for row in range(len(texts))]
        return Outcome(list(texts), [[target] for target in targets])

    def how(self) -> Mapping[str, Any]:
        """The likeliest token each time, or beam search."""
        return {
            "temperature": 0.0,
            "beams": self.config.beams,
            "length_penalty": self.config.length_penalty,
            "max_tokens": self.config.longest,
        }


def _target(example: Example, labelled: bool) -> str:
    found = example.extra.get(TARGET)
    if found is None and labelled:
        raise DataError(
            f"{example.place or 'An example'} has no text to be written. Name the column that has "
            'it: data.fields = { target = "..." }; or, for txt files, the files that have it line '
            "by line: data.targets."
        )
    return found or ""


def _begun(source: Ragged, facts: Facts) -> Batch:
    """A batch of sources, of which nothing is written yet."""
    count = len(source)
    longest = max(1, int(np.diff(source.offsets).max(initial=0)))
    tokens, length = padded(source, count, longest)
    return Batch(
        {
            "source": tokens,
            "source_length": length,
            "tokens": np.full((count, 1), facts["end"], np.int32),
            "length": np.ones(count, np.int32),
        }
    )


def _cut(rows: Ragged, most: int) -> Ragged:
    """The first tokens of each row."""
    lengths = np.diff(rows.offsets)
    if lengths.max(initial=0) <= most:
        return rows
    place = np.arange(len(rows.values)) - np.repeat(rows.offsets[:-1], lengths)
    return Ragged(rows.values[place < most], np.cumsum([0, *np.minimum(lengths, most)]))


def _behind(rows: Ragged, token: int | None) -> Ragged:
    """The rows with a token behind each; as they are without one."""
    if token is None:
        return rows
    values = np.insert(rows.values, rows.offsets[1:], token)
    return Ragged(values, rows.offsets + np.arange(len(rows.offsets)))


def _around(rows: Ragged, token: int) -> Ragged:
    """The rows with a token at both ends."""
    places = np.stack([rows.offsets[:-1], rows.offsets[1:]], axis=1).reshape(-1)
    values = np.insert(rows.values, places, token)
    return Ragged(values, rows.offsets + 2 * np.arange(len(rows.offsets)))


def _joined(rows: Sequence[np.ndarray], dtype: type) -> Ragged:
    """Rows end to end."""
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return Ragged(np.concatenate([np.zeros(0, dtype), *rows]), offsets)
