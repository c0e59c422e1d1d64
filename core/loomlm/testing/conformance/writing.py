"""How a backbone writes: token by token, over an engine's cache.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loomlm.contracts import Batch, Engine, Generates
from loomlm.testing.conformance.cases import NotApplicable, Subject
from loomlm.testing.conformance.comparing import apart
from loomlm.testing.conformance.models import LETTERS, SmallModel, models_of

WRITTEN = 1e-5
"""How far the logits of a row that was read in one go may be from those of its tokens one by one,
by share of the largest."""

PROMPTS = ("ab", "fghe", "k")
STEPS = 5


def token_by_token_is_the_whole_row(subject: Subject) -> None:
    """`start`, `step` and `reorder` give the logits that `forward` gives for the whole rows."""
    models = models_of(subject)
    writing = [model for model in models if isinstance(model.recipe.task, Generates)]
    for model in writing:
        _check(model, model.wide_engine())
    if not writing:
        raise NotApplicable("it does no task that writes text")


def _check(model: SmallModel, engine: Engine) -> None:
    task = model.recipe.task
    assert isinstance(task, Generates)
    prompt = task.prompt(PROMPTS, model.tokenizer, model.recipe.facts)
    rows = [
        row[:length].tolist()
        for row, length in zip(prompt["tokens"], prompt["length"], strict=True)
    ]
    cache, logits = engine.start(model.recipe.backbone.prepare(prompt), task.context)
    _compare(model, engine, prompt, rows, logits, "behind the prompts")
    for step in range(STEPS):
        if step == STEPS // 2:
            order = np.array([2, 0, 2, 1])
            cache, rows = engine.reorder(cache, order), [list(rows[row]) for row in order]
            prompt = Batch({name: array[order] for name, array in prompt.arrays.items()})
        tokens = [3 + (7 * step + row) % len(LETTERS) for row in range(len(rows))]
        for row, token in zip(rows, tokens, strict=True):
            row.append(token)
        logits = engine.step(cache, np.array(tokens, np.int32))
        said = f"behind token {step + 1}" + (", reordered" if step >= STEPS // 2 else "")
        _compare(model, engine, prompt, rows, logits, said)


def _compare(
    model: SmallModel,
    engine: Engine,
    prompt: Batch,
    rows: Sequence[Sequence[int]],
    logits: np.ndarray,
    said: str,
) -> None:
    """The logits behind some rows, and those of the rows read as a whole."""
    length = np.array([len(row) for row in rows], np.int32)
    tokens = np.zeros((len(rows), length.max()), np.int32)
    inside = np.arange(length.max()) < length[:, None]
    tokens[inside] = [token for row in rows for token in row]
    given = {"tokens": tokens, "length": length, "weight": inside.astype(np.float32)}
    whole = engine.forward(model.recipe.backbone.prepare(Batch({**prompt.arrays, **given})))
    moved = apart(whole[np.arange(len(rows)), length - 1], logits)
    assert moved <= WRITTEN, f"{model}: logits {said} are not the whole rows': {moved:.1e} apart"
