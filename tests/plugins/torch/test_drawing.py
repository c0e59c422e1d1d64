"""Dropout and attention as the torch backend computes them on a CPU, beside PyTorch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from loomlm_torch.attending import attend
from loomlm_torch.drawing import dropout
from loomlm_torch.transformer import inside, rotate

pytestmark = pytest.mark.one_backend("torch")
DTYPES = (torch.float32, torch.bfloat16)
CLOSE = {torch.float32: 1e-5, torch.bfloat16: 3e-2}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        yield


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_share_is_left_out_and_the_rest_is_raised(dtype, share):
    x = torch.full((300, 401), 2.0, dtype=dtype, requires_grad=True)
    out = dropout(x, share)
    out.backward(torch.ones_like(out))

    left = out == 0
    assert left.float().mean() == pytest.approx(share, abs=0.005)
    raised = torch.tensor(2 / (1 - share)).to(dtype)
    torch.testing.assert_close(out[~left], raised.expand_as(out[~left]), rtol=1e-2, atol=0)
    assert float(out.detach().mean()) == pytest.approx(2, rel=0.03)
    torch.testing.assert_close(x.grad, out / 2, rtol=1e-2, atol=0)
    # Neighbours in a row, and rows, are left out each by itself.
    both = (left[:, 1:] & left[:, :-1]).float().mean(), (left[1:] & left[:-1]).float().mean()
    assert both == pytest.approx((share**2, share**2), abs=0.01)


def test_it_follows_from_the_seed_and_the_number_of_calls():
    def drawn(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return [dropout(torch.ones(7, 9), 0.5) for _ in range(2)]

    first, second = drawn(1)
    assert torch.equal(first, drawn(1)[0]) and torch.equal(second, drawn(1)[1])
    assert not torch.equal(first, second)
    assert not torch.equal(first, drawn(2)[0])


@pytest.mark.parametrize("share", [0.0, 1e-9, 1 - 1e-9])
def test_shares_at_the_ends_leave_finite_numbers(share):
    assert dropout(torch.ones(1000), share).isfinite().all()


def test_nothing_is_left_out_but_in_training():
    x = torch.ones(5)
    assert dropout(x, 0.5, training=False) is x


def inputs(dtype: torch.dtype, kv_heads: int = 4) -> list[torch.Tensor]:
    shapes = ((3, 4, 6, 8), (3, kv_heads, 6, 8), (3, kv_heads, 6, 8))
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


def with_gradients(out: torch.Tensor, given: list[torch.Tensor]) -> list[torch.Tensor]:
    return [out, *torch.autograd.grad(out.float().square().sum(), given)]


@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("sees", ["all", "rows", "before"])
def test_attention_in_bf16_is_that_of_pytorch_in_float32(sees, kv_heads):
    given = inputs(torch.bfloat16, kv_heads)
    mask = inside(torch.tensor([6, 1, 4]), 6) if sees == "rows" else None
    causal = sees == "before"
    fast = with_gradients(attend(*given, mask, causal, 0.0, True), given)
    exact = [x.detach().float().requires_grad_() for x in given]
    plain = with_gradients(
        F.scaled_dot_product_attention(
            *exact, attn_mask=mask, is_causal=causal, enable_gqa=kv_heads != 4
        ),
        exact,
    )
    for one, other in zip(fast, plain, strict=True):
        apart = (one.float() - other).abs().max() / other.abs().max()
        assert apart < 3e-2


@pytest.mark.parametrize("causal", [False, True])
def test_dropout_in_attention_leaves_out_weights(causal):
    """With values that are one-hot, what comes out is the weights themselves."""
    q, k, _ = inputs(torch.float32)
    v = torch.eye(6).expand(3, 4, 6, 6)
    whole = attend(q, k, v, None, causal, 0.5, False)
    dropped = torch.stack([attend(q, k, v, None, causal, 0.5, True) for _ in range(400)])
    seen = whole > 0
    torch.testing.assert_close(
        torch.where(dropped == 0, 2 * whole, dropped), (2 * whole).expand_as(dropped)
    )
    assert (dropped[:, seen] == 0).float().mean() == pytest.approx(0.5, abs=0.01)
    assert not causal or dropped[:, ~seen].abs().max() == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_positions_turn_and_gradients_turn_back(dtype):
    x = torch.randn(2, 5, 3, 8, dtype=dtype, requires_grad=True)
    angles = torch.randn(5, 1, 4)
    cos, sin = torch.cat((angles.cos(),) * 2, -1), torch.cat((-angles.sin(), angles.sin()), -1)

    def pairs(x: torch.Tensor) -> torch.Tensor:
        turned = torch.complex(*x.float().chunk(2, dim=-1)) * torch.polar(
            torch.ones_like(angles), angles
        )
        return torch.cat((turned.real, turned.imag), dim=-1)

    given = torch.randn(2, 5, 3, 8)
    for one, other in zip(
        (rotate(x, cos, sin), *torch.autograd.grad(rotate(x, cos, sin), x, given.to(dtype))),
        (pairs(x), *torch.autograd.grad(pairs(x), x, given)),
        strict=True,
    ):
        torch.testing.assert_close(one.float(), other.float(), rtol=CLOSE[dtype], atol=CLOSE[dtype])
