"""Keys and values that are kept: each token's logits are those of reading its row anew."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.one_backend("torch")

KEYS = {"layers": 2, "width": 16, "heads": 4}
MODELS = {
    "rotary, shared keys": {**KEYS, "kv_heads": 2},
    "learned": {
        **KEYS,
        "positions": "learned",
        "max_positions": 80,
        "norm": "layernorm",
        "bias": True,
    },
    "normed": {**KEYS, "qk_norm": True},
}
PROMPTS = [[3, 1, 4, 1, 5, 9, 2], [6, 5], [3], [5, 8, 9, 7]]
STEPS = 60
"""Enough for several times of more places."""


def written(model, prompts, numbers, keep=None, **source):
    """Rows and their logits, after each of some drawn tokens.

    keep: which rows go on, by step; a row may be named twice.
    """
    rows = [list(row) for row in prompts]
    cache, logits = model.engine.start(batch(rows, **source), 80)
    yield rows, logits
    for step in range(STEPS):
        tokens = numbers.integers(1, 19, len(rows)).astype(np.int32)
        for row, token in zip(rows, tokens, strict=True):
            row.append(int(token))
        yield rows, model.engine.step(cache, tokens)
        if keep and step in keep:
            rows = [list(rows[index]) for index in keep[step]]
            cache = model.engine.reorder(cache, np.array(keep[step], np.int64))


def batch(rows, **source):
    from loomlm.contracts import Batch

    length = np.array([len(row) for row in rows], np.int32)
    tokens = np.zeros((len(rows), 2 + max(length)), np.int32)  # Wider than any row.
    for line, row in zip(tokens, rows, strict=True):
        line[: len(row)] = row
    return Batch({"tokens": tokens, "length": length, **source})


@pytest.mark.parametrize("prompts", [PROMPTS, PROMPTS[:1], [PROMPTS[0], PROMPTS[0][::-1]]])
@pytest.mark.parametrize("name", MODELS)
def test_rows_of_any_lengths_go_on_as_if_read_anew(small_model, name, prompts):
    model = small_model("transformer", **MODELS[name])
    for rows, logits in written(model, prompts, np.random.default_rng(17)):
        for row, found in zip(rows, logits, strict=True):
            np.testing.assert_allclose(found, model.forward([row])[0, -1], rtol=1e-4, atol=1e-4)


def test_rows_that_are_left_out_or_repeated_leave_the_others_as_they_were(small_model):
    model = small_model("transformer", **MODELS["rotary, shared keys"])
    keep = {3: [1, 2, 3], 20: [0, 0, 2, 1], 30: [2, 3], 40: [1]}
    for rows, logits in written(model, PROMPTS, np.random.default_rng(17), keep):
        for row, found in zip(rows, logits, strict=True):
            np.testing.assert_allclose(found, model.forward([row])[0, -1], rtol=1e-4, atol=1e-4)
    assert len(rows) == 1


def test_rows_with_sources_of_any_lengths(small_model):
    model = small_model("transformer", "translation", **KEYS, encoder_decoder=True)
    source = np.array(
        [[3, 4, 5, 6, 7], [8, 9, 0, 0, 0], [7, 2, 1, 0, 0], [1, 0, 0, 0, 0]], np.int32
    )
    lengths = np.array([4, 2, 3, 1], np.int32)
    given = {"source": source, "source_length": lengths}
    for rows, logits in written(model, PROMPTS, np.random.default_rng(17), **given):
        for index, (row, found) in enumerate(zip(rows, logits, strict=True)):
            own = {name: array[index : index + 1] for name, array in given.items()}
            alone = model.engine.forward(batch([row], **own))[0, len(row) - 1]
            np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-4)
