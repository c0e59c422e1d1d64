"""How the work of a step is shared, and what processes tell one another."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from loomlm.contracts import Batch
from loomlm.errors import LoomlmError
from loomlm.training.batching import share
from loomlm.training.sharing import Do, Order, compare, digest

SIZES = st.integers(1, 16)


@given(st.integers(0, 64), SIZES)
def test_each_microbatch_is_exactly_one_process_s(count, size):
    taken = [place for rank in range(size) for place in share(count, rank, size)]

    assert sorted(taken) == list(range(count))


@given(st.integers(0, 64), SIZES)
def test_no_process_has_two_microbatches_more_than_another(count, size):
    counts = [len(share(count, rank, size)) for rank in range(size)]

    assert max(counts) - min(counts) <= 1
    assert counts == sorted(counts, reverse=True)


@given(
    st.sampled_from(Do),
    st.integers(0, 2**62),
    st.integers(0, 2**62),
    st.floats(allow_nan=False),
    st.integers(0, 2**32 - 1),
    st.integers(0, 64),
)
def test_an_order_arrives_as_it_was_given(do, step, seed, rate, content, signal):
    order = Order(do, step, seed, rate, content)

    numbers = order.numbers(signal)

    assert all(-(2**63) <= number < 2**63 for number in numbers)
    assert Order.of(numbers) == order
    assert numbers[-1] == signal


def test_a_digest_tells_batches_apart():
    tokens = np.arange(12, dtype=np.int32).reshape(3, 4)
    one = [Batch({"tokens": tokens, "weight": np.ones(3, np.float32)})]
    # The same contents, read the other way round in memory.
    turned = [Batch({"weight": np.ones(3, np.float32), "tokens": np.asfortranarray(tokens)})]
    other = tokens.copy()
    other[2, 3] += 1

    assert digest(one) == digest(turned)
    assert digest(one) != digest([Batch({"tokens": other, "weight": np.ones(3, np.float32)})])
    assert digest(one) != digest([])


@define
class Model:
    """As much of an engine as is compared."""

    weights: np.ndarray

    def state(self, part):
        assert part == "model"
        yield "weights", self.weights


@define
class Meeting:
    """A team of two, the other of which gives as much more."""

    more: int

    def exchange(self, numbers):
        return [list(numbers), [number + self.more for number in numbers]]


def test_weights_that_drift_apart_are_told():
    model = Model(np.arange(5, dtype=np.float32))

    compare(Meeting(0), model, 3)
    with pytest.raises(LoomlmError, match="After step 3, the weights of process 1 are not those"):
        compare(Meeting(1), model, 3)
