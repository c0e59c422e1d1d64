"""What holds of every plan of batches: by examples, by tokens, of a stream, packed, mixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from loomlm.contracts import Ragged
from loomlm.data.batches import ExampleRows, Rows, padding
from loomlm.data.budgets import SHAPES, few_widths
from loomlm.data.columns import ColumnStore
from loomlm.data.mixing import Mixed
from loomlm.data.orders import Mixing, Shuffled, apportioned
from loomlm.data.packing import Packed
from loomlm.data.plans import BatchSize, Plan
from loomlm.data.windows import Windows

LENGTHS = st.lists(st.integers(0, 90), min_size=1, max_size=150)
SEEDS = st.integers(0, 2**64)


def examples(lengths: list[int], first: int = 0) -> ExampleRows:
    """Rows whose tokens are all their own number, from `first` on."""
    offsets = np.cumsum([0, *lengths])
    values = np.repeat(np.arange(first, first + len(lengths)), lengths)
    columns = {"tokens": Ragged(values, offsets), "label": np.arange(len(lengths)) + first}
    return ExampleRows(ColumnStore(columns, len(lengths), {}))


def stream(total: int, context: int = 8) -> Windows:
    return Windows(np.arange(total), context, 0)


def packed(lengths: list[int], context: int = 16) -> Packed:
    return Packed(np.arange(sum(lengths)), np.cumsum([0, *lengths]), context, 0)


def size_of(examples: int | None = None, tokens: int | None = None, multiple: int = 1) -> BatchSize:
    return BatchSize(examples, tokens, multiple)


@st.composite
def rows_of_any_kind(draw: st.DrawFn) -> Rows:
    kind = draw(st.sampled_from(["examples", "stream", "packed", "mixed", "mixed streams"]))
    if kind == "examples":
        return examples(draw(LENGTHS))
    if kind == "stream":
        return stream(draw(st.integers(9, 500)))
    if kind == "packed":
        return packed([*draw(LENGTHS), 3])
    weights = draw(st.lists(st.floats(0.1, 5), min_size=2, max_size=3))
    if kind == "mixed":
        return Mixed([examples(draw(LENGTHS)) for _ in weights], weights)
    return Mixed([stream(draw(st.integers(9, 300))) for _ in weights], weights)


SIZES = st.one_of(
    st.builds(size_of, examples=st.integers(1, 20)),
    st.builds(size_of, tokens=st.integers(1, 600), multiple=st.integers(1, 3)),
)


def epoch(plan: Plan, number: int = 0) -> list[tuple[list[int], int]]:
    first = number * plan.steps_per_epoch + 1
    steps = range(first, first + plan.steps_per_epoch)
    return [(rows.tolist(), width) for rows, width in map(plan.batch, steps)]


@settings(max_examples=25)
@given(rows_of_any_kind(), SIZES, SEEDS, st.data())
def test_a_step_s_batch_is_the_same_however_one_comes_to_it(rows, size, seed, data):
    walked = rows.plan(size, seed)
    batches = [walked.batch(step) for step in range(1, 2 * walked.steps_per_epoch + 2)]
    step = data.draw(st.integers(1, len(batches)))

    found, width = rows.plan(size, seed).batch(step)

    assert found.tolist() == batches[step - 1][0].tolist()
    assert width == batches[step - 1][1]


@settings(max_examples=25)
@given(rows_of_any_kind(), SIZES, SEEDS)
def test_no_batch_has_a_shape_that_was_not_declared(rows, size, seed):
    plan = rows.plan(size, seed)
    heights = {width: height for height, width in plan.shapes}

    assert len(heights) == len(plan.shapes)
    for found, width in epoch(plan) + epoch(plan, 1):
        assert 1 <= len(found) <= heights[width]
        if isinstance(rows, ExampleRows):
            assert rows.lengths[found].max() <= width


@settings(max_examples=25)
@given(rows_of_any_kind(), SIZES, SEEDS, st.integers(1, 4), st.integers(1, 3))
def test_processes_that_share_a_batch_have_it_all_in_order(rows, size, seed, world, parts):
    """Each process makes the plan itself, and takes its part of each microbatch."""
    heights = {width: height for height, width in rows.plan(size, seed).shapes}
    step = rows.plan(size, seed).steps_per_epoch
    whole, width = rows.plan(size, seed).batch(step)
    height = -(-heights[width] // parts)

    dealt: list[int] = []
    plans = [rows.plan(size, seed) for _ in range(world)]
    for at in range(0, heights[width], height):
        micro = [plan.batch(step)[0][at : at + height] for plan in plans]
        each = -(-height // world)
        dealt += [int(row) for rank, m in enumerate(micro) for row in m[rank * each :][:each]]

    assert dealt == whole.tolist()


@given(LENGTHS, st.integers(1, 800), st.integers(1, 4), SEEDS, st.integers(0, 2))
def test_by_tokens_every_example_stands_once_in_an_epoch(lengths, tokens, multiple, seed, number):
    plan = examples(lengths).plan(size_of(tokens=tokens, multiple=multiple), seed)

    batches = epoch(plan, number)

    assert sorted(row for rows, _ in batches for row in rows) == list(range(len(lengths)))
    assert len(plan.shapes) <= SHAPES
    for height, width in plan.shapes:
        assert height % multiple == 0
        assert height * width <= tokens or height == multiple
        # One batch of each width may be smaller.
        smaller = [rows for rows, w in batches if w == width and len(rows) < height]
        assert len(smaller) <= 1


def test_by_tokens_batches_of_all_widths_come_mixed_and_in_another_order_each_epoch():
    plan = examples(list(range(1, 91)) * 20).plan(size_of(tokens=256), 17)
    widths = [width for _, width in epoch(plan)]

    changes = sum(a != b for a, b in pairwise(widths))
    assert changes > len(widths) / 2
    first, second = ({tuple(sorted(rows)) for rows, _ in epoch(plan, e)} for e in (0, 1))
    assert len(first & second) < len(first) / 20


@given(st.integers(9, 500), st.integers(8, 100), st.integers(1, 3))
def test_of_a_stream_as_many_rows_as_the_tokens_hold(total, tokens, multiple):
    assume(tokens >= 8 * multiple)
    ((height, width),) = stream(total).plan(size_of(tokens=tokens, multiple=multiple), 0).shapes

    assert height * width <= tokens < (height + multiple) * width
    assert height % multiple == 0


@given(st.lists(st.integers(0, 400), min_size=1, max_size=80), st.integers(1, 4))
def test_few_widths_are_the_best_there_are(lengths, most):
    widths = few_widths(np.array(lengths), most)

    def places(widths: tuple[int, ...]) -> int:
        return sum(next(width for width in widths if width >= length) for length in lengths)

    assert list(widths) == sorted(set(widths))
    assert len(widths) <= most
    assert all(width % 8 == 0 for width in widths)
    longest = max(8, -(-max(lengths) // 8) * 8)
    assert widths[-1] == longest
    evenly = {-(-longest * part // (most * 8)) * 8 for part in range(1, most + 1)}
    assert places(widths) <= places(tuple(sorted(evenly)))


# --- mixtures ------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 60), min_size=2, max_size=4), SEEDS, st.data())
def test_a_mixture_has_its_shares_in_every_epoch_and_walks_each_source_through(sizes, seed, data):
    weights = data.draw(
        st.lists(st.floats(0.2, 5), min_size=len(sizes), max_size=len(sizes)), "weights"
    )
    rows = Mixed([examples([3] * count) for count in sizes], weights)
    order = rows.order(seed)
    starts = np.cumsum([0, *sizes])

    epochs = [order.rows(np.arange(e * order.count, (e + 1) * order.count)) for e in range(3)]

    assert order.count == sum(sizes)
    for found in epochs:
        counts = np.bincount(np.searchsorted(starts, found, side="right") - 1, minlength=len(sizes))
        wanted = order.count * np.array(weights) / sum(weights)
        assert (abs(counts - wanted) < 1).all()
    for seen in (epochs[:1], epochs[:2], epochs):
        times = np.bincount(np.concatenate(seen), minlength=order.count)
        for start, end in pairwise(starts):
            assert times[start:end].max() - times[start:end].min() <= 1


def test_a_mixture_comes_mixed_and_its_sources_are_shuffled_apart():
    rows = Mixed([examples([3] * 500), examples([3] * 500)], [1, 1])

    found = rows.order(1).rows(np.arange(1000))

    second = found >= 500
    assert 400 < (second[1:] == second[:-1]).sum() < 600
    assert found[~second].tolist() != (found[second] - 500).tolist()
    assert abs(np.corrcoef(found[~second], np.arange(500))[0, 1]) < 0.2


@pytest.mark.parametrize("size", [size_of(examples=8), size_of(tokens=256)])
def test_a_mixture_of_examples_keeps_rows_of_like_length_together(size):
    lengths = np.random.default_rng(0).integers(1, 90, 2000).tolist()
    rows = Mixed([examples(lengths[:1500]), examples(lengths[1500:], 1500)], [1, 2])

    plan = rows.plan(size, 17)
    batches = epoch(plan)

    assert padding(plan, rows) < 0.25
    of_second = sum(row >= 1500 for found, _ in batches for row in found)
    assert abs(of_second - 2000 * 2 / 3) < 10
    assert sum(len(found) for found, _ in batches) == 2000


def test_a_mixture_s_rows_are_those_of_its_sources_in_the_order_asked_for():
    rows = Mixed([examples([2, 0, 5]), examples([1, 4], 3), examples([3], 5)], [1, 1, 1])

    taken = rows.take(np.array([4, 0, 5, 1, 2, 3, 4]))

    tokens, label = taken["tokens"], taken["label"]
    assert isinstance(tokens, Ragged)
    assert not isinstance(label, Ragged)
    assert label.tolist() == [4, 0, 5, 1, 2, 3, 4]
    assert [tokens[row].tolist() for row in range(7)] == [
        [4] * 4, [0] * 2, [5] * 3, [], [2] * 5, [3], [4] * 4,
    ]  # fmt: skip
    assert rows.tokens(np.array([4, 0, 5])) == 9
    assert len(rows.take(np.zeros(0, np.int64))["tokens"]) == 0


def test_in_evaluation_a_mixture_s_rows_come_once_each():
    rows = Mixed([examples([2, 0, 50]), examples([1, 4], 3)], [1, 9])

    batches = list(rows.ordered(2))

    assert sorted(np.concatenate([found for found, _ in batches]).tolist()) == [0, 1, 2, 3, 4]
    assert [width for _, width in batches] == [2, 50, 4]


def test_mixed_streams_give_windows_of_each():
    rows = Mixed([stream(80), Windows(np.arange(1000, 1160), 8, 0)], [1, 1])
    plan = rows.plan(size_of(examples=4), 3)

    tokens = rows.take(plan.batch(5)[0])["tokens"]

    assert isinstance(tokens, Ragged)
    windows = [tokens[row].tolist() for row in range(4)]
    assert all(window == list(range(window[0], window[0] + 9)) for window in windows)


@given(st.integers(0, 1000), st.lists(st.floats(0.01, 100), min_size=1, max_size=9))
def test_apportioned_numbers_have_the_sum_and_are_near_their_quotas(total, shares):
    counts = apportioned(total, shares)

    assert sum(counts) == total
    for count, share in zip(counts, shares, strict=True):
        assert abs(count - total * share / sum(shares)) < 1


# --- padding -------------------------------------------------------------------------------------

Make = Callable[[], Rows]


@pytest.mark.parametrize(
    ("rows", "size", "share"),
    [
        (examples([8] * 10), size_of(examples=5), 0.0),
        (examples([6] * 10), size_of(examples=5), 0.25),
        (examples([8] * 6), size_of(examples=4), 0.25),
        (stream(100), size_of(examples=3), 0.0),
        (packed([9, 9, 5], 16), size_of(examples=2), 0.375),
    ],
)
def test_padding_is_the_share_of_places_without_a_token(rows, size, share):
    assert padding(rows.plan(size, 0), rows) == pytest.approx(share)


def test_orders_of_other_streams_differ():
    orders = [Shuffled(1000, 3, stream).rows(np.arange(1000)) for stream in range(3)]
    mixed = Mixing([Shuffled(500, 3, 1), Shuffled(500, 3, 2)], (500, 500), (0, 500), 3)

    assert len({tuple(order) for order in orders}) == 3
    assert Counter(mixed.rows(np.arange(1000)).tolist()) == Counter(range(1000))
