"""Answers to requests, written by a language model: its loss is that of the answers alone."""

from __future__ import annotations

import json
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
from loomlm_tasks.causal_lm import packed_batch
from loomlm_tasks.config import CompletionConfig
from loomlm_tasks.facts import check_end
from loomlm_tasks.padding import padded
from loomlm_tasks.rendering import (
    ASSISTANT,
    Part,
    further_names,
    messages_of,
    of_chat,
    of_pair,
    references,
)

TARGET = "target"
"""The further text of an example that is to be written."""


@frozen
class Completion:
    """Requests with their answers, as `causal_lm` has documents: it begins with the same weights.

    A row is an end token, the request, the answer, and an end token, which is where writing ends;
    of a chat, each message of the assistant is an answer. Tokens of answers are learnt, and read;
    those of requests are read alone.

    Facts: `outputs`, the size of the vocabulary, and `end`, its end token.
    """

    config: CompletionConfig

    produces = frozenset({"likelihood", "texts"})
    default_metrics = ("exact_match", "perplexity")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"tokens", "causal", *(["segments"] if self.packed else [])})

    @property
    def packed(self) -> bool:
        return self.config.packing == "bfd"

    @property
    def stream(self) -> bool:
        return self.packed

    @property
    def context(self) -> int:
        return self.config.context

    @property
    def reads(self) -> tuple[str, ...]:
        """What is to be written, and what else the template names."""
        chat = not isinstance(self.config.template, str)
        return () if chat else (*further_names(self.config.template), TARGET)

    def fit(self, examples: Iterable[Example], tokenizer: Tokenizer) -> Facts:
        """Raises DataError for a vocabulary without an end token."""
        if tokenizer.end_id is None:
            raise DataError(
                "An answer ends with an end token, and the tokenizer has none. Train one, or take "
                "a file that has <end>, </s> or <|endoftext|>."
            )
        return {"outputs": tokenizer.vocab_size, "end": tokenizer.end_id}

    def check_facts(self, facts: Facts) -> None:
        """Raise ValueError for facts that `fit` never gives."""
        check_end(facts)

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, facts: Facts, labelled: bool
    ) -> Columns:
        """`tokens`, ragged; `learnt`, ragged, 1 for each of them that is to be written; `length`
        (n,), the places of a row; `asked` (n,), the tokens in front of the last answer; `bytes` and
        `words` (n,), of all answers; `reference`, ragged, JSON in UTF-8 of what is right.

        Where a row is too long, its request loses its beginning, then its answer its end. Without
        labels, rows end where they are answered.

        Raises DataError for an example without an answer, where labels are wanted.
        """
        asked = [self._asked(example, labelled) for example in examples]
        flat = [part for parts, _ in asked for part in parts]
        encoded = tokenizer.encode_many([part.text for part in flat])
        rows, number = [], 0
        for parts, _ in asked:
            ids = [encoded[number + index] for index in range(len(parts))]
            rows.append(_row(parts, ids, facts["end"], self.config.context))
            number += len(parts)
        right = [json.dumps(answers).encode() for _, answers in asked]
        written = [[part.text for part in parts if part.learnt] for parts, _ in asked]
        sizes = [sum(len(text.encode("utf-8", "surrogatepass")) for text in one) for one in written]
        words = [sum(len(text.split()) for text in one) for one in written]
        tokens = _joined([ids for ids, _, _ in rows], np.int32)
        return {
            "tokens": tokens,
            "learnt": _joined([learnt for _, learnt, _ in rows], np.uint8),
            "length": np.maximum(np.diff(tokens.offsets) - 1, 1),
            "asked": np.array([count for _, _, count in rows], np.int32),
            "bytes": np.array(sizes, np.int64),
            "words": np.array(words, np.int64),
            "reference": _joined([np.frombuffer(one, np.uint8) for one in right], np.uint8),
        }

    def _asked(self, example: Example, labelled: bool) -> tuple[list[Part], list[str]]:
        """The parts of an example, and the answers that are right."""
        if isinstance(self.config.template, str):
            return self._of_pair(self.config.template, example, labelled)
        return self._of_chat(self.config.template, example, labelled)

    def _of_pair(
        self, template: str, example: Example, labelled: bool
    ) -> tuple[list[Part], list[str]]:
        if not labelled:
            return of_pair(template, example, None), []
        right = references(example)
        if right is None:
            raise DataError(_no_answer(example))
        return of_pair(template, example, right[0] if right else ""), right

    def _of_chat(
        self, template: Mapping[str, str], example: Example, labelled: bool
    ) -> tuple[list[Part], list[str]]:
        messages = messages_of(example)
        role, content = messages[-1]
        if not labelled:
            # What is there already is answered anew.
            asked = messages[:-1] if role == ASSISTANT else messages
            return of_chat(template, asked, example.place), []
        if role != ASSISTANT:
            raise DataError(_no_answer(example))
        return of_chat(template, messages, example.place), [content.strip()]

    def batch_spec(self, facts: Facts, shapes: Sequence[Mapping[str, int]]) -> BatchSpec:
        """tokens, label, weight (batch, time); length (batch,); packed, segment (batch, time)."""
        both = ("batch", "time")
        segment = (BatchField("segment", "int32", both),) if self.packed else ()
        return BatchSpec(
            fields=(
                BatchField("tokens", "int32", both),
                BatchField("length", "int32", ("batch",)),
                BatchField("label", "int32", both),
                BatchField("weight", "float32", both),
                *segment,
            ),
            shapes=tuple(shapes),
        )

    def collate(self, rows: Columns, shape: Mapping[str, int], facts: Facts) -> Batch:
        """A padded batch; the label of a token is the one behind it, where that is learnt."""
        height, width = shape["batch"], shape["time"]
        tokens, learnt = rows["tokens"], rows["learnt"]
        assert isinstance(tokens, Ragged)
        assert isinstance(learnt, Ragged)
        if self.packed:
            return packed_batch(tokens, rows.get("pieces"), shape, learnt)
        both, lengths = padded(tokens, height, width + 1)
        wanted, _ = padded(learnt, height, width + 1)
        length = np.maximum(lengths - 1, 0)
        inside = np.arange(width) < length[:, None]
        return Batch(
            {
                "tokens": np.where(inside, both[:, :-1], 0),
                "length": length,
                "label": both[:, 1:],
                "weight": wanted[:, 1:].astype(np.float32),
            }
        )

    def head(self, facts: Facts) -> Head:
        return Head(outputs=facts["outputs"], reads="tokens", bias=False, vocabulary=True)

    def loss(self, facts: Facts) -> Loss:
        return Loss(kind="cross_entropy")

    def prompt(self, texts: Sequence[str], tokenizer: Tokenizer, facts: Facts) -> Batch:
        """Texts as requests, up to where they are answered.

        Raises DataError for a text of which the vocabulary has no token, and where the template
        reads further texts.
        """
        encoded = tokenizer.encode_many(texts)
        for row, text in enumerate(texts):
            if len(encoded[row]) and np.all(encoded[row] == tokenizer.unknown_id):
                raise DataError(
                    f"The prompt {text!r} has no character that the vocabulary knows. Write it in "
                    "the language of the training text."
                )
        examples = [Example(text) for text in texts]
        return self.ask(self.encode(examples, tokenizer, facts, False), facts)

    def ask(self, rows: Columns, facts: Facts) -> Batch:
        """The rows in front of their last answer; of long ones the end, so that it has room."""
        tokens, asked = rows["tokens"], rows["asked"]
        assert isinstance(tokens, Ragged)
        assert isinstance(asked, np.ndarray)
        most = self.config.context - self.config.longest + 1
        kept = [tokens[row][: asked[row]][-most:] for row in range(len(tokens))]
        joined = _joined(kept, np.int32)
        ids, lengths = padded(joined, len(kept), int(np.diff(joined.offsets).max(initial=1)))
        return Batch({"tokens": ids, "length": lengths})

    def compare(self, rows: Columns, texts: Sequence[str], facts: Facts) -> Outcome:
        """What was written of each row, beside the answers that are right."""
        right = rows["reference"]
        assert isinstance(right, Ragged)
        return Outcome(list(texts), [json.loads(bytes(right[row])) for row in range(len(texts))])

    def how(self) -> Mapping[str, Any]:
        """As the config says: by default the likeliest token each time."""
        return {
            "temperature": self.config.temperature,
            "beams": self.config.beams,
            "length_penalty": self.config.length_penalty,
            "max_tokens": self.config.longest,
            "stop": self.config.stop,
        }


