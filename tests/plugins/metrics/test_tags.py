"""Scores of tags: figures of seqeval's documentation, and entities as conlleval reads them."""

from __future__ import annotations

import pytest

from loomlm.plugin import MetricContext, NoConfig, Outcome, entities
from loomlm_metrics.config import EntityConfig
from loomlm_metrics.tags import EntityF1, TagAccuracy

TAGS = ("O", "B-PER", "I-PER", "B-MISC", "I-MISC")


def outcome(predictions: str, references: str) -> Outcome:
    """Sequences of tags: words apart by spaces, sentences by bars."""
    pair = (
        [[TAGS.index(tag) for tag in row.split()] for row in given.split("|")]
        for given in (predictions, references)
    )
    return Outcome(*pair)


def scores(*outcomes: Outcome) -> dict[str, float]:
    metric = EntityF1(EntityConfig(), MetricContext(labels=TAGS, produces="tag_sequences"))
    for one in outcomes:
        metric.update(one)
    return dict(metric.compute())


PREDICTED = "O O B-MISC I-MISC I-MISC I-MISC O | B-PER I-PER O"
RIGHT = "O O O B-MISC I-MISC I-MISC O | B-PER I-PER O"


def test_the_figures_of_seqeval_s_documentation():
    found = scores(outcome(PREDICTED, RIGHT))

    assert found == {
        "entity_f1": 0.5,
        "entity_f1/precision": 0.5,
        "entity_f1/recall": 0.5,
        "entity_f1/MISC": 0.0,
        "entity_f1/PER": 1.0,
    }
    metric = TagAccuracy(NoConfig(), MetricContext(labels=TAGS, produces="tag_sequences"))
    metric.update(outcome(PREDICTED, RIGHT))
    assert metric.compute() == {"tag_accuracy": 0.8}


def test_precision_and_recall_are_over_all_entities_of_all_sentences():
    right = "B-PER I-PER O B-PER | B-MISC O O | B-MISC"
    given = "B-PER I-PER O O | B-MISC B-PER O | O"

    found = scores(*map(outcome, given.split("|"), right.split("|")))

    assert found["entity_f1/precision"] == pytest.approx(2 / 3)
    assert found["entity_f1/recall"] == pytest.approx(2 / 4)
    assert found["entity_f1"] == pytest.approx(4 / 7)
    assert found["entity_f1/PER"] == pytest.approx(2 / 4)
    assert found["entity_f1/MISC"] == pytest.approx(2 / 3)


def test_without_any_entity_every_score_is_0():
    assert scores(outcome("O O", "O O"))["entity_f1"] == 0.0
    assert scores(outcome("B-PER", "O"))["entity_f1/recall"] == 0.0


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ("O B-A I-A O", [("A", 1, 3)]),
        ("B-A B-A I-A", [("A", 0, 1), ("A", 1, 3)]),
        ("I-A I-A O I-A", [("A", 0, 2), ("A", 3, 4)]),  # Begins with I where nothing goes on.
        ("B-A I-B I-A", [("A", 0, 1), ("B", 1, 2), ("A", 2, 3)]),
        ("B-A I-A E-A S-A", [("A", 0, 3), ("A", 3, 4)]),
        ("E-A E-A", [("A", 0, 1), ("A", 1, 2)]),
        ("S-A I-A", [("A", 0, 1), ("A", 1, 2)]),
        ("B-A-B I-A-B", [("A-B", 0, 2)]),
        ("LOC LOC O PER", [("LOC", 0, 2), ("PER", 3, 4)]),
        ("", []),
    ],
)
def test_entities_begin_and_end_as_in_conlleval(tags, wanted):
    assert entities(tags.split()) == wanted
