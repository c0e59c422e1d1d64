"""A tag for each word of a text: names of persons and places, parts of speech."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
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
    did_you_mean,
    entities,
)
from loomlm_tasks.config import TokenClassificationConfig
from loomlm_tasks.padding import padded
from loomlm_tasks.places import located, ragged, ragged_texts, row_of, text_of, windows
from loomlm_tasks.words import first_tokens, words_of_data, words_of_text

NAME = "token_classification"
PREFIXES = ("B-", "I-", "E-", "S-")


@frozen
class _Row:
    """A row that is encoded; see `TokenClassification.encode`."""

    example: int
    tokens: NDArray
    places: NDArray
    words: NDArray
    tags: NDArray
    right: NDArray
    text: str
    spans: NDArray


@frozen
class Found:
    """What a row says: of words, by their numbers in the text, the likeliest tag and how likely.

    right: the tags that are right, of all words of the text; text, spans: where the words stand in
    it. Known to an example's first row.
    """

    words: NDArray
    tags: NDArray
    scores: NDArray
    right: NDArray
    text: str
    spans: NDArray


@frozen
class TokenClassification:
    """A tag for each word, said at the word's first token; its other tokens do not count.

    Texts are the words of the data with a space between them, and the label is a tuple of as many
    tags. A text that is too long for a row has several, each `stride` tokens behind the one before;
    a word counts in the one that has more around it, and there alone.

    Facts: `labels`, the tags, sorted, where there is B-X always I-X too; `common`, the number of
    the tag for a word of which the vocabulary has nothing: O, or the one that is most frequent.
    """

    config: TokenClassificationConfig

    needs = frozenset({"tokens"})
    produces = "tag_sequences"
    default_metrics = ("entity_f1", "tag_accuracy")
    stream = False

    @property
    def context(self) -> int:
        return self.config.max_tokens

    def fit(self, examples: Iterable[Example], tokenizer: Tokenizer) -> Facts:
        """The tags of the training examples.

        Raises DataError where there are fewer than two, or not one a word; UsageError for a
        tokenizer that cannot say where in a text its tokens stand.
        """
        located(tokenizer, [], NAME)
        counts: Counter[str] = Counter()
        for example in examples:
            counts.update(_tags(example))
        inside = {f"I-{tag[2:]}" for tag in counts if tag.startswith("B-")}
        labels = sorted({*counts, *inside})
        if len(labels) < 2:
            raise DataError(
                f"{NAME} needs at least two tags; the training examples have "
                f"{', '.join(labels) or 'none'}. Check data.tag_column, or the column of the tags."
            )
        common = "O" if "O" in counts else max(labels, key=lambda tag: counts[tag])
        return {"labels": labels, "common": labels.index(common)}

    def check_facts(self, facts: Facts) -> None:
        """Raise ValueError for facts that `fit` never gives."""
        labels, common = facts.get("labels"), facts.get("common")
        if not isinstance(labels, list) or len(labels) < 2:
            raise ValueError("facts.labels are not at least two tags")
        if not all(isinstance(label, str) for label in labels):
            raise ValueError("facts.labels are no tags")
        if type(common) is not int or not 0 <= common < len(labels):
            raise ValueError("facts.common is the number of no tag")

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, facts: Facts, labelled: bool
    ) -> Columns:
        """One row or more for each example: `tokens`, ragged; `example`, int32.

        Of the words that count in a row, ragged: `places`, those of their first tokens; `words`,
        their numbers in the text; with labels `tags`. In the first row of an example: with labels
        `right`, ragged, the tags of all its words; without, its `text` as UTF-8 and `spans`, the
        first characters of its words and the ones behind them, in turn.
        """
        ids = {label: index for index, label in enumerate(facts["labels"])}
        texts = located(tokenizer, [example.text for example in examples], NAME)
        rows: list[_Row] = []
        for number, example in enumerate(examples):
            if labelled:
                words = words_of_data(example.text)
                tags = np.array([_id(tag, ids, example) for tag in _tags(example)], np.int32)
            else:
                words = words_of_text(example.text, self.config.words == "marks")
                tags = np.zeros(len(words), np.int32)
            rows += self._rows(number, example.text, texts[number], words, tags)
        names = ("tokens", "places", "words")
        columns: dict[str, Ragged | NDArray] = {
            name: ragged([getattr(row, name) for row in rows])
            for name in (*names, *(("tags", "right") if labelled else ("spans",)))
        }
        columns["example"] = np.array([row.example for row in rows], np.int32)
        if not labelled:
            columns["text"] = ragged_texts([row.text for row in rows])
        return columns

    def _rows(
        self,
        number: int,
        text: str,
        tokens: tuple[NDArray, NDArray, NDArray],
        words: NDArray,
        tags: NDArray,
    ) -> Iterator[_Row]:
        """The rows of an example. tokens: ids, starts and ends. words: (n, 2), tags: (n,)."""
        ids, starts, ends = tokens
        first = first_tokens(words, starts, ends)
        cuts = list(windows(len(ids), self.config.max_tokens, self.config.stride))
        # Where two rows have the same tokens, each has the half that is farther from its edge.
        borders = [(at + stop) // 2 for (_, stop), (at, _) in pairwise(cuts)]
        for (at, stop), low, high in zip(cuts, [0, *borders], [*borders, len(ids)], strict=True):
            own = np.flatnonzero((first >= low) & (first < high))
            begins = low == 0
            yield _Row(
                example=number,
                tokens=ids[at:stop],
                places=first[own] - at,
                words=own,
                tags=tags[own],
                right=tags if begins else tags[:0],
                text=text if begins else "",
                spans=words.ravel() if begins else words[:0].ravel(),
            )

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
        """A padded batch; the first tokens of words count, others have no weight."""
        tokens, places = rows["tokens"], rows["places"]
        assert isinstance(tokens, Ragged)
        assert isinstance(places, Ragged)
        ids, length = padded(tokens, shape["batch"], shape["time"])
        label, weight = np.zeros(ids.shape, np.int32), np.zeros(ids.shape, np.float32)
        at = np.repeat(np.arange(len(places)), np.diff(places.offsets)), places.values
        weight[at] = 1
        if isinstance(tags := rows.get("tags"), Ragged):
            label[at] = tags.values
        return Batch({"tokens": ids, "length": length, "label": label, "weight": weight})

    def head(self, facts: Facts) -> Head:
        return Head(outputs=len(facts["labels"]), reads="tokens")

    def loss(self, facts: Facts) -> Loss:
        return Loss(kind="cross_entropy", label_smoothing=self.config.label_smoothing)

    def read(self, logits: NDArray[Any], rows: Columns, facts: Facts) -> list[Found]:
        """The likeliest tag of each word that counts in a row, (rows, time, tags) logits."""
        return [self._read(logits[row], rows, row) for row in range(len(logits))]

    def _read(self, logits: NDArray[Any], rows: Columns, row: int) -> Found:
        odds = logits[row_of(rows, "places", row)].astype(np.float64)
        best = odds.max(axis=1, initial=-np.inf)
        scores = np.exp(best - np.logaddexp.reduce(odds, axis=1))
        known, none = "right" in rows, np.zeros(0, np.int32)
        return Found(
            words=row_of(rows, "words", row),
            tags=odds.argmax(axis=1).astype(np.int32),
            scores=scores,
            right=row_of(rows, "right", row) if known else none,
            text="" if known else text_of(rows, "text", row),
            spans=none if known else row_of(rows, "spans", row),
        )

    def joined(self, found: Sequence[Sequence[Found]], facts: Facts) -> Outcome:
        """The tags of each text's words, beside those that are right."""
        right = [np.concatenate([row.right for row in rows]) for rows in found]
        pairs = zip(found, right, strict=True)
        return Outcome([_together(rows, len(tags), facts)[0] for rows, tags in pairs], right)

    def answer(self, found: Sequence[Found], facts: Facts) -> dict[str, Any]:
        """`words`, each with its tag; `entities` where tags have types: both with the places in
        the text, `start` and `end`, and a score: a probability, of entities the mean of their
        words'.
        """
        text = "".join(row.text for row in found)
        spans = np.concatenate([row.spans for row in found]).reshape(-1, 2).tolist()
        numbers, scores = _together(found, len(spans), facts)
        tags = [facts["labels"][number] for number in numbers]
        words = [
            {"word": text[a:b], "tag": tag, "start": a, "end": b, "score": float(score)}
            for (a, b), tag, score in zip(spans, tags, scores, strict=True)
        ]
        if not any(label.startswith(PREFIXES) for label in facts["labels"]):
            return {"words": words}
        named = []
        for kind, first, behind in entities(tags):
            start, end = spans[first][0], spans[behind - 1][1]
            score = float(scores[first:behind].mean())
            named.append(
                {"text": text[start:end], "type": kind, "start": start, "end": end, "score": score}
            )
        return {"words": words, "entities": named}


def _together(found: Sequence[Found], count: int, facts: Facts) -> tuple[NDArray, NDArray]:
    """Tags and their probabilities of all words of a text, (words,) each; 0 where none was said."""
    tags, scores = np.full(count, facts["common"], np.int32), np.zeros(count)
    for row in found:
        tags[row.words], scores[row.words] = row.tags, row.scores
    return tags, scores


def _tags(example: Example) -> tuple[str, ...]:
    """The tags of an example, one for each word. Raises DataError where they are not."""
    if not isinstance(example.label, tuple):
        raise DataError(
            f"{example.place}: the example has no list of tags. Read a file of words and tags: "
            "CoNLL columns, or jsonl with lists of both (data.text and data.label name them)."
        )
    words = example.text.count(" ") + 1
    if len(example.label) != words:
        raise DataError(
            f"{example.place}: there are {words:,} words, and {len(example.label):,} tags. A "
            "cleaning step that adds, drops or joins words cannot be used with tags."
        )
    return example.label


def _id(tag: str, ids: Mapping[str, int], example: Example) -> int:
    if tag not in ids:
        raise DataError(
            f"{example.place}: the tag {tag!r} is not one of those of the training data. "
            f"{did_you_mean(tag, ids)}"
        )
    return ids[tag]
