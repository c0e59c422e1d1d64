"""Text from a model, token by token; written once, for every backend.

What is drawn depends on the logits, the seed and how many tokens there are already, so the same
model says the same on every machine that computes the same logits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from attrs import frozen

from loomlm.contracts import Batch, Engine, Tokenizer
from loomlm.inference.scoring import Recipe

REPLACEMENT = "\ufffd"
"""What a decoder gives for the first bytes of a character whose others are still to come."""


@frozen(kw_only=True)
class Sampling:
    """How the next token is chosen.

    temperature: the logits are divided by it; 0 takes the likeliest token. top_k: only so many of
    the likeliest. top_p: only the likeliest that together have this probability (Holtzman 2020).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0


GREEDY = Sampling(temperature=0.0)


def stream_text(
    engine: Engine,
    recipe: Recipe,
    tokenizer: Tokenizer,
    prompt: str,
    max_tokens: int,
    sampling: Sampling,
) -> Iterator[str]:
    """What the model says after a prompt, piece by piece, up to the end of the document."""
    batch = prompt_batch(recipe, tokenizer, [prompt])
    read = batch["tokens"][0, : batch["length"][0]].tolist()
    before, said, ids = tokenizer.decode(read), "", list(read)
    for chosen in generate_tokens(engine, recipe, tokenizer, batch, max_tokens, sampling):
        if chosen[0] == tokenizer.end_id:
            break
        ids.append(int(chosen[0]))
        text = tokenizer.decode(ids)[len(before) :]
        if not text.endswith(REPLACEMENT):
            yield text[len(said) :]
            said = text
    yield tokenizer.decode(ids)[len(before) + len(said) :]


def continue_text(
    engine: Engine,
    recipe: Recipe,
    tokenizer: Tokenizer,
    prompt: str,
    max_tokens: int,
    seed: int,
) -> str:
    """A sampled continuation of a prompt, in one piece."""
    sampling = Sampling(seed=seed)
    return "".join(stream_text(engine, recipe, tokenizer, prompt, max_tokens, sampling))


def prompt_batch(recipe: Recipe, tokenizer: Tokenizer, prompts: list[str]) -> Batch:
    """What the model reads first, as its task and its backbone want it."""
    return recipe.backbone.prepare(recipe.task.prompt(prompts, tokenizer, recipe.facts))  # type: ignore[attr-defined]


def generate_tokens(
    engine: Engine,
    recipe: Recipe,
    tokenizer: Tokenizer,
    batch: Batch,
    max_tokens: int,
    sampling: Sampling,
) -> Iterator[np.ndarray]:
    """The new tokens of all rows, (batch,) each time; behind a row's end token stands anything.

    Where a row reaches the task's context, its last half is read again, and it goes on from there.
    """
    context = recipe.task.context
    rows = _rows(batch)
    cache, logits = engine.start(batch, context)
    ended = np.zeros(len(rows), bool)
    for index in range(max_tokens):
        chosen = choose(_allowed(logits, tokenizer), sampling, index)
        yield chosen
        ended |= chosen == tokenizer.end_id
        if ended.all() or index == max_tokens - 1:
            return
        rows = [np.append(row, token) for row, token in zip(rows, chosen, strict=True)]
        if max(map(len, rows)) > context:
            rows = [row[-max(1, context // 2) :] for row in rows]
            cache, logits = engine.start(_with_rows(batch, rows), context)
        else:
            logits = engine.step(cache, chosen)


def choose(logits: np.ndarray, sampling: Sampling, index: int) -> np.ndarray:
    """One token a row, (batch,) int32, from logits (batch, outputs)."""
    if sampling.temperature == 0:
        return logits.argmax(axis=1).astype(np.int32)
    order = np.argsort(-logits, axis=1, kind="stable")
    scaled = np.take_along_axis(logits, order, axis=1).astype(np.float64) / sampling.temperature
    odds = np.exp(scaled - scaled[:, :1])
    if sampling.top_k is not None:
        odds[:, sampling.top_k :] = 0
    odds /= odds.sum(axis=1, keepdims=True)
    if sampling.top_p is not None:
        # The token that brings the sum to top_p is still among them.
        odds[np.cumsum(odds, axis=1) - odds >= sampling.top_p] = 0
    key = np.array([sampling.seed % 2**64, index], np.uint64)
    drawn = np.random.Generator(np.random.Philox(key=key)).random(len(odds))
    reached = np.cumsum(odds, axis=1)
    place = (reached > drawn[:, None] * reached[:, -1:]).argmax(axis=1)
    return np.take_along_axis(order, place[:, None], axis=1)[:, 0].astype(np.int32)


def _allowed(logits: np.ndarray, tokenizer: Tokenizer) -> np.ndarray:
    """Logits without the tokens that stand for no text."""
    allowed = np.array(logits, np.float32)
    for token in (tokenizer.pad_id, tokenizer.unknown_id):
        if token is not None and token != tokenizer.end_id:
            allowed[:, token] = -np.inf
    return allowed


def _rows(batch: Batch) -> list[np.ndarray]:
    lengths = batch["length"]
    return [row[:length] for row, length in zip(batch["tokens"], lengths, strict=True)]


def _with_rows(batch: Batch, rows: list[np.ndarray]) -> Batch:
    """A batch with other tokens to go on from."""
    lengths = np.array([len(row) for row in rows], np.int32)
    tokens = np.zeros((len(rows), lengths.max()), np.int32)
    for place, row in zip(tokens, rows, strict=True):
        place[: len(row)] = row
    return Batch({**batch.arrays, "tokens": tokens, "length": lengths})
