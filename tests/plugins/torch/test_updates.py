"""The rows that an update names, in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from loomlm_torch.updates import coalesced, in_order  # noqa: E402


@given(st.lists(st.integers(0, 40)), st.sampled_from([41, 1 << 31, 1 << 62]))
def test_rows_are_in_order_and_equal_ones_as_they_came(rows, below):
    given = torch.tensor(rows, dtype=torch.int64)

    named, order = in_order(given, below)

    wanted = given.sort(stable=True)
    assert named.tolist() == wanted.values.tolist()
    assert order.tolist() == wanted.indices.tolist()


@pytest.mark.parametrize("below", [1 << 40, 1 << 62])
def test_rows_of_a_large_table_keep_their_numbers(below):
    given = torch.tensor([below - 1, 3, below - 1, 0, below - 2])

    named, order = in_order(given, below)

    assert named.tolist() == [0, 3, below - 2, below - 1, below - 1]
    assert order.tolist() == [3, 1, 4, 0, 2]


def test_a_sparse_gradient_s_rows_are_summed():
    rows, values = torch.tensor([[4, 1, 4, 0, 1, 4]]), torch.randn(6, 3)
    gradient = torch.sparse_coo_tensor(rows, values, (5, 3), check_invariants=True)

    named, sums = coalesced(gradient)

    wanted = gradient.coalesce()
    assert named.tolist() == wanted.indices()[0].tolist() == [0, 1, 4]
    torch.testing.assert_close(sums, wanted.values())
