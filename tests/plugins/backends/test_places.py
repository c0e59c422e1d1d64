"""A head that reads some places of each row: what it says of them, and how it learns."""

from __future__ import annotations

import numpy as np
import pytest

from loomlm.plugin import Batch

SMALL = {"layers": 1, "width": 8, "heads": 2}
TOKENS = np.arange(1, 17, dtype=np.int32).reshape(2, 8)


def batch_of(places, weight=None, width: int = 8) -> Batch:
    places = np.array(places, np.int32)
    weight = np.ones(places.shape) if weight is None else weight
    tokens = np.pad(TOKENS, ((0, 0), (0, width - 8)))
    label = np.take_along_axis(tokens, places, axis=1) % 20
    return Batch(
        {
            "tokens": tokens,
            "length": np.array([8, 5], np.int32),
            "places": places,
            "label": label,
            "weight": np.array(weight, np.float32),
        }
    )


@pytest.mark.parametrize(
    "backbone",
    [("transformer", SMALL), ("rnn", {"layers": 1, "width": 6, "bidirectional": True})],
    ids=lambda one: one[0],
)
def test_logits_are_those_of_the_places(small_model, backbone):
    name, keys = backbone
    model = small_model(name, "masked_lm", **keys)
    every = model.engine.forward(batch_of([range(8)] * 2))

    some = model.engine.forward(batch_of([[6, 1], [0, 4]]))

    assert every.shape == (2, 8, 20)
    assert len({row.tobytes() for row in every[0]}) == 8
    np.testing.assert_allclose(some, np.stack([every[0][[6, 1]], every[1][[0, 4]]]), atol=1e-5)


@pytest.mark.parametrize("compiled", [False, True], ids=["as it is", "compiled"])
def test_what_pads_the_places_counts_for_nothing(small_model, compiled):
    def learnt(batch: Batch, compile_: bool) -> dict[str, np.ndarray]:
        model = small_model("transformer", "masked_lm", widths=[8, 12], compiled=compile_, **SMALL)
        model.learn(batch, step=1)
        return model.weights()

    plain = learnt(batch_of([[6], [4]]), False)
    wider = learnt(batch_of([[6, 0], [4, 0]], [[1, 0], [1, 0]], 12 if compiled else 8), compiled)

    assert plain.keys() == wider.keys()
    for name, values in plain.items():
        np.testing.assert_allclose(wider[name], values, atol=2e-5, err_msg=name)


def test_a_score_by_parts_is_that_of_all_logits(small_model):
    model, batch = small_model("transformer", "masked_lm", **SMALL), batch_of([[6, 1], [4, 0]])

    by_parts, nothing = model.engine.score(batch, logits=False)
    whole, logits = model.engine.score(batch, logits=True)

    assert nothing is None
    assert logits.shape == (2, 2, 20)
    assert by_parts == pytest.approx(whole, rel=1e-5)
