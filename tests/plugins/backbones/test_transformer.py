"""The transformer against plain references, and as an encoder."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf, softmax

from loomlm.contracts import BackboneContext

ROW = [3, 1, 4, 1, 5, 9, 2, 6]
SMALL = {"layers": 2, "width": 24, "heads": 6}


def weights(model) -> dict[str, np.ndarray]:
    return {name: value.astype(np.float64) for name, value in model.weights().items()}


def hidden(model, row) -> np.ndarray:
    """States (time, width) of the module."""
    return model.states([row])[0]


def layer_norm(x, weight, bias):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) * weight + bias


def rms_norm(x, weight):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5) * weight


def attended(q, k, v):
    """One head of causal attention, (time, d) each."""
    scores = q @ k.T / np.sqrt(q.shape[1])
    scores[np.triu_indices(len(q), 1)] = -np.inf
    return softmax(scores, axis=1) @ v


def gpt2(w, row, heads):
    """GPT-2 as OpenAI's own code computes it."""
    x = w["embedding.weight"][row] + w["positions.weight"][: len(row)]
    for i in range(2):
        own = {n.removeprefix(f"layers.{i}."): v for n, v in w.items()}
        h = layer_norm(x, own["attention_norm.weight"], own["attention_norm.bias"])
        qkv = h @ own["attention.qkv.weight"].T + own["attention.qkv.bias"]
        q, k, v = (np.split(part, heads, axis=1) for part in np.split(qkv, 3, axis=1))
        h = np.concatenate([attended(*one) for one in zip(q, k, v, strict=True)], axis=1)
        x = x + h @ own["attention.out.weight"].T + own["attention.out.bias"]
        h = layer_norm(x, own["mlp_norm.weight"], own["mlp_norm.bias"])
        h = h @ own["mlp.up.weight"].T + own["mlp.up.bias"]
        h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
        x = x + h @ own["mlp.down.weight"].T + own["mlp.down.bias"]
    return layer_norm(x, w["norm.weight"], w["norm.bias"])


def turned(x):
    """Rotary positions as complex numbers: the pair (x[i], x[i + d / 2]) is one."""
    half = x.shape[1] // 2
    angles = np.outer(np.arange(len(x)), 10_000.0 ** (-np.arange(half) / half))
    z = (x[:, :half] + 1j * x[:, half:]) * np.exp(1j * angles)
    return np.concatenate([z.real, z.imag], axis=1)


def llama(w, row, heads, kv_heads):
    """Llama with grouped queries: each head of keys serves heads / kv_heads of queries."""
    x = w["embedding.weight"][row]
    d = x.shape[1] // heads
    for i in range(2):
        own = {n.removeprefix(f"layers.{i}."): v for n, v in w.items()}
        h = rms_norm(x, own["attention_norm.weight"])
        qkv = h @ own["attention.qkv.weight"].T
        q, k, v = np.split(qkv, [heads * d, (heads + kv_heads) * d], axis=1)
        outs = []
        for head in range(heads):
            group = head // (heads // kv_heads)
            own_q = turned(q[:, head * d : (head + 1) * d])
            own_k = turned(k[:, group * d : (group + 1) * d])
            outs.append(attended(own_q, own_k, v[:, group * d : (group + 1) * d]))
        x = x + np.concatenate(outs, axis=1) @ own["attention.out.weight"].T
        h = rms_norm(x, own["mlp_norm.weight"])
        gate = h @ own["mlp.gate.weight"].T
        h = gate / (1 + np.exp(-gate)) * (h @ own["mlp.up.weight"].T)
        x = x + h @ own["mlp.down.weight"].T
    return rms_norm(x, w["norm.weight"])


def test_it_can_be_gpt2(small_model):
    model = small_model(
        "transformer",
        **SMALL,
        positions="learned",
        max_positions=16,
        norm="layernorm",
        activation="gelu_tanh",
        bias=True,
    )

    assert hidden(model, ROW) == pytest.approx(gpt2(weights(model), ROW, 6), abs=1e-4)


@pytest.mark.parametrize("kv_heads", [6, 3, 1])
def test_it_can_be_llama(small_model, kv_heads):
    model = small_model("transformer", **SMALL, kv_heads=kv_heads)

    assert hidden(model, ROW) == pytest.approx(llama(weights(model), ROW, 6, kv_heads), abs=1e-4)
    assert weights(model)["layers.0.mlp.gate.weight"].shape == (64, 24)


