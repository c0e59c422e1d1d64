"""Each property of a metric catches one that is made to break it, and no other does."""

from __future__ import annotations

import numpy as np
import pytest

from .catching import Catcher

CAUGHT = {
    "Share": set(),
    "AcceptsAList": {"it_says_what_it_scores"},
    "SaysItOtherwise": {"it_says_what_it_scores"},
    "HasAnotherName": {"a_score_has_its_name"},
    "GivesNumpy": {"a_score_has_its_name"},
    "CountsEmptyParts": {"parts_equal_the_whole"},
    "GoesByPlace": {"the_order_does_not_matter"},
    "AddsOne": {"it_agrees_with_the_reference"},
    "DividesByExamples": {"nothing_to_score_is_no_accident"},
    "IsNoNumber": {"nothing_to_score_is_no_accident"},
    "BeginsAgain": {"looking_changes_nothing"},
    "SharesItsCounts": {"each_counts_for_itself"},
    "WritesIntoTheOutcome": {"what_it_is_given_stays"},
    "IsTurnedRound": {"nothing_beats_what_is_right"},
}


def share(outcome):
    return float(np.mean(outcome.predictions == outcome.references))


@pytest.fixture(scope="module")
def catcher():
    return Catcher.of("metric")


@pytest.mark.parametrize("name", CAUGHT)
def test_what_is_broken_is_caught(catcher, name, tmp_path):
    given = {"reference": share} if name in ("Share", "AddsOne") else {}
    broken = catcher.broken(name, tmp_path, **given)
    assert set(broken) == CAUGHT[name], broken


def test_every_property_has_its_broken_metric(catcher):
    assert set(CAUGHT) == catcher.names
    assert set().union(*CAUGHT.values()) == set(catcher.properties)
