"""Random answers, as tasks give them to metrics, of each kind that a metric may accept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from loomlm.contracts import Likelihood, Outcome
from loomlm.testing.conformance.drawing import strategies

LIKELIHOODS = ("likelihood", "pseudo_likelihood")
PRODUCES = (
    "classes",
    "label_sets",
    "tokens",
    *LIKELIHOODS,
    "numbers",
    "tag_sequences",
    "texts",
)

LABELLED = ("classes", "label_sets", "tag_sequences")
"""Kinds whose answers are labels that have names."""

WORDS = ("cat", "sat", "mat", "on", "Rome", "seven", "hills", "blue")
"""What random texts are made of: words that no score leaves out."""

LEAST = 4
"""Words of a text that is right, at least: some scores count runs of four."""

MOST = 9
"""The largest weight of a label, but for that of the class that is predicted."""

Pair = tuple[Any, Any]
"""Reference and prediction of an example: of tags, a sequence of each; of texts, a tuple of texts
that are right and a text. Of a likelihood, a loss and (tokens, bytes, words).

The prediction of a class is (class, weights), and of label sets (set, weights): weights, one a
label, say how the probabilities lie to one another that go with it.
"""


def outcome_of(produces: str, pairs: list[Pair], labels: int) -> Outcome | Likelihood:
    """Examples as a task gives them, in an Outcome or a Likelihood. labels: how many there are."""
    if produces in LIKELIHOODS:
        counts = [counts for _, counts in pairs]
        tokens, sizes, words = (sum(each[at] for each in counts) for at in range(3))
        return Likelihood(math.fsum(loss for loss, _ in pairs), float(tokens), sizes, words)
    references, predictions = [r for r, _ in pairs], [p for _, p in pairs]
    if produces == "tokens":
        return Outcome(np.array(predictions, np.int64), np.array(references, np.int32))
    if produces == "numbers":
        return Outcome(np.array(predictions, np.float64), np.array(references, np.float64))
    if produces == "tag_sequences":
        return Outcome([list(row) for row in predictions], [list(row) for row in references])
    if produces == "texts":
        return Outcome(list(predictions), [list(right) for right in references])
    return _with_scores(produces, pairs, labels)


def _with_scores(produces: str, pairs: list[Pair], labels: int) -> Outcome:
    """Classes or label sets with probabilities, of which those of what is predicted are largest."""
    references = [reference for reference, _ in pairs]
    predictions = [prediction for _, (prediction, _) in pairs]
    shape = (len(pairs), labels)
    weights = np.array([weights for _, (_, weights) in pairs], np.float64).reshape(shape)
    if produces == "classes":
        weights[np.arange(len(pairs)), predictions] += MOST + 1
        scores = weights / weights.sum(axis=1, keepdims=True)
        return Outcome(np.array(predictions, np.int64), np.array(references, np.int32), scores)
    given = np.array(predictions, np.int8).reshape(shape)
    scores = (given + weights / (MOST + 1)) / 2
    return Outcome(given, np.array(references, np.int8).reshape(shape), scores)


def any_pairs(produces: str, labels: int, least: int = 1) -> Any:
    """A strategy for examples, at least so many. labels: how many there are."""
    return strategies().lists(_any_pair(produces, labels), min_size=least, max_size=30)


def _any_pair(produces: str, labels: int) -> Any:
    st = strategies()
    a_label, words = st.integers(0, labels - 1), st.sampled_from(WORDS)
    a_set = st.lists(st.integers(0, 1), min_size=labels, max_size=labels)
    a_number = st.floats(-100, 100, width=16)
    weights = st.lists(st.integers(0, MOST), min_size=labels, max_size=labels)
    tags = st.lists(st.tuples(a_label, a_label), max_size=8)
    text = st.lists(words, max_size=8).map(" ".join)
    right = st.lists(words, min_size=LEAST, max_size=8).map(" ".join)
    mean, count = st.floats(0, 20), st.integers(1, 100)
    likelihood = st.builds(lambda nats, *n: (nats * n[0], n), mean, count, count, count)
    return {
        "classes": st.tuples(a_label, st.tuples(a_label, weights)),
        "label_sets": st.tuples(a_set, st.tuples(a_set, weights)),
        "tokens": st.tuples(a_label, a_label),
        "numbers": st.tuples(a_number, a_number),
        "tag_sequences": tags.map(lambda words: ([r for r, _ in words], [p for _, p in words])),
        "texts": st.tuples(st.lists(right, max_size=2), text),
        **dict.fromkeys(LIKELIHOODS, likelihood),
    }[produces]


def all_right(produces: str, pairs: list[Pair]) -> list[Pair]:
    """The same examples with answers that could not be better."""
    if produces in LIKELIHOODS:
        return [(0.0, counts) for _, counts in pairs]
    if produces == "texts":
        return [(right, right[0] if right else "") for right, _ in pairs]
    if produces not in ("classes", "label_sets"):
        return [(reference, reference) for reference, _ in pairs]
    # As sure as can be: without weight, the others have no probability.
    return [(reference, (reference, [0] * len(weights))) for reference, (_, weights) in pairs]


def what_pairs_are(produces: str) -> str:
    """What a Pair of a kind is, for a message."""
    if produces in LIKELIHOODS:
        return "(loss, (tokens, bytes, words))"
    scored = produces in ("classes", "label_sets")
    return "(reference, (prediction, weights))" if scored else "(reference, prediction)"


def listed(values: Any) -> Any:
    """Predictions or references as lists."""
    if values is None or isinstance(values, np.ndarray):
        return None if values is None else values.tolist()
    return [list(one) for one in values]
