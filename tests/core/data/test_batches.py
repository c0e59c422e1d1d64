"""The plan of batches: which examples stand in which batch, at which width."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.data.batches import BatchPlan, bucket_widths, in_order
from loomlm.data.orders import Shuffled

LENGTHS = st.lists(st.integers(0, 300), min_size=1, max_size=200)
SIZES = st.integers(1, 20)
SEEDS = st.integers(0, 2**70)


def plan_of(lengths: list[int], size: int, seed: int) -> BatchPlan:
    return BatchPlan(Shuffled(len(lengths), seed), np.array(lengths), size, seed)


def rows_of(plan: BatchPlan, step: int) -> list[int]:
    return plan.batch(step)[0].tolist()


@given(LENGTHS, SIZES, SEEDS, st.integers(0, 3))
def test_every_example_stands_once_in_every_epoch(lengths, size, seed, epoch):
    plan = plan_of(lengths, size, seed)
    steps = range(epoch * plan.steps_per_epoch + 1, (epoch + 1) * plan.steps_per_epoch + 1)

    batches = [rows_of(plan, step) for step in steps]

    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in batches)
    assert sum(len(batch) < size for batch in batches) <= 1


@given(LENGTHS, SIZES, SEEDS, st.data())
def test_a_step_has_the_same_batch_whatever_was_asked_for_before(lengths, size, seed, data):
    plan = plan_of(lengths, size, seed)
    steps = data.draw(st.lists(st.integers(1, 3 * plan.steps_per_epoch), max_size=10))

    for step in steps:
        fresh = plan_of(lengths, size, seed)
        assert rows_of(plan, step) == rows_of(fresh, step)


@given(LENGTHS, SIZES, SEEDS)
def test_a_batch_is_as_wide_as_the_narrowest_width_that_holds_it(lengths, size, seed):
    plan = plan_of(lengths, size, seed)

    for step in range(1, plan.steps_per_epoch + 1):
        rows, width = plan.batch(step)
        longest = plan.lengths[rows].max()
        assert width in plan.widths
        assert longest <= width
        assert all(narrower < longest for narrower in plan.widths if narrower < width)


@given(st.integers(0, 100_000))
def test_widths_are_few_and_grow_by_half_at_most(longest):
    widths = bucket_widths(longest)

    assert widths[0] == 8
    assert widths[-1] >= longest
    assert len(widths) == 1 or widths[-2] < longest
    assert all(a < b <= a * 1.5 for a, b in pairwise(widths))


@pytest.mark.parametrize("other", [(18, 1), (17, 2)])
def test_another_seed_or_epoch_has_another_order(other):
    seed, epoch = other
    first, second = plan_of([5] * 1000, 10, 17), plan_of([5] * 1000, 10, seed)

    assert rows_of(first, 1) != rows_of(second, (epoch - 1) * second.steps_per_epoch + 1)


def test_seeds_that_are_large_differ_too():
    plans = [plan_of([5] * 1000, 10, seed) for seed in (2**63, 2**63 + 1, 2**63 + 2)]

    assert len({tuple(rows_of(plan, 1)) for plan in plans}) == len(plans)


def test_rows_of_like_length_stand_together_but_not_always_the_same_ones():
    lengths = np.random.default_rng(0).integers(1, 200, 5000).tolist()
    plan = plan_of(lengths, 10, 17)

    steps = range(1, plan.steps_per_epoch + 1)
    room = sum(plan.batch(step)[1] * 10 for step in steps)
    assert sum(lengths) / room > 0.75
    first = {frozenset(rows_of(plan, step)) for step in steps}
    second = {frozenset(rows_of(plan, step + plan.steps_per_epoch)) for step in steps}
    assert len(first & second) < len(first) / 10


def test_short_and_long_batches_come_mixed():
    plan = plan_of(list(range(1, 641)), 10, 17)

    means = [plan.lengths[plan.batch(step)[0]].mean() for step in range(1, 65)]

    assert abs(np.corrcoef(means, range(64))[0, 1]) < 0.5


@given(LENGTHS, SIZES)
def test_evaluation_sees_every_row_once(lengths, size):
    batches = list(in_order(np.array(lengths), size))

    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(len(batch) == size for batch in batches[:-1])
