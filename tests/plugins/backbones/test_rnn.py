"""The recurrent backbone against plain references, in both directions, and what its dropouts do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.special import expit as sigmoid

from loomlm.config.load import load_config
from loomlm.contracts import BackboneContext
from loomlm.errors import ConfigError
from loomlm.models.initial import initial_arrays

from ..whole import fit_context

ROWS = [[3, 1, 4, 1, 5, 9], [6], [5, 3, 5], [8, 9]]
CELLS = ["lstm", "gru"]


def reference(model, row: list[int]) -> np.ndarray:
    """States (time, width), or twice as wide, for a row alone, by the cells' equations."""
    config, w = model.recipe.backbone.config, model.weights()
    x = w["embedding.weight"][row]
    for index in range(config.layers):
        own = {n: v for n, v in w.items() if n.split(".")[:2] == ["layers", str(index)]}
        found = [read(config, own, x)]
        if config.bidirectional:
            back = {n: v for n, v in w.items() if n.startswith(f"reverse_layers.{index}.")}
            found.append(read(config, back, x[::-1])[::-1])
        x = np.concatenate(found, axis=1)
    return x


def read(config, named: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """(time, in) to the states of a layer, (time, width)."""
    w = {".".join(n.split(".")[-2:]): value.astype(np.float64) for n, value in named.items()}
    states, found = [np.zeros(config.width)] * 2, []
    for given in x @ w["input.weight"].T + w["input.bias"]:
        states = advance(config, w, given, states)
        found.append(states[0])
    return np.array(found)


def advance(config, w, given: np.ndarray, states: Sequence[np.ndarray]) -> list[np.ndarray]:
    """h and, of an LSTM, c behind a token; given: what it says to the gates."""
    h, before = states[0], w["recurrent.weight"] @ states[0]
    if config.cell == "lstm":
        enter, forget, new, leave = np.split(given + before, 4)
        c = sigmoid(forget) * states[1] + sigmoid(enter) * np.tanh(new)
        return [sigmoid(leave) * np.tanh(c), c]
    (r, z, n), (r_h, z_h, n_h) = (np.split(a, 3) for a in (given, before + w["recurrent.bias"]))
    z = sigmoid(z + z_h)
    return [(1 - z) * np.tanh(n + sigmoid(r + r_h) * n_h) + z * h]


@pytest.mark.one_backend("torch")
@pytest.mark.parametrize("cell", CELLS)
def test_the_reference_is_pytorchs_own(small_model, cell):
    import torch

    keys = {"width": 5, "embedding": 4, "layers": 1, "tied": False}
    model = small_model("rnn", "classification", cell=cell, **keys)
    whole = getattr(torch.nn, cell.upper())(4, 5, batch_first=True)
    w = {name: torch.from_numpy(value) for name, value in model.weights().items()}
    bias = w.get("layers.0.recurrent.bias", torch.zeros_like(w["layers.0.input.bias"]))
    with torch.no_grad():
        whole.weight_ih_l0.copy_(w["layers.0.input.weight"])
        whole.weight_hh_l0.copy_(w["layers.0.recurrent.weight"])
        whole.bias_ih_l0.copy_(w["layers.0.input.bias"])
        whole.bias_hh_l0.copy_(bias)
        expected, _ = whole(w["embedding.weight"][ROWS[0]][None])

    assert reference(model, ROWS[0]) == pytest.approx(expected[0].numpy(), abs=1e-5)


def head(model, states: np.ndarray) -> np.ndarray:
    weights = model.weights()
    return states @ weights["head.weight"].T + weights["head.bias"]


POOLINGS = {
    "mean": lambda states, half: states.mean(axis=0),
    "max": lambda states, half: states.max(axis=0),
    "last": lambda states, half: np.concatenate([states[-1, :half], states[0, half:]]),
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_padded_rows_give_what_each_gives_alone(small_model, cell, bidirectional, pooling):
    keys = {"cell": cell, "bidirectional": bidirectional, "pooling": pooling, "tied": False}
    model = small_model("rnn", "classification", width=5, embedding=4, layers=3, **keys)

    for width in (6, 11):
        for row, found in zip(ROWS, model.forward(ROWS, width), strict=True):
            pooled = POOLINGS[pooling](reference(model, row), 5)
            assert found == pytest.approx(head(model, pooled), abs=1e-5)


@pytest.mark.one_backend
def test_both_ways_is_no_language_model(tmp_path, backend):
    (tmp_path / "text.txt").write_text("some words\n")
    (tmp_path / "my.toml").write_text(
        f'name = "x"\nbackend = "{backend}"\ntokenizer = "character"\n'
        'backbone = { type = "rnn", bidirectional = true }\n'
        '[[stages]]\nname = "a"\ntask = "causal_lm"\ndata = { train = "text.txt" }\n'
        "trainer = { steps = 1 }\n"
    )

    with pytest.raises(ConfigError, match="causal_lm needs a backbone that can do causal; rnn can"):
        load_config(tmp_path / "my.toml")


def test_a_head_shares_only_an_embedding_as_wide_as_the_states(make_backbone):
    with pytest.raises(ValueError, match="share embeddings of 4 with states of 8; set tied = fal"):
        make_backbone("rnn", width=8, embedding=4)
    assert make_backbone("rnn", width=8, embedding=4, tied=False).tied is None
    assert make_backbone("rnn", width=8, embedding=4, bidirectional=True).tied is None
    assert make_backbone("rnn", width=8).tied == "embedding.weight"


@pytest.mark.parametrize("bidirectional", [False, True])
def test_forget_gates_start_open(make_backbone, bidirectional):
    backbone = make_backbone("rnn", width=4, layers=2, bidirectional=bidirectional)
    context = BackboneContext(vocab_size=9, pad_id=0, reads="sequence", causal=False)
    fitted = backbone.fit(fit_context([[1]], ["a"]))

    arrays = dict(initial_arrays(backbone.parameters(context), 17, fitted))

    biases = [array.reshape(4, 4) for name, array in arrays.items() if name.endswith("bias")]
    assert len(biases) == (4 if bidirectional else 2)
    for bias in biases:
        assert bias.tolist() == [[0] * 4, [1] * 4, [0] * 4, [0] * 4]


def test_dropout_of_states_is_locked_along_a_row(small_model):
    model = small_model("rnn", width=200, layers=1, output_dropout=0.4)
    rows = [[3, 1, 4, 1, 5]] * 3

    kept = model.states(rows, key=1) / model.states(rows)

    assert kept == pytest.approx(np.where(kept > 0.5, 1 / 0.6, 0), abs=1e-3)
    assert np.ptp(kept, axis=1).max() < 1e-3
    assert (kept[0] != kept[1]).any()
    assert kept.mean() == pytest.approx(1, abs=0.1)


def words(model, tokens: np.ndarray, key: int | None = None) -> np.ndarray:
    """The embeddings of tokens (batch, time), under the dropout of a key."""
    if model.backend == "torch":
        import torch

        torch.manual_seed(key or 0)
        with torch.inference_mode():
            return model.backbone.train(key is not None)._words(torch.from_numpy(tokens)).numpy()
    from loomlm_tensorflow.drawing import drawing
    from loomlm_tensorflow.framework import tf

    with drawing(tf.constant([key or 0, 1], tf.uint32)):
        return model.backbone._words(tf.constant(tokens), key is not None).numpy()


def test_words_are_left_out_wherever_they_stand(small_model):
    model = small_model("rnn", width=6, embedding_dropout=0.3, layers=1)
    tokens = np.tile(np.arange(20), (2, 2))
    whole, total = words(model, tokens), np.zeros(20)

    for key in range(200):
        kept = words(model, tokens, key) / whole
        assert kept == pytest.approx(np.tile(kept[:1, :20], (2, 2, 1)), abs=1e-5)
        each = kept[0, :20]
        assert each == pytest.approx(np.broadcast_to(each[:, :1], each.shape), abs=1e-5)
        total += each[:, 0]

    assert (total / 200).mean() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("cell", CELLS)
def test_weight_dropout_is_one_mask_for_all_rows_and_tokens_of_a_step(small_model, cell):
    model = small_model("rnn", width=30, layers=1, cell=cell, weight_dropout=0.25)
    rows = [[3, 1, 4]] * 2

    one, other, plain = (model.states(rows, key=key) for key in (1, 2, None))

    # No state goes into the first token's.
    assert one[:, 0] == pytest.approx(plain[:, 0], abs=1e-6)
    assert abs(one[:, 1] - plain[:, 1]).max() > 0.01
    assert abs(one[:, 1] - other[:, 1]).max() > 0.01
    assert one[0] == pytest.approx(one[1], abs=1e-6)


@pytest.mark.one_backend("torch")
@pytest.mark.parametrize("cell", CELLS)
def test_weight_dropout_leaves_out_what_goes_from_state_to_state(small_model, cell, monkeypatch):
    import torch

    model = small_model("rnn", width=30, layers=2, cell=cell, weight_dropout=0.25)
    kernel, seen = getattr(torch, cell), []

    def spy(x, begin, weights, *rest, **more):
        seen.append([w.detach().clone() for w in weights])
        return kernel(x, begin, weights, *rest, **more)

    monkeypatch.setattr(torch, cell, spy)
    model.states([[3, 1, 4]], key=1)

    for layer, (into, recurrent, *_) in zip(model.backbone.layers, seen, strict=True):
        assert torch.equal(into, layer.input.weight)
        kept = recurrent / layer.recurrent.weight.detach()
        assert kept.mean().item() == pytest.approx(1, abs=0.06)
        assert ((kept == 0) | (kept - 1 / 0.75).abs().lt(1e-4)).all()


def test_dropout_stands_for_those_that_are_not_given(small_model):
    rows = [[3, 1, 4, 1, 5]]
    places = [f"{of}_dropout" for of in ("input", "layer", "output")]
    one = small_model("rnn", width=6, dropout=0.5).states(rows, key=1)

    each = small_model("rnn", width=6, **dict.fromkeys(places, 0.5))
    assert np.array_equal(each.states(rows, key=1), one)
    none = small_model("rnn", width=6, dropout=0.5, **dict.fromkeys(places, 0.0))
    assert np.array_equal(none.states(rows, key=1), none.states(rows))


@pytest.mark.one_backend("torch")
def test_the_compiler_leaves_the_kernels_whole(small_model):
    """It would write them out for each token of a row: minutes, where a run wants seconds."""
    from loomlm_torch.compiling import compiled

    model = small_model("rnn", width=6)
    compiled(lambda: None, model.engine.module, model.engine.spec, exact=True)

    assert all(layer.forward._torchdynamo_disable for layer in model.backbone.layers)
    assert not hasattr(model.backbone.forward, "_torchdynamo_disable")