def _no_answer(example: Example) -> str:
    return (
        f"{example.place or 'An example'} has no answer to learn. Name the column that has it: "
        'data = { fields = { target = "..." } }; a chat ends with a message of the assistant.'
    )


def _row(
    parts: Sequence[Part], ids: Sequence[np.ndarray], end: int, context: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """A row's tokens, at most `context` + 1; which are learnt; how many stand before the answer."""
    pieces, learnt = [np.array([end])], [np.array([0])]
    asked = 1
    for part, tokens in zip(parts, ids, strict=True):
        if part.learnt:
            asked = sum(map(len, pieces))
        more = [end] if part.learnt else []
        pieces.append(np.concatenate([tokens, more]))
        learnt.append(np.full(len(tokens) + len(more), part.learnt))
    row, wanted = np.concatenate(pieces).astype(np.int32), np.concatenate(learnt)
    if not any(part.learnt for part in parts):
        asked = len(row)
    first = min(max(0, len(row) - context - 1), asked - 1)
    kept = slice(first, first + context + 1)
    return row[kept], wanted[kept], asked - first


def _joined(rows: Sequence[np.ndarray], dtype: Any) -> Ragged:
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    values = np.concatenate(rows) if rows else np.zeros(0)
    return Ragged(values.astype(dtype), offsets)
