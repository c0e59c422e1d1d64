"""Products by oneDNN: those of `nn.Linear`, and its gradients; and which layers have them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from attrs import evolve
from torch import nn

from loomlm_torch import linear as products
from loomlm_torch.chunked import chunked_loss
from loomlm_torch.linear import Gain, Linear, adopt, linear, reading

CPU = torch.device("cpu")
ALWAYS = Gain(0, 0, weights=True, places=64)

pytestmark = [
    pytest.mark.one_backend("torch"),
    pytest.mark.skipif(
        not torch.backends.mkldnn.is_available(), reason="this PyTorch is without oneDNN"
    ),
]


@pytest.fixture(autouse=True)
def everywhere(monkeypatch):
    """As on a processor where it is faster, and for products of any size."""
    monkeypatch.setattr(products, "gain", lambda: ALWAYS)


@pytest.fixture
def called(monkeypatch):
    """The shapes of what is multiplied by oneDNN."""
    shapes, product = [], products._product

    def noted(x, weight, bias):
        shapes.append((tuple(x.shape), tuple(weight.shape)))
        return product(x, weight, bias)

    monkeypatch.setattr(products, "_product", noted)
    return shapes


def drawn(*shape, wanted=True):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(17)).requires_grad_(wanted)


@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 6), (2, 3, 4, 6), (1, 6), (0, 6), (6,)])
@pytest.mark.parametrize("bias", [True, False])
def test_products_and_gradients_are_those_of_pytorch(called, shape, bias):
    found = []
    for function in (linear, F.linear):
        x, weight = drawn(*shape), drawn(7, 6)
        shift = drawn(7) if bias else None
        out = function(x, weight, shift)
        out.square().sum().backward()
        found.append([out, x.grad, weight.grad, *([shift.grad] if bias else [])])
    assert called[:1] == ([(shape, (7, 6))] if len(shape) > 1 and shape[0] else [])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("shape", [(4, 6), (6, 4, 2)])
def test_gradients_of_one_number_and_rows_that_stand_apart(shape):
    found = []
    for function in (linear, F.linear):
        x, weight = drawn(*shape), drawn(7, 4)
        function(x.transpose(-1, -2), weight, None).sum().backward()
        found.append((x.grad, weight.grad))
    torch.testing.assert_close(*found)


def test_gradients_of_gradients():
    found = []
    for function in (linear, F.linear):
        x, weight = drawn(5, 6), drawn(7, 6)
        slopes = torch.autograd.grad(
            function(x, weight, None).pow(3).sum(), (x, weight), create_graph=True
        )
        sum(slope.square().sum() for slope in slopes).backward()
        found.append((x.grad, weight.grad))
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("learns", ["x", "weight", "bias"])
def test_only_the_gradients_that_are_wanted(called, learns):
    x, weight, bias = (
        drawn(*shape, wanted=name == learns)
        for name, shape in (("x", (5, 6)), ("weight", (7, 6)), ("bias", (7,)))
    )
    weight.requires_grad_(learns != "x")
    out = linear(x, weight, bias)
    out.square().sum().backward()
    assert (x.grad is not None) == (learns == "x")
    assert (bias.grad is not None) == (learns == "bias")
    wanted = {"x": [((5, 7), (6, 7))], "weight": [((7, 5), (6, 5))]}
    assert called == [((5, 6), (7, 6)), *wanted.get(learns, wanted["weight"])]


def test_gradients_of_weights_are_pytorch_s_where_they_gain_nothing(called, monkeypatch):
    monkeypatch.setattr(products, "gain", lambda: evolve(ALWAYS, weights=False))
    linear(drawn(5, 6), drawn(7, 6), None).sum().backward()
    assert called == [((5, 6), (7, 6)), ((5, 7), (6, 7))]


@pytest.mark.parametrize("how", ["float64", "autocast", "small", "switched off", "elsewhere"])
def test_what_is_left_to_pytorch(called, monkeypatch, how):
    x, weight = drawn(5, 6), drawn(7, 6)
    if how == "float64":
        x, weight = x.double(), weight.double()
    elif how == "small":
        monkeypatch.setattr(products, "gain", lambda: evolve(ALWAYS, with_gradients=5 * 6 * 7 + 1))
    elif how == "elsewhere":
        monkeypatch.setattr(products, "gain", lambda: None)
    elif how == "switched off":
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
        found = linear(x, weight, None)
        assert torch.equal(found, F.linear(x, weight))
    assert called == []


def test_transforms_of_torch_func_are_left_to_pytorch(called):
    x, weight = drawn(5, 6), drawn(7, 6)
    slope = torch.func.grad(lambda x: linear(x, weight, None).sum())(x)
    torch.testing.assert_close(slope, weight.sum(dim=0).expand(5, 6))
    assert called == []


def test_layers_are_adopted_as_they_are(called):
    class Doubling(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    plain, shadowed, seen = nn.Linear(3, 3), nn.Linear(3, 3), []
    shadowed.forward = lambda x: -x
    plain.register_forward_hook(lambda *_: seen.append("hook"))
    module = nn.Sequential(plain, Doubling(3, 3), shadowed, nn.Tanh())
    names, x = list(module.state_dict()), torch.randn(4, 3)
    wanted = module(x)

    adopt(module, torch.device("meta"))
    assert type(plain) is nn.Linear
    adopt(module, CPU)

    assert [type(child) for child in module] == [Linear, Doubling, nn.Linear, nn.Tanh]
    torch.testing.assert_close(module(x), wanted)
    assert (len(called), seen, list(module.state_dict())) == (1, ["hook", "hook"], names)


def test_an_update_with_them_is_one_without(small_model, monkeypatch):
    """Also of a head whose loss is taken in parts."""
    rows, found = [[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]], []
    monkeypatch.setattr("loomlm_torch.chunked.PART", 40)
    for here in (True, False):
        here_too = ALWAYS if here else None
        monkeypatch.setattr(products, "gain", lambda found=here_too: found)
        model = small_model("transformer", width=16, heads=2, layers=2)
        module = model.engine.module
        assert not any(type(layer) is Linear for layer in module.modules())
        found.append([*model.trained(rows, 17), model.forward(rows)])
        assert any(type(layer) is Linear for layer in module.modules()) == here
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_an_evaluation_has_the_bits_of_one_by_a_loaded_model(called):
    """Or a run that was stopped behind its last step would end with other scores."""
    layer, x = nn.Linear(300, 200), drawn(100, 300)
    with torch.inference_mode():
        loaded = layer(x)
    adopt(layer, CPU)
    with torch.inference_mode():
        assert torch.equal(layer(x), loaded)
    assert called == []
    layer(x)
    assert called == [((100, 300), (200, 300))]


def test_what_reads_a_batch_multiplies_so_and_its_layers_stay(called, small_model, monkeypatch):
    rows, found = [[3, 1, 4, 1, 5] * 8, [9, 2, 6, 5, 3] * 8], []
    for here in (None, ALWAYS):
        monkeypatch.setattr(products, "gain", lambda found=here: found)
        model = small_model("transformer", width=16, heads=2, layers=2)
        found.append(model.forward(rows))
        assert bool(called) == (here is not None)
        assert not any(type(layer) is Linear for layer in model.engine.module.modules())
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-5)


def test_a_small_batch_is_read_as_ever_and_one_in_bf16(called):
    layer = nn.Linear(3, 3)
    for shape, precision in (((7, 9), "fp32"), ((8, 8), "bf16")):
        with reading({"tokens": torch.zeros(shape)}, precision, CPU):
            layer(torch.zeros(2, 3))
    assert called == []
    with reading({"tokens": torch.zeros(8, 8)}, "fp32", CPU):
        layer(torch.zeros(2, 3))
        layer(input=torch.zeros(2, 3))
    assert called == [((2, 3), (3, 3))] * 2


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("form", ["vector", "sparse", "subclass", "matrix"])
def test_what_reads_a_batch_may_call_it_with_anything(called, form):
    class Doubled(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            with torch._C.DisableTorchFunctionSubclass():
                return 2 * func(*args, **(kwargs or {}))

    given = {
        "vector": lambda: drawn(6),
        "sparse": lambda: drawn(7, 6).detach().to_sparse_csr(),
        "subclass": lambda: drawn(7, 6).detach().as_subclass(Doubled),
        "matrix": lambda: drawn(7, 6),
    }[form]()
    x = drawn(5, 6).detach()
    wanted = F.linear(x, given)
    with torch.no_grad(), reading({"tokens": torch.zeros(8, 8)}, "fp32", CPU):
        found = F.linear(x, given)
    np.testing.assert_allclose(found.tolist(), wanted.tolist(), rtol=1e-5)
    assert bool(called) == (form == "matrix")


PROCESSORS = {
    "another": ({"cpu_name": "Intel Xeon", "avx512_f": True, "avx512_vp2intersect": True}, None),
    "older": ({"cpu_name": "AMD EPYC", "avx512_f": False}, None),
    "narrow": ({"cpu_name": "AMD EPYC", "avx512_f": True}, products.NARROW),
    "wide": (
        {"cpu_name": "AMD EPYC", "avx512_f": True, "avx512_vp2intersect": True},
        products.WIDE,
    ),
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_what_there_is_to_gain_goes_by_the_processor(monkeypatch, name):
    monkeypatch.undo()
    says, expected = PROCESSORS[name]
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: says)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    assert products.gain.__wrapped__() == expected


def test_a_head_s_loss_in_parts_is_multiplied_so_too(called):
    head = Linear(6, 9)
    batch = {"label": torch.arange(5), "weight": torch.ones(5)}
    from loomlm.plugin import Loss

    chunked_loss(head, drawn(5, 6), batch, Loss(kind="cross_entropy")).backward()
    assert called == [((5, 6), (9, 6)), ((5, 9), (6, 9)), ((9, 5), (6, 5))]
