"""Matrices laid out anew for generation: the same logits as with those that are stored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from loomlm_torch import engine as engines
from loomlm_torch import packing
from loomlm_torch.linear import NARROW, WIDE
from loomlm_torch.packing import Packed, Summed, Turned, can_pack, packed

pytestmark = [
    pytest.mark.one_backend("torch"),
    pytest.mark.skipif(
        not can_pack("fp32", torch.device("cpu")), reason="this PyTorch is without oneDNN"
    ),
]
MODELS = {
    "transformer": ("transformer", {"layers": 2, "width": 16, "heads": 4, "kv_heads": 2}),
    "biases, GPT-2's": (
        "transformer",
        {"width": 16, "heads": 2, "bias": True, "norm": "layernorm", "activation": "gelu"},
    ),
    "untied": ("transformer", {"width": 16, "heads": 2, "tied": False}),
    "rnn": ("rnn", {"width": 12, "layers": 2}),
    "mlp": ("mlp", {"width": 8, "window": 3, "hidden": [12]}),
}
PROMPTS = {"one row": [[3, 1, 4]], "even": [[3, 1, 4], [1, 5, 9]], "uneven": [[3, 1, 4], [1]]}


def logits(model, rows) -> list[np.ndarray]:
    """Behind a prompt, and behind each of three tokens more."""
    cache, first = model.engine.start(model.batch(rows), 8)
    tokens = [np.full(len(rows), token, np.int32) for token in (7, 2, 11)]
    return [first, *(np.array(model.engine.step(cache, token)) for token in tokens)]


@pytest.mark.parametrize("small", [0, packing.SMALL])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("rows", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("name", MODELS)
def test_the_logits_are_those_of_the_matrices_as_stored(
    small_model, monkeypatch, name, rows, precision, small
):
    monkeypatch.setattr(packing, "SMALL", small)
    monkeypatch.setattr(packing, "most_summed", lambda: packing.MOST_OUTPUTS)
    kind, keys = MODELS[name]
    model = small_model(kind, precision=precision, **keys)
    found = logits(model, rows)
    single = len(rows) == 1 and precision == "fp32"
    turned = bool(small) and precision == "fp32"
    layers = list(model.engine._packed[single].modules())
    assert (Turned if turned else Summed if single else Packed) in map(type, layers)
    left = [layer for layer in layers if type(layer) is nn.Linear]
    assert all(turned and layer.out_features < layer.in_features for layer in left)

    monkeypatch.setattr(engines, "can_pack", lambda *_: False)
    wanted = logits(model, rows)
    # A sum in bf16 may round the other way in another order, by 1 in 256.
    tolerance = 1e-5 if precision == "fp32" else 2e-2 * max(np.abs(w).max() for w in wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize("change", ["learn", "load"])
def test_weights_that_changed_are_laid_out_again(small_model, monkeypatch, change):
    model = small_model("transformer", width=16, heads=2)
    before = logits(model, PROMPTS["even"])
    if change == "learn":
        model.trained([[1, 2, 3, 4]], seed=17)
    else:
        doubled = [(name, 2 * array) for name, array in model.engine.state("model")]
        model.engine.load_state("model", doubled)
    found = logits(model, PROMPTS["even"])
    assert not np.allclose(found[-1], before[-1], atol=1e-3)
    monkeypatch.setattr(engines, "can_pack", lambda *_: False)
    np.testing.assert_allclose(found[-1], logits(model, PROMPTS["even"])[-1], rtol=1e-4, atol=1e-5)


def test_what_may_do_more_than_multiply_stays(monkeypatch):
    monkeypatch.setattr(packing, "SMALL", 0)

    class Doubling(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    hooked, shared = nn.Linear(3, 3), nn.Linear(3, 3)
    hooked.register_forward_hook(lambda module, inputs, output: -output)
    module = nn.Sequential(Doubling(3, 3), hooked, shared, shared)
    x = torch.randn(4, 3)
    with torch.inference_mode():
        other = packed(module, "fp32", single=False)
        torch.testing.assert_close(other(x), module(x))
    assert [type(child) for child in other] == [Doubling, nn.Linear, Packed, Packed]
    assert other[2] is other[3]
    assert [type(child) for child in module] == [Doubling, *[nn.Linear] * 3]


@pytest.mark.parametrize("outputs", [500, 501])
def test_a_sum_of_rows_is_the_product(monkeypatch, outputs):
    monkeypatch.setattr(packing, "most_summed", lambda: 500)
    module = nn.Sequential(nn.Linear(700, outputs), nn.Linear(outputs, 300, bias=False))
    x = torch.randn(1, 1, 700)
    with torch.inference_mode():
        other = packed(module, "fp32", single=True)
        torch.testing.assert_close(other(x), module(x))
    assert [type(child) for child in other] == [Summed if outputs == 500 else nn.Linear, Summed]


@pytest.mark.parametrize(
    ("capability", "gain", "most"),
    [
        ("AVX2", None, 0),
        ("AVX512", None, packing.MOST_OUTPUTS),
        ("AVX512", NARROW, packing.MOST_OUTPUTS),
        ("AVX512", WIDE, float("inf")),
    ],
)
def test_what_is_summed_goes_by_the_processor(monkeypatch, capability, gain, most):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(packing, "gain", lambda: gain)
    assert packing.most_summed() == most
