"""The recurrent encoder-decoder against a plain reference, which takes one row and token at a time.

Its task is one that copies; that of `loomlm_tasks` is `translation`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from loomlm.contracts import BackboneContext, Batch
from loomlm.models.initial import initial_arrays
from loomlm.registry import Registry

from ..whole import fit_context, greedy
from .test_rnn import advance, read

COPYING = Path(__file__).parents[2] / "third_party" / "loomlm_copying" / "src"
SOURCES = [[3, 1, 4, 1, 5, 9], [6], [5, 3, 5], []]
TARGETS = [[2, 7, 1, 8], [2, 8, 1], [2], [2, 4, 5, 9, 4, 5]]
KINDS = {
    "lstm": {"cell": "lstm", "attention": "bahdanau"},
    "gru": {"cell": "gru", "attention": "dot", "embedding": 4, "encoder_layers": 2, "layers": 1},
}


@pytest.fixture(scope="session")
def registry() -> Registry:
    """The plugins that are installed, and the one that copies."""
    sys.path.append(str(COPYING))
    return Registry.load(["loomlm_copying"])


@pytest.fixture
def make(small_model):
    """Makes a model of two layers that read and two that write."""

    def model(**keys):
        given = {"encoder_decoder": True, "width": 5, "layers": 2, **keys}
        return small_model("rnn", "copy", **given)

    return model


@pytest.fixture(params=KINDS)
def model(request, make):
    return make(**KINDS[request.param])


def batch_of(sources, targets, width: int = 0) -> Batch:
    """A batch whose labels are the tokens themselves."""
    width = width or max(map(len, [*sources, *targets]))
    filled = [
        np.array([[*row, *[0] * (width - len(row))] for row in rows], np.int32)
        for rows in (sources, targets)
    ]
    lengths = [np.array([len(row) for row in rows], np.int32) for rows in (sources, targets)]
    weight = (np.arange(width) < lengths[1][:, None]).astype(np.float32)
    names = ("source", "tokens", "source_length", "length")
    arrays = dict(zip(names, (*filled, *lengths), strict=True))
    return Batch({**arrays, "label": filled[1], "weight": weight})


def reference(config, w, source: list[int], target: list[int]) -> np.ndarray:
    """Logits (time, outputs) of a row alone, by the equations of Bahdanau 2015."""
    width = config.width
    h = w.get("source_embedding.weight", w["embedding.weight"])[source or [0]]
    for i in range(config.sources):
        ahead = read(config, under(w, f"encoder.layers.{i}"), h)
        back = read(config, under(w, f"encoder.reverse_layers.{i}"), h[::-1])[::-1]
        h = np.concatenate([ahead, back], axis=1)
    ends = np.concatenate([h[-1, :width], h[0, width:]])
    begin = np.tanh(w["bridge.weight"] @ ends + w["bridge.bias"])
    states = begin.reshape(-1, config.layers, width).transpose(1, 0, 2)
    keys, written = h @ w["attention.key.weight"].T, []
    for x in w["embedding.weight"][target]:
        if config.attention == "dot":
            scores = keys @ states[0][0]
        else:
            query = w["attention.query.weight"] @ states[0][0]
            scores = np.tanh(keys + w["attention.key.bias"] + query) @ w["attention.score"]
        context = softmax(scores) @ h
        states, given = [list(state) for state in states], x
        for i, before in enumerate(states):
            own = under(w, f"layers.{i}")
            gates = own["input.weight"] @ given + own["input.bias"]
            if i == 0:
                gates = gates + own["context.weight"] @ context
            states[i] = advance(config, own, gates, before)
            given = states[i][0]
        out = np.concatenate([given, context, x])
        written.append(np.tanh(w["readout.weight"] @ out + w["readout.bias"]))
    return np.array(written) @ w.get("head.weight", w["embedding.weight"]).T


def under(w, name: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(f"{name}."): v for key, v in w.items() if key.startswith(f"{name}.")}


def test_rows_give_what_the_equations_give_each_alone(model):
    for width in (0, 9):
        found = model.engine.forward(batch_of(SOURCES, TARGETS, width))
        for source, target, logits in zip(SOURCES, TARGETS, found, strict=True):
            expected = reference(model.recipe.backbone.config, model.weights(), source, target)
            assert logits[: len(target)] == pytest.approx(expected, abs=2e-5)


def gradients(model, batch: Batch) -> dict[str, np.ndarray]:
    """Of the sum of a batch's losses, by canonical name."""
    module, loss = model.engine.module, model.engine.spec.loss
    if model.backend == "torch":
        import torch

        from loomlm_torch.model import weighted_loss

        tensors = {name: torch.from_numpy(array) for name, array in batch.arrays.items()}
        weighted_loss(module.eval()(tensors), tensors, loss).backward()
        named = module.named_parameters()
        return {n.removeprefix("backbone."): p.grad.numpy() for n, p in named}
    from loomlm_tensorflow.framework import tf
    from loomlm_tensorflow.mapping import stored
    from loomlm_tensorflow.model import weighted_loss

    kept = stored(module, model.layout)
    with tf.GradientTape() as tape:
        total = weighted_loss(module.head(module.states(batch.arrays, False)), batch.arrays, loss)
    found = tape.gradient(total, [one.variable for one in kept])
    return {
        one.name.removeprefix("backbone."): one.form.turned(tf.convert_to_tensor(g).numpy())
        for one, g in zip(kept, found, strict=True)
    }


