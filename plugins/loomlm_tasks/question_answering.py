"""Question answering by pointing: the answer is a piece of the text (Rajpurkar 2016, 2018)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

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
from loomlm_tasks.answers import Answer, answers_of
from loomlm_tasks.config import QuestionAnsweringConfig
from loomlm_tasks.padding import padded
from loomlm_tasks.places import located, ragged, ragged_texts, row_of, text_of, windows
from loomlm_tasks.spans import Span, best_spans

NAME = "question_answering"
QUESTION = "question"


@frozen
class _Row:
    """A row that is encoded; see `QuestionAnswering.encode`."""

    example: int
    tokens: NDArray
    starts: NDArray
    ends: NDArray
    piece: str
    begin: int
    first: int
    label: tuple[int, int]
    right: str


@frozen
class Found:
    """What a row says: its likeliest spans, and how likely it is that none is right.

    null: a log probability. right: the texts that are right, known to an example's first row.
    """

    spans: tuple[Span, ...]
    null: float
    right: tuple[str, ...]


@frozen
class QuestionAnswering:
    """Where in a text the answer to a question begins and ends.

    A row is a mark, the question, the mark again, and tokens of the text; the mark is the
    vocabulary's end token. A text that is too long for a row has several, each `stride` tokens
    behind the one before (Devlin 2019). What a row does not hold whole, it has no answer to: then
    the first mark is it.

    Facts: `mark`, its id; `unanswerable`, whether training has questions without an answer.
    """

    config: QuestionAnsweringConfig

    needs = frozenset({"tokens", "bidirectional"})
    produces = "texts"
    default_metrics = ("exact_match", "squad_f1")
    stream = False
    reads = (QUESTION,)

    @property
    def context(self) -> int:
        return self.config.max_tokens

    def fit(self, examples: Iterable[Example], tokenizer: Tokenizer) -> Facts:
        """Whether there are questions without an answer.

        Raises DataError where none has one, UsageError for a tokenizer that cannot say where in a
        text its tokens stand.
        """
        located(tokenizer, [], NAME)
        answered = {bool(answers_of(example)) for example in examples}
        if True not in answered:
            raise DataError("No training example has an answer. Check the files of data.train.")
        mark = tokenizer.pad_id if tokenizer.end_id is None else tokenizer.end_id
        return {"mark": mark, "unanswerable": False in answered}

    def check_facts(self, facts: Facts) -> None:
        """Raise ValueError for facts that `fit` never gives."""
        if type(facts.get("mark")) is not int or not 0 <= facts["mark"] < 1 << 31:
            raise ValueError("facts.mark is no token")
        if not isinstance(facts.get("unanswerable"), bool):
            raise ValueError("facts.unanswerable is neither true nor false")

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, facts: Facts, labelled: bool
    ) -> Columns:
        """One row or more for each example: `tokens`, ragged; `example`, int32.

        Of the text in a row: `begin`, int32, the place of its first token; `starts` and `ends`,
        ragged, where its tokens stand in the whole text, in characters; `piece`, ragged, what they
        were made from, as UTF-8, and `first`, int32, where that begins. With labels: `label`, int32
        (rows, 2), places in the row; `right`, ragged, the texts that are right as JSON, in the
        first row of an example.
        """
        questions = tokenizer.encode_many([_question(example) for example in examples])
        # A text often has several questions, one behind the other.
        numbers = {text: i for i, text in enumerate(dict.fromkeys(e.text for e in examples))}
        texts = located(tokenizer, list(numbers), NAME)
        rows: list[_Row] = []
        for number, example in enumerate(examples):
            question = questions[number][: self.config.max_question]
            before = np.array([facts["mark"], *question, facts["mark"]], np.int32)
            answers = answers_of(example) if labelled else ()
            rows += self._rows(number, example.text, texts[numbers[example.text]], before, answers)
        columns: dict[str, Ragged | NDArray] = {
            "tokens": ragged([row.tokens for row in rows]),
            "starts": ragged([row.starts for row in rows]),
            "ends": ragged([row.ends for row in rows]),
            "piece": ragged_texts([row.piece for row in rows]),
        }
        for name in ("example", "begin", "first"):
            columns[name] = np.array([getattr(row, name) for row in rows], np.int32)
        if labelled:
            columns["label"] = np.array([row.label for row in rows], np.int32).reshape(-1, 2)
            columns["right"] = ragged_texts([row.right for row in rows])
        return columns

    def _rows(
        self,
        number: int,
        text: str,
        tokens: tuple[NDArray, NDArray, NDArray],
        before: NDArray,
        answers: Sequence[Answer],
    ) -> Iterator[_Row]:
        """The rows of an example. tokens: the text's ids, starts and ends. before: a row's own."""
        ids, starts, ends = tokens
        span = answers[0].tokens(starts, ends) if answers else None
        right = json.dumps(list(dict.fromkeys(answer.text for answer in answers)) or [""])
        room = self.config.max_tokens - len(before)
        for at, stop in windows(len(ids), room, self.config.stride):
            first = int(starts[at]) if stop > at else 0
            label = (0, 0)
            if span is not None and at <= span[0] and span[1] < stop:
                label = (len(before) + span[0] - at, len(before) + span[1] - at)
            yield _Row(
                example=number,
                tokens=np.concatenate([before, ids[at:stop]]),
                starts=starts[at:stop],
                ends=ends[at:stop],
                piece=text[first : int(ends[at:stop].max(initial=first))],
                begin=len(before),
                first=first,
                label=label,
                right=right if at == 0 else "",
            )

    def batch_spec(self, facts: Facts, shapes: Sequence[Mapping[str, int]]) -> BatchSpec:
        """tokens (batch, time), length (batch,), label (batch, 2), weight (batch,); allowed
        (batch, time), 1 at the first mark and where the text stands.
        """
        return BatchSpec(
            fields=(
                BatchField("tokens", "int32", ("batch", "time")),
                BatchField("length", "int32", ("batch",)),
                BatchField("label", "int32", ("batch", 2)),
                BatchField("allowed", "float32", ("batch", "time")),
                BatchField("weight", "float32", ("batch",)),
            ),
            shapes=tuple(shapes),
        )

    def collate(self, rows: Columns, shape: Mapping[str, int], facts: Facts) -> Batch:
        """A padded batch; a row that is padding is allowed its first place, as all are."""
        tokens = rows["tokens"]
        assert isinstance(tokens, Ragged)
        height, width, count = shape["batch"], shape["time"], len(tokens)
        ids, length = padded(tokens, height, width)
        place, begin = np.arange(width), np.full((height, 1), width)
        begin[:count, 0] = rows["begin"]
        allowed = (place == 0) | ((place >= begin) & (place < length[:, None]))
        label, weight = np.zeros((height, 2), np.int32), np.zeros(height, np.float32)
        weight[:count] = 1
        if "label" in rows:
            label[:count] = rows["label"]
        return Batch(
            {
                "tokens": ids,
                "length": length,
                "label": label,
                "allowed": allowed.astype(np.float32),
                "weight": weight,
            }
        )

    def head(self, facts: Facts) -> Head:
        return Head(outputs=2, reads="tokens")

    def loss(self, facts: Facts) -> Loss:
        return Loss(kind="span")

    def read(self, logits: NDArray[Any], rows: Columns, facts: Facts) -> list[Found]:
        """The likeliest spans of each row, as probable as the row's own allowed places make them.

        logits: (rows, time, 2).
        """
        return [self._read(logits[row], rows, row) for row in range(len(logits))]

    def _read(self, logits: NDArray[Any], rows: Columns, row: int) -> Found:
        starts, ends = row_of(rows, "starts", row), row_of(rows, "ends", row)
        begin, first = (int(np.asarray(rows[name])[row]) for name in ("begin", "first"))
        odds = logits[[0, *range(begin, begin + len(starts))]].astype(np.float64)
        odds -= np.logaddexp.reduce(odds, axis=0)
        piece = text_of(rows, "piece", row)
        spans = []
        for a, b in best_spans(odds[1:], self.config.max_answer_tokens, self.config.n_best):
            start, end = int(starts[a]), max(int(starts[a]), int(ends[b]))
            score = float(odds[1 + a, 0] + odds[1 + b, 1])
            spans.append(Span(piece[start - first : end - first], start, end, score))
        given = text_of(rows, "right", row) if "right" in rows else ""
        right = tuple(json.loads(given)) if given else ()
        return Found(tuple(spans), float(odds[0].sum()), right)

    def joined(self, found: Sequence[Sequence[Found]], facts: Facts) -> Outcome:
        """The answer to each question, beside those that are right; "" where there is none."""
        return Outcome(
            [self.answer(rows, facts)["answer"] for rows in found],
            [next((row.right for row in rows if row.right), ()) for rows in found],
        )

    def answer(self, found: Sequence[Found], facts: Facts) -> dict[str, Any]:
        """`answer`, `start`, `end` (in characters of the text) and `score`, a probability.

        Where there may be no answer: `no_answer`, by how much in log probability that beats the
        best span; `answer` is "" where it is above `null_threshold`. With `n_best`: `answers`.
        """
        best = _ranked(found)[: self.config.n_best]
        null = min(row.null for row in found)
        shown = [_shown(span) for span in best]
        none = {"answer": "", "start": 0, "end": 0, "score": float(np.exp(null))}
        gap = null - best[0].score if best else 0.0
        empty = not best or (facts["unanswerable"] and gap > self.config.null_threshold)
        answer = none if empty else shown[0]
        if facts["unanswerable"]:
            answer = {**answer, "no_answer": gap}
        return answer if self.config.n_best == 1 else {**answer, "answers": shown}


def _ranked(found: Sequence[Found]) -> list[Span]:
    """The spans of all rows, the likeliest first; one that stands in two rows, once."""
    best: dict[tuple[int, int], Span] = {}
    spans = (span for row in found for span in row.spans)
    for span in sorted(spans, key=lambda span: -span.score):
        best.setdefault((span.start, span.end), span)
    return list(best.values())


def _shown(span: Span) -> dict[str, Any]:
    return {
        "answer": span.text,
        "start": span.start,
        "end": span.end,
        "score": float(np.exp(span.score)),
    }


def _question(example: Example) -> str:
    if QUESTION not in example.extra:
        raise DataError(
            f"{example.place}: the example has no question. Read a file in the form of SQuAD with "
            'format = "squad".'
        )
    return example.extra[QUESTION]
