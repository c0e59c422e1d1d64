"""Language modelling from both sides: hidden tokens from those around them."""

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
)
from loomlm_tasks.causal_lm import with_end
from loomlm_tasks.config import MaskedLmConfig
from loomlm_tasks.facts import check_outputs
from loomlm_tasks.filling import encode_open, filled
from loomlm_tasks.masking import Vocabulary, hide, most_hidden
from loomlm_tasks.padding import padded


@frozen
class MaskedLm:
    """BERT's masked tokens (Devlin 2018), hidden anew each time a row is trained on, as in RoBERTa
    (Liu 2019); in evaluation a row is masked the same way each time.

    Documents stand in rows as those of `causal_lm` do; with "bfd" each has an end token in front.
    End tokens, padding and what is unknown are never predicted.

    Facts: `outputs`, the size of the vocabulary; `mask` and `special`, ids; `continues`, of
    whole_words: a bit for each token, in hexadecimal digits, for those that go on with a word.
    """

    config: MaskedLmConfig

    produces = frozenset({"pseudo_likelihood", "tokens"})
    default_metrics = ("pseudo_perplexity",)
    stream = True
    hides = True

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"tokens", "bidirectional", *(["segments"] if self.packed else [])})

    @property
    def context(self) -> int:
        return self.config.context

    @property
    def packed(self) -> bool:
        return self.config.packing == "bfd"

    def fit(self, examples: Iterable[Example], tokenizer: Tokenizer) -> Facts:
        """What masking has to know of the vocabulary.

        Raises DataError for one without a mask, or, with whole_words, without words.
        """
        mask = getattr(tokenizer, "mask_id", None)
        if mask is None:
            raise DataError(
                "The tokenizer has no token that stands for a hidden one. A run with a stage of "
                "masked_lm trains one that has; take a built-in tokenizer."
            )
        ends = (tokenizer.end_id, tokenizer.unknown_id)
        special = {mask, tokenizer.pad_id, *(number for number in ends if number is not None)}
        facts = {"outputs": tokenizer.vocab_size, "mask": mask, "special": sorted(special)}
        if not self.config.whole_words:
            return facts
        continues = getattr(tokenizer, "continues", None)
        if continues is None:
            raise DataError(
                "task.whole_words: the tokenizer does not say where words begin. Leave "
                "whole_words out, or take a built-in tokenizer."
            )
        return {**facts, "continues": np.packbits(continues()).tobytes().hex()}

    def check_facts(self, facts: Facts) -> None:
        """Raise ValueError for facts that `fit` never gives."""
        outputs, mask, special = check_outputs(facts), facts.get("mask"), facts.get("special")
        ids = [mask, *special] if isinstance(special, list) else [None]
        if not all(type(number) is int and 0 <= number < outputs for number in ids):
            raise ValueError("facts.mask and facts.special are no ids of the vocabulary")
        bits = facts.get("continues", "0" * _digits(outputs))
        if not isinstance(bits, str) or len(bits) != _digits(outputs):
            raise ValueError("facts.continues are not a bit for each token")
        bytes.fromhex(bits)

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, facts: Facts, labelled: bool
    ) -> Columns:
        """`tokens`, ragged, each document with its end token, or two.

        Without labels `[MASK]` and `<mask>` in a text are masks: `places`, ragged, says where.
        """
        texts = [example.text for example in examples]
        if not labelled:
            return encode_open(texts, tokenizer, facts["mask"], self.config)
        rows = tokenizer.encode_many(texts)
        if tokenizer.end_id is not None or not self.packed:
            return {"tokens": with_end(rows, tokenizer.end_id, self.packed)}
        # A packed document loses its last token, which another task would predict alone.
        return {"tokens": with_end(rows, tokenizer.pad_id)}

    def vary(self, rows: Columns, facts: Facts, keys: np.ndarray) -> Columns:
        """Rows with some tokens hidden: `places` and `label` of these, ragged; `piece`, ragged."""
        if "places" in rows:
            return rows  # A text to predict has its masks.
        tokens, piece = self._read(rows)
        most = int(np.diff(tokens.offsets).max(initial=1))
        ids, lengths = padded(tokens, len(tokens), most)
        pieces, _ = padded(Ragged(piece, tokens.offsets), len(tokens), most)
        found = hide(ids, pieces, keys, self.config, _vocabulary(facts))
        there = np.arange(most) < lengths[:, None]
        real = np.arange(found.places.shape[1]) < found.count[:, None]
        offsets = np.concatenate([[0], np.cumsum(found.count)])
        return {
            "tokens": Ragged(found.tokens[there], tokens.offsets),
            "piece": Ragged(pieces[there], tokens.offsets),
            "places": Ragged(found.places[real], offsets),
            "label": Ragged(found.label[real], offsets),
        }

    def _read(self, rows: Columns) -> tuple[Ragged, np.ndarray]:
        """The tokens of each document of a row but the last, which another task would predict
        alone; and the document's number in its row, (tokens,).
        """
        tokens, pieces = rows["tokens"], rows.get("pieces")
        assert isinstance(tokens, Ragged)
        if not isinstance(pieces, Ragged):
            lengths = np.diff(tokens.offsets)
            pieces = Ragged(lengths[lengths > 0], np.concatenate([[0], np.cumsum(lengths > 0)]))
        read = np.ones(len(tokens.values), bool)
        read[np.cumsum(pieces.values) - 1] = False
        before = np.repeat(pieces.offsets[:-1], np.diff(pieces.offsets))
        number = np.arange(len(pieces.values)) - before + 1
        offsets = tokens.offsets - pieces.offsets
        return Ragged(tokens.values[read], offsets), np.repeat(number, pieces.values - 1)

    def batch_spec(self, facts: Facts, shapes: Sequence[Mapping[str, int]]) -> BatchSpec:
        """tokens (batch, time), length (batch,); places, label, weight (batch, places); with "bfd"
        segment (batch, time), the number of a token's document in its row, from 1 on.
        """
        fields = (
            BatchField("tokens", "int32", ("batch", "time")),
            BatchField("length", "int32", ("batch",)),
            BatchField("places", "int32", ("batch", "places")),
            BatchField("label", "int32", ("batch", "places")),
            BatchField("weight", "float32", ("batch", "places")),
        )
        segment = (BatchField("segment", "int32", ("batch", "time")),) if self.packed else ()
        share = self.config.share
        found = [{**shape, "places": most_hidden(share, shape["time"])} for shape in shapes]
        return BatchSpec(fields=(*fields, *segment), shapes=tuple(found))

    def collate(self, rows: Columns, shape: Mapping[str, int], facts: Facts) -> Batch:
        """A padded batch; with more places than batch_spec says where a text has more masks."""
        tokens, places = rows["tokens"], rows["places"]
        assert isinstance(tokens, Ragged)
        assert isinstance(places, Ragged)
        height, time = shape["batch"], shape["time"]
        most = int(np.diff(places.offsets).max(initial=most_hidden(self.config.share, time)))
        ids, length = padded(tokens, height, time)
        at, count = padded(places, height, most)
        weight = (np.arange(most) < count[:, None]).astype(np.float32)
        label, piece = rows.get("label"), rows.get("piece")
        known = padded(label, height, most)[0] if isinstance(label, Ragged) else np.zeros_like(at)
        arrays = {"tokens": ids, "length": length, "places": at, "label": known, "weight": weight}
        if self.packed:
            one = (np.arange(time) < length[:, None]).astype(np.int32)
            segment = padded(piece, height, time)[0] if isinstance(piece, Ragged) else one
            arrays["segment"] = segment
        return Batch(arrays)

    def head(self, facts: Facts) -> Head:
        return Head(outputs=facts["outputs"], reads="tokens", vocabulary=True, places=True)

    def loss(self, facts: Facts) -> Loss:
        return Loss(kind="cross_entropy")

    def outcome(self, logits: np.ndarray, batch: Batch) -> Outcome:
        """The likeliest of each hidden token, (n,), and the right one."""
        real = batch["weight"] > 0
        return Outcome(logits[real].argmax(axis=-1), batch["label"][real])

    def decode(self, logits: np.ndarray, facts: Facts) -> list[dict[str, Any]]:
        """`ids` of the likeliest tokens of each place; `filled` names them."""
        return [{"ids": row.argmax(axis=-1).tolist()} for row in logits]

    def filled(
        self, logits: np.ndarray, rows: Columns, tokenizer: Tokenizer, facts: Facts
    ) -> list[dict[str, Any]]:
        """`filled`, the text with the likeliest words, and `masks`: for each mask the likeliest
        words with their probabilities, as `word` and `score`.

        Raises DataError for a text without a mask.
        """
        return filled(logits, rows, tokenizer, facts["special"], self.config.candidates)


def _digits(outputs: int) -> int:
    return 2 * -(-outputs // 8)


def _vocabulary(facts: Facts) -> Vocabulary:
    size = facts["outputs"]
    bits = np.frombuffer(bytes.fromhex(facts.get("continues", "00" * -(-size // 8))), np.uint8)
    continues = np.unpackbits(bits, count=size).astype(bool)
    return Vocabulary(size, facts["mask"], tuple(facts["special"]), continues)