def test_gradients_are_the_slopes_of_the_equations(model):
    batch, generator = batch_of(SOURCES, TARGETS), np.random.default_rng(1)
    found = gradients(model, batch)
    weights = {name: value.astype(np.float64) for name, value in model.weights().items()}

    def loss(w) -> float:
        pairs = zip(SOURCES, TARGETS, strict=True)
        rows = [reference(model.recipe.backbone.config, w, *pair) for pair in pairs]
        odds = [log_softmax(row, axis=1) for row in rows]
        return -sum(o[range(len(t)), t].sum() for o, t in zip(odds, TARGETS, strict=True))

    for name, value in weights.items():
        way = generator.normal(size=value.shape) / np.sqrt(value.size)
        ahead, behind = (loss({**weights, name: value + step * way}) for step in (1e-5, -1e-5))
        slope = (ahead - behind) / 2e-5
        assert (found[name] * way).sum() == pytest.approx(slope, rel=1e-3, abs=1e-4), name


def test_greedy_text_is_the_same_without_the_cache_and_whatever_stands_beside(model):
    prompt = batch_of(SOURCES, TARGETS).arrays
    names = ("source", "source_length", "tokens", "length")

    found = greedy(model, Batch({name: prompt[name] for name in names}), 8)

    for source, target, written in zip(SOURCES, TARGETS, found, strict=True):
        row = list(target)
        for token in written:
            logits = model.engine.forward(batch_of([source], [row]))[0, len(row) - 1]
            logits[model.tokenizer.pad_id] = -np.inf
            assert token == int(logits.argmax())
            row.append(token)


def test_what_is_attended_to_has_its_say_at_each_token(model):
    one, other = ([[*row[:2], end] for row in SOURCES[:1]] for end in (7, 8))
    found = [model.engine.forward(batch_of(rows, TARGETS[:1])) for rows in (one, other)]

    assert abs(found[0] - found[1]).max(axis=2).min() > 1e-3


@pytest.mark.parametrize("place", ["input", "layer", "output"])
def test_each_dropout_leaves_something_out_while_training_alone(make, place):
    plain, dropped = make(), make(**{f"{place}_dropout": 0.5})
    batch = batch_of(SOURCES, TARGETS)

    assert np.array_equal(plain.engine.forward(batch), dropped.engine.forward(batch))
    before = dropped.weights()
    for model in (plain, dropped):
        model.learn(batch, step=1)
    assert any(not np.array_equal(dropped.weights()[n], plain.weights()[n]) for n in before)


CONTEXT = {"pad_id": 0, "reads": "tokens", "causal": False}


def test_a_source_may_have_a_vocabulary_of_its_own(make_backbone):
    backbone = make_backbone("rnn", encoder_decoder=True, width=4, embedding=3)
    for own in (None, 11):
        context = BackboneContext(vocab_size=7, source_vocab_size=own, **CONTEXT)
        tables = {p.name: p.shape for p in backbone.parameters(context) if p.role == "embedding"}
        further = {} if own is None else {"source_embedding.weight": (11, 3)}
        assert tables == {"embedding.weight": (7, 3), **further}


def test_a_head_shares_an_embedding_of_any_width(make):
    model = make(embedding=3)
    assert model.recipe.backbone.tied == "embedding.weight"
    assert "head.weight" not in model.weights()
    assert "head.weight" in make(embedding=3, tied=False).weights()


def test_forget_gates_start_open_on_both_sides(make_backbone):
    backbone = make_backbone("rnn", encoder_decoder=True, width=4, layers=1, encoder_layers=2)
    layout = backbone.parameters(BackboneContext(vocab_size=9, **CONTEXT))

    arrays = dict(initial_arrays(layout, 17, backbone.fit(fit_context([[1]], ["a"]))))

    biases = [array for name, array in arrays.items() if name.endswith("input.bias")]
    assert len(biases) == 5
    for bias in biases:
        assert bias.tolist() == [0] * 4 + [1] * 4 + [0] * 8


def test_keys_that_do_not_fit_together_are_refused(make_backbone):
    with pytest.raises(ValueError, match="from both ends anyway.*leave out bidirectional"):
        make_backbone("rnn", encoder_decoder=True, bidirectional=True)
    with pytest.raises(ValueError, match="encoder_layers and attention belong to an encoder_decod"):
        make_backbone("rnn", encoder_layers=2, attention="dot")
