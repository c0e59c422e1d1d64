"""Labels are renamed, merged and left out; a name that no label has is told."""

from __future__ import annotations

import re

import pytest

from loomlm.plugin import Dropped, Example, UsageError
from loomlm_cleaning.config import LabelsConfig
from loomlm_cleaning.labels import labels_step

from .carrying_out import carried_out, reasons_of

pytestmark = pytest.mark.one_backend


def labelled(*labels: str | tuple[str, ...] | None) -> list[Example]:
    return [Example("text", label, place=f"x:{row}") for row, label in enumerate(labels)]


def labels_of(done: list[Example | Dropped]) -> list[object]:
    return [each.label for each in done if isinstance(each, Example)]


def test_labels_are_renamed_and_merged():
    step = labels_step(LabelsConfig({"pos ": "positive", "POS": "positive", "neg": "negative"}))
    done = carried_out(step, labelled("pos ", "positive", "neg", "POS"))

    assert labels_of(done) == ["positive", "positive", "negative", "positive"]


def test_labels_can_be_exchanged():
    done = carried_out(labels_step(LabelsConfig({"a": "b", "b": "a"})), labelled("a", "b"))

    assert labels_of(done) == ["b", "a"]


def test_examples_whose_label_is_left_out_go():
    step = labels_step(LabelsConfig({"n/a": "unknown"}, drop=("unknown",)))
    done = carried_out(step, labelled("a", "n/a", "unknown", "b"))

    assert labels_of(done) == ["a", "b"]
    assert reasons_of(done) == ["", "label unknown", "label unknown", ""]


def test_of_several_labels_each_is_repaired():
    step = labels_step(LabelsConfig({"b": "a"}, drop=("c",)))
    done = carried_out(step, labelled(("a", "b", "d"), ("c", "d"), ("c",), (), ("d",)))

    assert labels_of(done) == [("a", "d"), ("d",), (), ("d",)]
    assert reasons_of(done)[2] == "label c"


def test_without_labels_nothing_is_done():
    examples = labelled(None, None)

    assert carried_out(labels_step(LabelsConfig()), examples) == examples


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"map": {"postive": "pos"}},
            "map` names the label 'postive', .*'positive'",
        ),
        (
            {"map": {"positive": "+", "+": "plus"}},
            "map` names the label '[+]', which no",
        ),
        (
            {"drop": ("negatve",)},
            "drop` names the label 'negatve', .*'negative'",
        ),
    ],
)
def test_a_misspelt_label_is_told(keys, message):
    step = labels_step(LabelsConfig(**keys))
    carried_out(step, labelled("positive", "negative"))

    (note,) = step.notes("train")
    assert re.search(message, note)


def test_a_label_may_stand_in_one_split_alone():
    step = labels_step(LabelsConfig({"rare": "a"}, drop=("odd",)))
    test, train = labelled("a", "b"), labelled("a", "rare", "odd")

    assert labels_of(carried_out(step, test)) == ["a", "b"]
    assert step.notes("test") == ()
    assert labels_of(carried_out(step, train, test)) == ["a", "a"]
    assert step.notes("train") == ()


def test_a_label_that_is_renamed_away_cannot_be_left_out():
    with pytest.raises(UsageError, match="'a' stands in map and in drop"):
        LabelsConfig({"a": "b"}, drop=("a",))
