"""What a stage trains: frozen parameters, and rates that fall with the distance from the head."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.contracts import Constant, Parameter
from loomlm.errors import UsageError
from loomlm.models.tuning import depths, tuned


def parameter(name: str, **more) -> Parameter:
    role = "embedding" if "embedding" in name else "vector"
    given_ = {"shape": (2,), "init": Constant(0.0), "role": role, "decay": False, **more}
    return Parameter(name=name, **given_)


def layout(*names: str) -> tuple[Parameter, ...]:
    return tuple(parameter(name) for name in names)


ENCODER = layout(
    "backbone.embedding.weight",
    "backbone.first_norm.weight",
    "backbone.layers.0.up.weight",
    "backbone.layers.1.up.weight",
    "backbone.norm.weight",
    "head.weight",
)


def test_embeddings_are_deepest_and_the_head_is_on_top():
    assert list(depths(ENCODER).values()) == [0, 0, 1, 2, 2, 3]


def test_two_stacks_side_by_side_are_equally_deep():
    found = depths(
        layout(
            "backbone.embedding.weight",
            "backbone.layers.0.weight",
            "backbone.layers.1.weight",
            "backbone.reverse_layers.0.weight",
            "backbone.reverse_layers.1.weight",
            "head.weight",
        )
    )

    assert list(found.values()) == [0, 1, 2, 1, 2, 3]


def test_numbers_of_a_module_of_one_s_own_are_counted():
    found = depths(layout("backbone.module.2.weight", "backbone.module.7.weight", "head.weight"))

    assert list(found.values()) == [1, 2, 3]


def test_a_backbone_may_say_how_deep_a_parameter_is():
    own = (parameter("backbone.a", depth=3), parameter("backbone.b", depth=0), *layout("head.bias"))

    assert depths(own) == {"backbone.a": 3, "backbone.b": 0, "head.bias": 4}


def test_rates_fall_by_the_decay_for_each_layer():
    found = tuned(ENCODER, (), 0.5, "trainer")

    assert [p.learning_rate_scale for p in found] == [0.125, 0.125, 0.25, 0.5, 0.5, 1.0]


def test_a_rate_that_a_backbone_scales_is_scaled_again():
    own = (parameter("backbone.layers.0.weight", learning_rate_scale=3.0), *layout("head.weight"))

    assert tuned(own, (), 0.1, "trainer")[0].learning_rate_scale == pytest.approx(0.3)


def test_what_a_pattern_names_is_frozen_and_nothing_else():
    table = parameter("backbone.embedding.weight", sparse=True)

    found = tuned((table, *ENCODER[1:]), ["backbone.embedding.*", "*.0.*"], None, "trainer")

    assert [p.trainable for p in found] == [False, True, False, True, True, True]
    assert not found[0].sparse


def test_a_pattern_that_freezes_nothing_is_an_error_with_the_nearest_name():
    with pytest.raises(UsageError, match=r"Did you mean 'backbone.embedding.weight'"):
        tuned(ENCODER, ["backbone.embeding.weight"], None, "stages.finetune.trainer")


def test_a_tied_parameter_is_frozen_by_the_one_that_has_its_values():
    tied = parameter("head.weight", tied_to="backbone.embedding.weight")

    with pytest.raises(UsageError, match=r"shares the values of backbone.embedding.weight"):
        tuned((*ENCODER[:-1], tied), ["head.*"], None, "trainer")


def test_something_has_to_be_trained():
    with pytest.raises(UsageError, match="nothing would be left"):
        tuned(ENCODER, ["*"], None, "trainer")


@given(st.integers(0, 12), st.floats(0.1, 1.0))
def test_however_many_layers_no_rate_is_above_the_head_s(count, decay):
    names = [f"backbone.layers.{index}.weight" for index in range(count)]
    whole = layout("backbone.embedding.weight", *names, "head.weight")

    rates = [p.learning_rate_scale for p in tuned(whole, (), decay, "trainer")]

    assert rates == sorted(rates)
    assert rates[-1] == 1.0
    assert rates[0] == pytest.approx(decay ** (count + 1))
