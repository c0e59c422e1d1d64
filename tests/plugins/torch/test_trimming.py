"""Training reads no columns that are padding in every row, and learns the same."""

from __future__ import annotations

import numpy as np
import pytest

from loomlm.contracts import Batch, BatchField, BatchSpec
from loomlm_torch import engine as engines
from loomlm_torch.trimming import trimmed

pytestmark = pytest.mark.one_backend("torch")
MODELS = {
    "transformer": ("transformer", {"layers": 2, "width": 16, "heads": 4}),
    "rnn": ("rnn", {"width": 12, "layers": 2, "bidirectional": True}),
    "mlp": ("mlp", {"width": 8, "window": 3, "hidden": [12]}),
}
ROWS = ([3, 1, 4, 1, 5], [9, 2], [6])


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_and_its_gradient_are_those_of_the_padded_batch(small_model, monkeypatch, name):
    kind, keys = MODELS[name]

    def update() -> tuple[float, float, list[int]]:
        model, widths = small_model(kind, "classification", widths=[12], **keys), []
        model.backbone.register_forward_pre_hook(
            lambda _, given: widths.append(given[0]["tokens"].shape[1])
        )
        model.learn(model.batch(ROWS, width=12), model.batch([[3], [5]], width=12), step=1)
        (found,) = model.engine.scalars()
        return found.loss, found.gradient_norm, widths

    loss, norm, widths = update()
    assert widths == [5, 1]
    monkeypatch.setattr(engines, "trimmed", lambda batch, spec: batch)
    wanted_loss, wanted_norm, _ = update()
    assert (loss, norm) == pytest.approx((wanted_loss, wanted_norm), rel=1e-5)


def batch_of(spec: BatchSpec, **lengths: list[int]) -> Batch:
    """Ones of 4 rows and 9 places."""
    sizes = {"batch": 4, "time": 9, "2*time": 18}
    arrays = {
        one.name: np.ones([sizes.get(n, n) for n in one.shape], one.dtype) for one in spec.fields
    }
    return Batch({**arrays, **{name: np.array(one, np.int32) for name, one in lengths.items()}})


TOKENS = BatchField("tokens", "int32", ("batch", "time"))
LENGTH = BatchField("length", "int32", ("batch",))
SOURCE = (
    BatchField("source", "int32", ("batch", "time")),
    BatchField("source_length", "int32", ("batch",)),
)
SQUARE = BatchField("seen", "float32", ("batch", "time", "time"))
LABEL = BatchField("label", "int32", ("batch", 2))


def test_each_axis_of_the_width_is_cut_to_the_longest_row_and_no_other():
    spec = BatchSpec((TOKENS, LENGTH, *SOURCE, SQUARE, LABEL), ())
    batch = batch_of(spec, length=[2, 4, 1, 0], source_length=[6, 1, 1, 0])
    found = trimmed(batch, spec)
    shapes = {name: array.shape for name, array in found.arrays.items()}
    assert shapes == {
        "tokens": (4, 6),
        "length": (4,),
        "source": (4, 6),
        "source_length": (4,),
        "seen": (4, 6, 6),
        "label": (4, 2),
    }


def test_empty_rows_keep_a_place():
    spec = BatchSpec((TOKENS, LENGTH), ())
    found = trimmed(batch_of(spec, length=[0, 0, 0, 0]), spec)
    assert found["tokens"].shape == (4, 1)


@pytest.mark.parametrize(
    "fields",
    [(TOKENS,), (TOKENS, LENGTH, BatchField("word_mask", "float32", ("batch", "2*time")))],
    ids=["no length", "a size made of the width"],
)
def test_a_batch_that_does_not_say_how_long_its_rows_are_is_left_alone(fields):
    spec = BatchSpec(fields, ())
    batch = batch_of(spec)
    assert trimmed(batch, spec) is batch
