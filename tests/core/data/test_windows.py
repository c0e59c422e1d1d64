"""Windows of a stream: which tokens a batch holds, as a function of the step alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loomlm.data.orders import ROUNDS, permuted
from loomlm.data.windows import WalkPlan, WindowOrder, Windows


def plan_of(total: int, context: int, batch_size: int, seed: int) -> WalkPlan:
    return WalkPlan(WindowOrder(total, context, seed), context, batch_size)


def stream(total: int) -> np.ndarray:
    """Tokens that name their own place."""
    return np.arange(total, dtype=np.uint16)


def keys(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(2**63, size=ROUNDS).astype("u8")


sizes = st.integers(1, 3000)
seeds = st.integers(0, 2**64)


@given(sizes, st.integers(0, 99))
def test_permuted_is_a_permutation(size, seed):
    found = permuted(np.arange(size), size, keys(seed))

    assert sorted(found.tolist()) == list(range(size))


@given(st.integers(2, 2**40), st.integers(0, 99), st.data())
def test_permuted_is_computed_index_by_index(size, seed, data):
    places = st.lists(st.integers(0, size - 1), min_size=1, max_size=20, unique=True)
    indices = np.array(data.draw(places))

    together = permuted(indices, size, keys(seed))

    alone = [permuted(np.array([index]), size, keys(seed))[0] for index in indices]
    assert together.tolist() == alone
    assert len(set(alone)) == len(alone)
    assert min(alone) >= 0 and max(alone) < size


def test_permuted_mixes_and_its_keys_count():
    order = permuted(np.arange(1000), 1000, keys(1))
    other = permuted(np.arange(1000), 1000, keys(2))

    # Of a random order, half of the neighbours rise, and 1 in 1000 stands where it stood.
    assert 400 < (np.diff(order) > 0).sum() < 600
    assert abs(np.corrcoef(order, np.arange(1000))[0, 1]) < 0.15
    assert (order == other).sum() < 10


@given(st.integers(2, 500), st.integers(2, 40), st.integers(1, 9))
def test_in_evaluation_every_token_is_predicted_once(total, context, batch_size):
    rows = Windows(stream(total), context, 0)

    predicted = []
    for starts, width in rows.ordered(batch_size):
        assert len(starts) <= batch_size
        assert width == context
        tokens = rows.take(starts)["tokens"]
        for row in range(len(tokens)):
            window = tokens[row].tolist()
            assert window == list(range(window[0], window[-1] + 1))
            predicted += window[1:]
    assert predicted == list(range(1, total))


@settings(max_examples=20)
@given(st.data())
def test_an_epoch_has_every_window_once_and_leaves_little_out(data):
    context = data.draw(st.integers(2, 20))
    total = data.draw(st.integers(context + 1, 700))
    plan = plan_of(total, context, 1, data.draw(seeds))

    starts = np.array([plan.batch(step)[0][0] for step in range(1, plan.steps_per_epoch + 1)])

    phase = starts.min()
    assert sorted(starts) == [phase + context * n for n in range(plan.order.count)]
    assert phase >= 0
    assert starts.max() + context + 1 <= total
    assert total - context * plan.order.count <= 2 * context


@settings(max_examples=20)
@given(st.integers(60, 600), st.integers(2, 20), st.integers(1, 40), seeds)
def test_batches_follow_each_other_across_epochs(total, context, batch_size, seed):
    """Whatever the batch, the rows come in one order; every batch is full."""
    one = plan_of(total, context, 1, seed)
    many = plan_of(total, context, batch_size, seed)

    rows = np.concatenate([many.batch(step)[0] for step in range(1, 6)])

    assert rows.tolist() == [one.batch(step)[0][0] for step in range(1, 5 * batch_size + 1)]


def test_a_step_s_batch_depends_on_the_step_alone():
    plan = plan_of(10_000, 16, 8, 3)
    expected = {step: plan.batch(step)[0].tolist() for step in (700, 3, 41)}

    again = plan_of(10_000, 16, 8, 3)
    assert {step: again.batch(step)[0].tolist() for step in (3, 41, 700)} == expected
    assert plan_of(10_000, 16, 8, 4).batch(3)[0].tolist() != expected[3]


def test_epochs_differ_in_order_and_phase():
    plan = plan_of(1600, 16, 1, 3)
    epochs = [
        [
            int(plan.batch(epoch * plan.order.count + n)[0][0])
            for n in range(1, plan.order.count + 1)
        ]
        for epoch in range(8)
    ]

    assert len({min(epoch) for epoch in epochs}) > 3
    assert len({tuple(np.argsort(epoch)) for epoch in epochs}) == 8


@pytest.mark.parametrize("total", [9, 10, 16, 17])
def test_text_for_hardly_one_window(total):
    plan = plan_of(total, 8, 4, 1)
    rows = Windows(stream(total), 8, 0)

    for step in range(1, 9):
        assert all(len(tokens) == 9 for tokens in windows(rows, plan.batch(step)[0]))


def windows(rows: Windows, starts: np.ndarray) -> list[np.ndarray]:
    tokens = rows.take(starts)["tokens"]
    return [tokens[row] for row in range(len(tokens))]


def test_a_mapped_stream_that_is_large_gives_the_same_rows(tmp_path, monkeypatch):
    """Its rows are asked for first, also where it is a part of the file, and at its very end."""
    stream(9000).tofile(tmp_path / "tokens.bin")
    mapped = np.asarray(np.memmap(tmp_path / "tokens.bin", np.uint16, "r"))[1000:]
    starts = np.array([0, 7991, 4000, 3])
    monkeypatch.setattr("loomlm.data.asking.LARGE", 0)

    tokens = Windows(mapped, 8, 0).take(starts)["tokens"]

    assert tokens.values.tolist() == [1000 + s + i for s in starts.tolist() for i in range(9)]


def test_tokens_are_those_that_are_predicted():
    rows = Windows(stream(20), 8, 0)

    assert rows.tokens(np.array([0, 8])) == 16
    assert rows.tokens(np.array([16])) == 3


def test_of_no_rows_there_are_no_tokens():
    rows = Windows(stream(20), 8, 0)

    assert len(rows.take(np.zeros(0, np.int64))["tokens"]) == 0
