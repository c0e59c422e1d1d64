"""The transformer that reads a source: against PyTorch's own layers, and its vocabularies."""

from __future__ import annotations

import numpy as np
import pytest

from loomlm.contracts import BackboneContext
from loomlm_backbones.config import TransformerConfig
from loomlm_backbones.transformer import Transformer

KEYS = {
    "encoder_decoder": True,
    "layers": 2,
    "encoder_layers": 1,
    "width": 16,
    "heads": 4,
    "positions": "learned",
    "max_positions": 9,
    "norm": "layernorm",
    "activation": "gelu",
    "bias": True,
}
SOURCE = [[3, 4, 5, 6, 7], [8, 9]]
TOKENS = [[2, 11, 12], [2, 13, 14, 15]]


def arrays(width: int = 6) -> dict[str, np.ndarray]:
    """A batch of two rows whose sides are of unequal length."""
    found = {}
    for name, of_length, rows in (
        ("source", "source_length", SOURCE),
        ("tokens", "length", TOKENS),
    ):
        found[name] = np.array([[*row, *[0] * (width - len(row))] for row in rows], np.int32)
        found[of_length] = np.array([len(row) for row in rows], np.int32)
    return found


def own_layers(model, place: str):
    """PyTorch's own encoder and decoder with a model's weights: embeddings to states."""
    import torch
    from torch import nn

    weights = {n: torch.from_numpy(np.array(a)) for n, a in model.weights().items()}
    keys = {"dim_feedforward": 64, "dropout": 0.0, "activation": "gelu", "batch_first": True}
    keys |= {"norm_first": place == "pre"}

    def load(layer, name: str, pairs: dict[str, str]):
        state = {}
        for theirs, ours in pairs.items():
            for part in ("weight", "bias"):
                joint = f"{theirs}_{part}" if theirs.endswith("in_proj") else f"{theirs}.{part}"
                found = [weights[f"{name}.{one}.{part}"] for one in ours.split("+")]
                state[joint] = torch.cat(found)
        layer.load_state_dict(state)
        return layer.eval()

    pairs = {
        "self_attn.in_proj": "attention.qkv",
        "self_attn.out_proj": "attention.out",
        "linear1": "mlp.up",
        "linear2": "mlp.down",
        "norm1": "attention_norm",
    }
    cross = {
        "multihead_attn.in_proj": "cross.query+cross.source",
        "multihead_attn.out_proj": "cross.out",
        "norm2": "cross_norm",
        "norm3": "mlp_norm",
    }
    reading = [
        load(
            nn.TransformerEncoderLayer(16, 4, **keys),
            "encoder.layers.0",
            pairs | {"norm2": "mlp_norm"},
        )
    ]
    writing = [
        load(nn.TransformerDecoderLayer(16, 4, **keys), f"decoder.layers.{i}", pairs | cross)
        for i in range(2)
    ]

    def norm(x, name: str):
        if place == "post":
            return x
        given = weights[f"{name}.norm.weight"], weights[f"{name}.norm.bias"]
        return nn.functional.layer_norm(x, (16,), *given, 1e-5)

    def embed(tokens, name: str):
        places = weights[f"{name}.positions.weight"][: tokens.shape[1]]
        return weights["embedding.weight"][torch.from_numpy(tokens)] + places

    def states(batch):
        lengths = torch.from_numpy(batch["source_length"])
        hidden = torch.arange(batch["source"].shape[1]) >= lengths[:, None]
        x = embed(batch["source"], "encoder")
        for layer in reading:
            x = layer(x, src_key_padding_mask=hidden)
        source, x = norm(x, "encoder"), embed(batch["tokens"], "decoder")
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        for layer in writing:
            x = layer(x, source, tgt_mask=later, memory_key_padding_mask=hidden)
        return norm(x, "decoder")

    return states


@pytest.mark.one_backend("torch")
@pytest.mark.parametrize("place", ["pre", "post"])
def test_it_computes_what_pytorch_s_own_layers_do(small_model, backend, place):
    import torch

    model = small_model("transformer", "translation", **{**KEYS, "norm_place": place})
    batch = arrays()
    with torch.inference_mode():
        given = {name: torch.from_numpy(array) for name, array in batch.items()}
        found, expected = model.backbone.eval()(given), own_layers(model, place)(batch)
        for row, tokens in enumerate(TOKENS):
            ours, theirs = found[row, : len(tokens)], expected[row, : len(tokens)]
            assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def names(source_vocab_size: int | None, **keys) -> dict[str, tuple[int, ...]]:
    backbone = Transformer(TransformerConfig(**{**KEYS, **keys}))
    context = BackboneContext(
        vocab_size=20,
        pad_id=0,
        reads="tokens",
        causal=False,
        source_vocab_size=source_vocab_size,
    )
    return {one.name: one.shape for one in backbone.parameters(context)}


def test_a_shared_vocabulary_has_one_embedding():
    assert [n for n in names(None) if "embedding" in n] == ["embedding.weight"]


def test_a_source_of_its_own_vocabulary_has_an_embedding_of_its_own():
    found = names(30)

    assert found["embedding.weight"] == (20, 16)
    assert found["source_embedding.weight"] == (30, 16)


def test_there_are_as_many_layers_on_both_sides_unless_it_is_said():
    def count(found, side: str) -> int:
        return len({name.split(".")[2] for name in found if name.startswith(f"{side}.layers")})

    alike, unlike = names(None, encoder_layers=None), names(None)

    assert (count(alike, "encoder"), count(alike, "decoder")) == (2, 2)
    assert (count(unlike, "encoder"), count(unlike, "decoder")) == (1, 2)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"encoder_decoder": False, "encoder_layers": 2}, "encoder_layers belong to"),
        ({"causal": True}, "leave out causal"),
    ],
)
def test_keys_that_do_not_go_together_are_said(keys, said):
    with pytest.raises(ValueError, match=said):
        TransformerConfig(**{**KEYS, **keys})


def test_each_side_goes_by_its_places_and_weights(small_model, backend):
    """Tokens of one side are not those of the other, and what is padding is not read."""
    model = small_model("transformer", "translation", **KEYS)
    batch = arrays()

    def logits(**changed) -> np.ndarray:
        from loomlm.contracts import Batch

        weight = np.ones(batch["tokens"].shape, np.float32)
        return model.engine.forward(Batch({**batch, "weight": weight, **changed}))

    before = logits()
    padded = batch["source"].copy()
    padded[1, 2:] = 7
    assert np.allclose(before, logits(source=padded), atol=1e-5)
    swapped = batch["source"].copy()
    swapped[1, :2] = swapped[1, 1::-1]
    assert not np.allclose(before[1], logits(source=swapped)[1], atol=1e-2)
