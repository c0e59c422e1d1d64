"""The search for the largest batch, by an engine that has a limit, and the rule for a CPU."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loomlm.training.sizing import in_memory, largest, with_margin

GIB = 1 << 30


@given(limit=st.integers(0, 10_000), most=st.integers(1, 10_000))
def test_what_is_found_fits_and_is_near_the_largest(limit, most):
    tried = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size <= limit

    found = largest(fits, most)

    assert found <= min(limit, most)
    assert found >= min(limit, most) - max(1, found // 8)
    assert max(tried) <= most
    assert len(tried) <= 2 * most.bit_length() + 2
    assert len(set(tried)) == len(tried)


def test_all_rows_are_taken_where_they_fit():
    assert largest(lambda size: True, 100) == 100
    assert largest(lambda size: False, 100) == 0


@given(st.integers(1, 10_000))
def test_a_margin_leaves_an_eighth(rows):
    kept = with_margin(rows)

    assert 1 <= kept <= max(1, rows - rows / 8)
    assert kept >= rows - rows / 8 - 8 or rows == 1
    assert kept < 64 or kept % 8 == 0


def test_a_batch_takes_half_of_the_free_memory():
    assert in_memory(rise=4 * GIB, rows=4, fixed=0, free=20 * GIB) == 10
    assert in_memory(rise=4 * GIB, rows=4, fixed=2 * GIB, free=20 * GIB) == 16
    assert in_memory(rise=4 * GIB, rows=4, fixed=2 * GIB, free=2 * GIB) == 1
    # Where nothing could be measured, memory sets no limit.
    assert in_memory(rise=0, rows=4, fixed=1000, free=20 * GIB) > 10_000
