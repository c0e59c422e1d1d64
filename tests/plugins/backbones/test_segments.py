"""Several documents in a row come to what each alone would: states, losses, updates."""

from __future__ import annotations

import numpy as np
import pytest

from loomlm.contracts import Batch, Ragged, StepContext
from loomlm.data.packing import Packed

ROTARY = {"layers": 2, "width": 24, "heads": 4, "kv_heads": 2}
LEARNED = {**ROTARY, "positions": "learned", "max_positions": 12, "norm": "layernorm"}
CONTEXT = 12
PACKED = {"context": CONTEXT, "packing": "bfd"}
DOCUMENTS = [[3, 1, 4, 1, 5], [9, 2, 6], [5, 3, 5, 8, 9, 7, 9, 3], [2, 3], [8, 4, 6, 2, 6, 4]]


def batches(model, documents: list[list[int]]) -> tuple[Batch, list[Batch]]:
    """The documents packed, and each alone."""
    task, facts = model.recipe.task, model.recipe.facts
    offsets = np.cumsum([0, *map(len, documents)])
    values = np.array([token for document in documents for token in document], np.int32)
    rows = Packed(values, offsets, CONTEXT, 0)

    def collated(columns, height: int) -> Batch:
        shape = {"batch": height, "time": CONTEXT}
        return model.recipe.backbone.prepare(task.collate(columns, shape, facts))

    assert rows.span < len(documents)
    # One row more, without anything.
    whole = collated(rows.take(np.arange(rows.span)), rows.span + 1)
    each = [Ragged(np.array(tokens, np.int32), np.array([0, len(tokens)])) for tokens in documents]
    return whole, [collated({"tokens": one}, 1) for one in each]


@pytest.mark.parametrize("keys", [ROTARY, LEARNED])
def test_a_document_s_logits_are_those_that_it_has_alone(small_model, keys):
    model = small_model("transformer", task_keys=PACKED, **keys)
    packed, alone = batches(model, DOCUMENTS)

    found = model.engine.forward(packed)

    by_label = {}
    for row, segments in enumerate(packed["segment"]):
        for number in range(1, segments.max() + 1):
            places = segments == number
            by_label[tuple(packed["label"][row, places])] = found[row, places]
    assert len(by_label) == len(DOCUMENTS)
    for document, batch in zip(DOCUMENTS, alone, strict=True):
        expected = model.engine.forward(batch)[0, : len(document) - 1]
        assert by_label[tuple(document[1:])] == pytest.approx(expected, abs=2e-5)
    total = sum(model.engine.score(batch, logits=False)[0] for batch in alone)
    assert model.engine.score(packed, logits=False)[0] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("keys", [ROTARY, LEARNED])
def test_an_update_is_that_of_the_documents_alone(small_model, keys):
    model = small_model("transformer", task_keys=PACKED, **keys)
    packed, alone = batches(model, DOCUMENTS)
    context = StepContext(step=1, seed=3, learning_rate=1e-2)

    def learnt(*microbatches: Batch) -> tuple[float, dict[str, np.ndarray]]:
        model.reset()
        model.engine.train_step(microbatches, context)
        (scalars,) = model.engine.scalars()
        return scalars.loss, model.weights()

    loss, weights = learnt(packed)
    expected_loss, expected = learnt(*alone)

    assert loss == pytest.approx(expected_loss, rel=1e-5)
    for name, value in weights.items():
        assert value == pytest.approx(expected[name], abs=1e-4), name


def test_what_stands_in_another_document_changes_nothing(small_model):
    model = small_model("transformer", task_keys=PACKED, **ROTARY)
    packed, _ = batches(model, DOCUMENTS)
    first = packed["segment"] == 1
    tokens = np.where(first, packed["tokens"], (packed["tokens"] + 1) % 10)
    other = Batch({**packed.arrays, "tokens": tokens.astype(np.int32)})

    found, changed = model.engine.forward(packed), model.engine.forward(other)

    assert (found[first] == changed[first]).all()
    assert not np.allclose(found[~first], changed[~first])


def test_an_encoder_s_tokens_see_all_of_their_own_document_and_no_other(small_model):
    model = small_model("transformer", "classification", causal=False, pooling="first", **ROTARY)
    segment = np.array([[1, 1, 1, 2, 2, 0]], np.int32)

    def first(row: list[int]) -> np.ndarray:
        batch = model.batch([row])
        return model.engine.forward(Batch({**batch.arrays, "segment": segment}))[0]

    assert (first([3, 1, 4, 1, 5, 9]) == first([3, 1, 4, 2, 6, 5])).all()
    assert not np.allclose(first([3, 1, 4, 1, 5, 9]), first([3, 1, 5, 1, 5, 9]))
