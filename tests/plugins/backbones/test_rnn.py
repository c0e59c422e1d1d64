"""The recurrent backbone against PyTorch's own, in both directions, and what its dropouts do."""

from __future__ import annotations

import numpy as np
import pytest

from loomlm.config.load import load_config
from loomlm.contracts import BackboneContext
from loomlm.errors import ConfigError
from loomlm.models.initial import initial_arrays

from .conftest import fit_context

torch = pytest.importorskip("torch", reason="the backend is optional")

ROWS = [[3, 1, 4, 1, 5, 9], [6], [5, 3, 5], [8, 9]]
CELLS = ["lstm", "gru"]


def reference(model, row: list[int]) -> np.ndarray:
    """States (time, width) of torch.nn.LSTM or GRU with the model's weights, for a row alone."""
    config, backbone = model.recipe.backbone.config, model.backbone
    kind = torch.nn.LSTM if config.cell == "lstm" else torch.nn.GRU
    whole = kind(
        config.word_width,
        config.width,
        config.layers,
        batch_first=True,
        bidirectional=config.bidirectional,
    )
    with torch.no_grad():
        for stack, suffix in (("layers", ""), ("reverse_layers", "_reverse")):
            for index, layer in enumerate(getattr(backbone, stack) or ()):
                name = f"l{index}{suffix}"
                getattr(whole, f"weight_ih_{name}").copy_(layer.input.weight)
                getattr(whole, f"weight_hh_{name}").copy_(layer.recurrent.weight)
                getattr(whole, f"bias_ih_{name}").copy_(layer.input.bias)
                bias = layer.recurrent.bias
                getattr(whole, f"bias_hh_{name}").copy_(torch.zeros(()) if bias is None else bias)
        states, _ = whole(backbone.embedding(torch.tensor([row])))
    return states[0].numpy()


def head(model, states: np.ndarray) -> np.ndarray:
    weights = dict(model.engine.state("model"))
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


@pytest.mark.parametrize("cell", CELLS)
def test_the_module_bears_the_names_and_shapes_of_the_layout(small_model, cell):
    model = small_model(
        "rnn", "classification", width=5, embedding=4, cell=cell, bidirectional=True
    )
    built = {name: tuple(p.shape) for name, p in model.engine.module.named_parameters()}

    assert built == {p.name: p.shape for p in model.layout}
    assert built["backbone.reverse_layers.1.input.weight"][1] == 10


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_text_without_a_word_gives_numbers(small_model, pooling, bidirectional):
    keys = {"pooling": pooling, "bidirectional": bidirectional}
    model = small_model("rnn", "classification", width=5, **keys)

    assert np.isfinite(model.forward([[], [3, 4]], 4)).all()


def test_both_ways_is_no_language_model(tmp_path):
    (tmp_path / "text.txt").write_text("some words\n")
    (tmp_path / "my.toml").write_text(
        'name = "x"\nbackend = "torch"\ntokenizer = "character"\n'
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


def states(model, rows: list[list[int]], key: int, training: bool = True) -> np.ndarray:
    """Hidden states with the dropout of a key."""
    torch.manual_seed(key)
    tensors = {n: torch.from_numpy(a) for n, a in model.batch(rows).arrays.items()}
    with torch.inference_mode():
        return model.backbone.train(training)(tensors).numpy().copy()


def test_dropout_of_states_is_locked_along_a_row(small_model):
    model = small_model("rnn", width=200, layers=1, output_dropout=0.4)
    rows = [[3, 1, 4, 1, 5]] * 3

    kept = states(model, rows, 1) / states(model, rows, 1, training=False)

    assert kept == pytest.approx(np.where(kept > 0.5, 1 / 0.6, 0), abs=1e-3)
    assert np.ptp(kept, axis=1).max() < 1e-3
    assert (kept[0] != kept[1]).any()
    assert kept.mean() == pytest.approx(1, abs=0.1)


def test_words_are_left_out_wherever_they_stand(small_model):
    model = small_model("rnn", width=6, embedding_dropout=0.3, layers=1)
    tokens = torch.arange(20).repeat(2, 2)
    total = torch.zeros(20)

    for key in range(200):
        torch.manual_seed(key)
        with torch.inference_mode():
            words = model.backbone.train()._words(tokens) / model.backbone.embedding(tokens)
        assert torch.allclose(words, words[:1, :20].repeat(2, 2, 1))
        each = words[0, :20]
        assert torch.allclose(each, each[:, :1].expand_as(each))
        total += each[:, 0]

    assert (total / 200).mean().item() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("cell", CELLS)
def test_weight_dropout_leaves_out_what_goes_from_state_to_state(small_model, cell, monkeypatch):
    model = small_model("rnn", width=30, layers=2, cell=cell, weight_dropout=0.25)
    kernel, seen = getattr(torch, cell), []

    def spy(x, begin, weights, *rest, **more):
        seen.append([w.detach().clone() for w in weights])
        return kernel(x, begin, weights, *rest, **more)

    monkeypatch.setattr(torch, cell, spy)
    states(model, [[3, 1, 4]], 1)

    for layer, (into, recurrent, *_) in zip(model.backbone.layers, seen, strict=True):
        assert torch.equal(into, layer.input.weight)
        kept = recurrent / layer.recurrent.weight.detach()
        assert kept.mean().item() == pytest.approx(1, abs=0.06)
        assert ((kept == 0) | (kept - 1 / 0.75).abs().lt(1e-4)).all()
    # One mask for all rows and tokens of a step, another for the next.
    states(model, [[3, 1, 4]], 2)
    assert not torch.equal(seen[0][1], seen[2][1])


@pytest.mark.parametrize(
    "keys",
    [
        {"input_dropout": 0.5},
        {"layer_dropout": 0.5},
        {"output_dropout": 0.5},
        {"weight_dropout": 0.5},
        {"embedding_dropout": 0.5},
    ],
)
def test_every_dropout_is_keyed_and_off_in_use(small_model, keys):
    model, plain = small_model("rnn", width=6, **keys), small_model("rnn", width=6)
    rows = [[3, 1, 4, 1, 5]]

    assert np.array_equal(states(model, rows, 1), states(model, rows, 1))
    assert not np.array_equal(states(model, rows, 1), states(model, rows, 2))
    assert np.array_equal(model.forward(rows), plain.forward(rows))


def test_dropout_stands_for_those_that_are_not_given(small_model):
    rows = [[3, 1, 4, 1, 5]]
    places = [f"{of}_dropout" for of in ("input", "layer", "output")]
    one = states(small_model("rnn", width=6, dropout=0.5), rows, 1)

    each = small_model("rnn", width=6, **dict.fromkeys(places, 0.5))
    assert np.array_equal(states(each, rows, 1), one)
    none = small_model("rnn", width=6, dropout=0.5, **dict.fromkeys(places, 0.0))
    assert np.array_equal(states(none, rows, 1), states(none, rows, 1, training=False))


def test_the_compiler_leaves_the_kernels_whole(small_model):
    """It would write them out for each token of a row: minutes, where a run wants seconds."""
    from loomlm_torch.compiling import compiled

    model = small_model("rnn", width=6)
    compiled(lambda: None, model.engine.module, model.engine.spec)

    assert all(layer.forward._torchdynamo_disable for layer in model.backbone.layers)
    assert not hasattr(model.backbone.forward, "_torchdynamo_disable")
