"""A backend that is right passes; each mistake is found by the check that is for it."""

from __future__ import annotations

from math import inf

import pytest


def test_a_backend_agrees_with_itself_to_the_bit(beside, checked):
    parity = beside("torch_again")

    for words in (
        "mlp/pooled one_label logits",
        "mlp/pooled one_label metrics",
        "mlp/window causal_lm greedy",
        "mlp/window causal_lm loss adamw",
        "mlp/window one_label resume adamw torch_again",
    ):
        result = parity.result(checked(parity, words))
        assert result.ok
        assert result.worst == 0, str(result)


@pytest.mark.parametrize(
    "words",
    [
        "mlp/pooled one_label logits",
        "mlp/pooled one_label loss adamw",
        "mlp/pooled one_label resume muon torch_double",
        "mlp/window causal_lm greedy",
        "mlp/window causal_lm metrics",
        "mlp/window one_label loss sgd",
        "transformer/llama causal_lm logits",
        "transformer/gpt2 one_label loss muon",
    ],
)
def test_another_rounding_of_the_same_arithmetic_passes(words, beside, checked):
    parity = beside("torch_double")

    result = parity.result(checked(parity, words))

    assert result.ok, str(result)
    assert result.worst > 0 or result.check == "greedy"


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ("torch_weights", "mlp/pooled one_label logits"),
        ("torch_weights", "mlp/window causal_lm logits"),
        ("torch_weights", "mlp/window causal_lm metrics"),
        ("torch_gates", "rnn/lstm one_label logits"),
        ("torch_gates", "rnn/gru causal_lm logits"),
        ("torch_gates", "rnn/bidirectional_gru one_label logits"),
        ("torch_gelu", "transformer/gpt2 one_label logits"),
        ("torch_gelu", "transformer/gpt2 causal_lm logits"),
        ("torch_waves", "transformer/llama causal_lm logits"),
        ("torch_waves", "transformer/llama one_label loss adamw"),
        ("torch_steps", "mlp/window causal_lm greedy"),
        ("torch_steps", "transformer/llama causal_lm greedy"),
        ("torch_rates", "mlp/pooled one_label loss adamw"),
        ("torch_rates", "mlp/window causal_lm loss adamw"),
        ("torch_rates", "mlp/pooled one_label loss muon"),
        ("torch_rates", "mlp/pooled one_label loss sgd"),
        ("torch_clipping", "mlp/pooled one_label loss sgd"),
        ("torch_clipping", "mlp/window one_label loss muon"),
        ("torch_epsilon", "mlp/pooled one_label loss adamw"),
        ("torch_slots", "mlp/pooled one_label resume adamw from torch"),
        ("torch_slots", "mlp/pooled one_label resume muon from torch"),
        ("torch_slots", "mlp/pooled one_label resume sgd/momentum from torch"),
        ("torch_microbatches", "mlp/pooled weighted loss adamw"),
    ],
)
def test_a_mistake_is_found(mistake, words, beside, checked):
    parity = beside(mistake)

    result = parity.result(checked(parity, words))

    assert not result.ok, str(result)
    assert result.worst < inf, str(result)


def test_what_a_mistake_does_not_touch_passes(beside, checked):
    for mistake, words in (
        ("torch_steps", "mlp/window causal_lm logits"),
        ("torch_rates", "mlp/pooled one_label logits"),
        ("torch_slots", "mlp/pooled one_label loss adamw"),
    ):
        parity = beside(mistake)
        assert parity.result(checked(parity, words)).ok


def test_a_backend_that_raises_is_told_with_its_error(beside, checked):
    parity = beside("torch_broken")

    result = parity.result(checked(parity, "mlp/pooled one_label logits"))

    assert result.worst == inf
    assert "torch_broken fails: RuntimeError: out of luck. See " in result.said
    assert "worker.log" in result.said


def test_a_process_that_ends_is_told_and_the_next_check_has_another(beside, checked):
    parity = beside("torch_crash")

    for words in ("mlp/pooled one_label logits", "mlp/window causal_lm logits"):
        result = parity.result(checked(parity, words))
        assert not result.ok
        assert "its process ended with code 3" in result.said