def test_gelu_is_exact_and_post_norms_stand_behind_the_sums(small_model):
    keys = {"norm": "layernorm", "norm_place": "post", "activation": "gelu", "layers": 1}
    model = small_model("transformer", **{**SMALL, **keys, "heads": 1})
    w = {name.removeprefix("layers.0."): value for name, value in weights(model).items()}

    # A single token attends to itself alone.
    x = w["embedding.weight"][ROW[:1]]
    value = np.split(x @ w["attention.qkv.weight"].T, 3, axis=1)[2]
    x = layer_norm(x + value @ w["attention.out.weight"].T, w["attention_norm.weight"], 0)
    h = x @ w["mlp.up.weight"].T
    h = h * (1 + erf(h / np.sqrt(2))) / 2
    x = layer_norm(x + h @ w["mlp.down.weight"].T, w["mlp_norm.weight"], 0)

    assert hidden(model, ROW[:1]) == pytest.approx(x, abs=1e-4)


def test_qk_norm_makes_the_size_of_queries_and_keys_not_matter(small_model):
    model = small_model("transformer", **SMALL, qk_norm=True)
    before = hidden(model, ROW)

    for name, value in model.weights().items():
        if name.endswith("attention.qkv.weight"):
            value[:48] *= 100
            model.set({name: value})
    assert hidden(model, ROW) == pytest.approx(before, abs=1e-3)
    assert {n for n in weights(model) if "query_norm" in n or "key_norm" in n} == {
        f"layers.{i}.attention.{name}_norm.weight" for i in range(2) for name in ("query", "key")
    }


def test_an_encoder_sees_both_ways_and_a_decoder_one(small_model):
    def first(model, row):
        return model.forward([row])[0]

    encoder = small_model("transformer", "classification", **SMALL, pooling="first")
    assert abs(first(encoder, ROW) - first(encoder, ROW[:5])).max() > 1e-3

    decoder = small_model("transformer", "classification", **SMALL, pooling="first", causal=True)
    assert first(decoder, ROW) == pytest.approx(first(decoder, ROW[:5]), abs=1e-5)

    last = small_model("transformer", "classification", **SMALL, pooling="last", causal=True)
    assert abs(first(last, ROW) - first(last, [8, *ROW[1:]])).max() > 1e-3


def test_what_it_can_do_follows_from_causal(make_backbone):
    both = {"sequence", "tokens", "segments"}

    assert make_backbone("transformer").capabilities == both | {"causal", "bidirectional"}
    assert make_backbone("transformer", causal=True).capabilities == both | {"causal"}
    assert make_backbone("transformer", causal=False).capabilities == both | {"bidirectional"}


def test_learned_positions_bound_the_rows(make_backbone):
    learned = make_backbone("transformer", positions="learned", max_positions=64)

    assert learned.longest == 64
    assert make_backbone("transformer").longest is None


def test_a_head_shares_the_embedding_unless_told_otherwise(make_backbone):
    assert make_backbone("transformer").tied == "embedding.weight"
    assert make_backbone("transformer", tied=False).tied is None


def test_initial_values_are_gpt2s(make_backbone):
    context = BackboneContext(vocab_size=50, pad_id=0, reads="tokens", causal=True)
    layout = {p.name: p for p in make_backbone("transformer", layers=8).parameters(context)}

    assert layout["embedding.weight"].init.std == 0.02
    assert layout["layers.3.attention.qkv.weight"].init.std == 0.02
    assert layout["layers.3.attention.out.weight"].init.std == 0.02 / 4
    assert layout["layers.3.mlp.down.weight"].init.std == 0.02 / 4
    assert layout["norm.weight"].init.value == 1
    assert {p.role for p in layout.values()} == {"embedding", "matrix", "vector"}
    assert {p.name for p in layout.values() if not p.decay} == {
        name for name in layout if "norm" in name
    }


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"width": 30, "heads": 4}, "4 heads cannot share a width of 30"),
        ({"heads": 4, "kv_heads": 3}, "kv_heads must divide heads, 4, got 3"),
        ({"width": 12, "heads": 4}, "rotary positions need heads of even width"),
        ({"positions": "learned"}, "max_positions goes with learned positions"),
        ({"max_positions": 8}, "max_positions goes with learned positions"),
    ],
)
def test_what_does_not_fit_is_said(make_backbone, keys, said):
    with pytest.raises(ValueError, match=said):
        make_backbone("transformer", **keys)
