"""Initial weights: a pure function of seed and name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from loomlm.contracts import Constant, Fitted, Normal, Parameter, Uniform
from loomlm.models.initial import initial_arrays


def parameter(name: str, shape: tuple[int, ...] = (40, 50), init=None, **more) -> Parameter:
    init = init or Uniform(0.1)
    return Parameter(name=name, shape=shape, init=init, role="matrix", decay=True, **more)


def drawn(*layout: Parameter, seed: int = 17, **rows) -> dict[str, np.ndarray]:
    return dict(initial_arrays(layout, seed, Fitted(rows=rows.get("rows", {}))))


def same(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


A, B = parameter("backbone.a"), parameter("backbone.b", init=Normal(0.02))


def test_they_depend_on_nothing_but_seed_and_name():
    assert same(drawn(A, B), drawn(B, A))
    assert np.array_equal(drawn(A)["backbone.a"], drawn(B, A)["backbone.a"])
    renamed = drawn(evolve(A, name="backbone.c"))["backbone.c"]
    assert not np.array_equal(drawn(A)["backbone.a"], renamed)
    assert not np.array_equal(drawn(A)["backbone.a"], drawn(A, seed=18)["backbone.a"])


@given(st.integers(0, 2**80), st.integers(0, 2**80))
def test_every_seed_has_its_own(first, second):
    assert same(drawn(A, B, seed=first), drawn(A, B, seed=second)) == (first == second)


def test_they_are_the_same_in_every_version_and_on_every_machine():
    values = drawn(parameter("head.weight", (3,), Uniform(1)), parameter("x", (3,), Normal(1)))

    expected = [-0.55905998, -0.11825931, -0.72460163]
    assert values["head.weight"].tolist() == pytest.approx(expected, abs=1e-7)
    assert values["x"].tolist() == pytest.approx([1.1545115, -0.0694570, 1.2625179], abs=1e-6)


def test_they_are_spread_as_the_layout_says():
    shape = (300, 400)
    values = drawn(
        parameter("u", shape, Uniform(0.5)),
        parameter("n", shape, Normal(0.02)),
        parameter("c", shape, Constant(2.5)),
    )

    assert {array.dtype for array in values.values()} == {np.dtype(np.float32)}
    assert {array.shape for array in values.values()} == {shape}
    uniform = values["u"]
    assert -0.5 <= uniform.min() < -0.49
    assert 0.49 < uniform.max() < 0.5
    assert abs(uniform.mean()) < 0.005
    assert values["n"].std() == pytest.approx(0.02, rel=0.02)
    assert abs(values["n"].mean()) < 0.001
    assert np.all(values["c"] == 2.5)


def test_a_tied_parameter_is_not_stored():
    assert set(drawn(A, evolve(B, tied_to="backbone.a"))) == {"backbone.a"}


def test_what_was_fitted_takes_the_place_of_its_rows():
    given = np.full((2, 50), 9, np.float32)

    values = drawn(A, B, rows={"a": (np.array([7, 3]), given)})

    untouched = np.setdiff1d(np.arange(40), [3, 7])
    assert np.all(values["backbone.a"][[3, 7]] == 9)
    assert np.array_equal(values["backbone.a"][untouched], drawn(A)["backbone.a"][untouched])
    assert np.array_equal(values["backbone.b"], drawn(B)["backbone.b"])
