"""Some examples are drawn, each label by its share."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.plugin import Dropped, Example
from loomlm_cleaning.config import SampleConfig
from loomlm_cleaning.sampling import sample_step, shares

from .carrying_out import carried_out

pytestmark = pytest.mark.one_backend

EXAMPLES = [Example(f"text {row}", "ab"[row % 4 == 0], place=f"x:{row}") for row in range(400)]


def drawn(examples=EXAMPLES, **keys) -> list[Example]:
    done = carried_out(sample_step(SampleConfig(**{"examples": 40, **keys})), examples)
    assert {each.reason for each in done if isinstance(each, Dropped)} <= {"not drawn"}
    return [each for each in done if isinstance(each, Example)]


def test_so_many_are_drawn_with_the_labels_shares():
    assert Counter(each.label for each in drawn()) == {"a": 30, "b": 10}


def test_a_seed_draws_the_same_ones_and_another_others():
    assert drawn(seed=1) == drawn(seed=1)
    assert drawn(seed=1) != drawn(seed=2)


def test_they_are_not_the_first_ones():
    places = [EXAMPLES.index(each) for each in drawn(stratify=False)]

    assert places == sorted(places)
    assert max(places) > 200


def test_where_there_are_fewer_all_stay_and_it_is_told():
    step = sample_step(SampleConfig(examples=9))
    done = carried_out(step, EXAMPLES[:5])

    assert done == EXAMPLES[:5]
    assert step.notes("train") == ("train has 5 examples, and 9 were to be drawn",)


@given(st.integers(1, 300), st.lists(st.integers(0, 90), min_size=1, max_size=6))
def test_shares_add_up_and_are_none_too_large(wanted, sizes):
    found = shares(wanted, sizes)

    assert sum(found) == min(wanted, sum(sizes))
    for one, size in zip(found, sizes, strict=True):
        assert 0 <= one <= size
        if wanted < sum(sizes):
            assert abs(one - wanted * size / sum(sizes)) < 1
