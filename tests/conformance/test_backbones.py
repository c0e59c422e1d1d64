"""The built-in backbones hold to what every backbone promises, with every option that they have."""

from __future__ import annotations

import pytest

from .covered import left_out


@pytest.mark.loomlm("backbone:mlp")
def test_mlp(conformance):
    conformance()


@pytest.mark.loomlm("backbone:mlp", keys={"width": 8, "window": 1})
def test_mlp_of_one_token(conformance):
    conformance()


@pytest.mark.loomlm("backbone:rnn")
def test_rnn(conformance):
    conformance()


@pytest.mark.loomlm(
    "backbone:rnn", keys={"layers": 3, "width": 6, "embedding": 9, "tied": False, "pooling": "max"}
)
def test_rnn_with_narrower_states(conformance):
    conformance()


@pytest.mark.loomlm(
    "backbone:rnn",
    keys={"cell": "gru", "layers": 1, "width": 6, "bidirectional": True, "pooling": "max"},
)
def test_rnn_of_one_layer_in_both_directions(conformance):
    conformance()


@pytest.mark.loomlm("backbone:transformer")
def test_transformer(conformance):
    conformance()


GPT2 = {
    "positions": "learned",
    "max_positions": 32,
    "norm": "layernorm",
    "activation": "gelu_tanh",
    "bias": True,
}


@pytest.mark.loomlm(
    "backbone:transformer",
    keys={"layers": 2, "width": 16, "heads": 4, **GPT2, "kv_heads": 1, "qk_norm": True},
)
def test_transformer_with_one_head_of_keys(conformance):
    conformance()


@pytest.mark.loomlm(
    "backbone:transformer",
    keys={
        "layers": 2,
        "width": 16,
        "heads": 4,
        "norm_place": "post",
        "norm": "layernorm",
        "activation": "gelu",
        "bias": True,
        "tied": False,
        "pooling": "first",
    },
)
def test_transformer_with_norms_behind_and_a_head_of_its_own(conformance):
    conformance()


@pytest.mark.loomlm(
    "backbone:transformer",
    keys={
        "layers": 1,
        "width": 16,
        "heads": 4,
        "causal": True,
        "hidden": 7,
        "rotary_base": 100.0,
        "pooling": "last",
    },
)
def test_transformer_that_always_reads_from_left_to_right(conformance):
    conformance()


@pytest.mark.loomlm(
    "backbone:transformer",
    keys={
        "layers": 2,
        "encoder_layers": 1,
        "width": 16,
        "heads": 4,
        **GPT2,
        "norm_place": "post",
        "kv_heads": 2,
        "qk_norm": True,
        "tied": False,
        "encoder_decoder": True,
    },
)
def test_transformer_that_reads_a_source_with_norms_behind(conformance):
    conformance()


def test_none_is_left_out():
    assert not left_out("backbone", globals())
