"""What two backends gave, compared: how far apart, how far they may be, and a sentence on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf, isfinite, log
from typing import Any

import numpy as np
from attrs import frozen

LOGITS = 1e-4
"""How far logits of equal weights may be apart, in fp32."""

LOSS = 1e-4
"""How far losses may be apart, at every step."""

TIE = 1e-3
"""Two best logits that are closer than this are a tie, which rounding decides."""

HUGE = 1e6
"""Only exponentials of losses are larger."""

METRICS = 1e-6
"""How far scores of equal predictions may be apart: absolutely, or for those above 1 by share."""


@frozen(kw_only=True)
class Result:
    """What came of a check.

    case: the backbone and the task. check: what is compared. worst: the largest difference;
    infinite where there is nothing to compare. limit: how large it may be. said: a sentence.
    """

    case: str
    check: str
    worst: float
    limit: float
    said: str

    @property
    def ok(self) -> bool:
        """Whether the promise holds."""
        return self.worst <= self.limit

    def __str__(self) -> str:
        verdict = "pass" if self.ok else "FAIL"
        return f"{verdict}: {self.case}: {self.check}: {self.worst:.1e} ({self.said})"


@frozen
class Found:
    """A comparison: the worst difference, the limit, a sentence."""

    worst: float
    limit: float
    said: str


def compare_logits(first: np.ndarray, second: np.ndarray) -> Found:
    """Logits (n, outputs) of the same places."""
    if first.shape != second.shape:
        return Found(inf, LOGITS, f"shapes {first.shape} and {second.shape}")
    if not first.size:
        return Found(inf, LOGITS, "there are no logits")
    worst = _worst(first, second)
    return Found(worst, LOGITS, f"{first.size:,} logits of up to {np.abs(first).max():.1f}")


def compare_scores(first: Mapping[str, Any], second: Mapping[str, Any]) -> Found:
    """Scores of an evaluation, by name: the same arrays predictions and references, or losses.

    Predictions that are numbers, such as a regression's, are as near as logits are, and so are
    their scores.

    first, second: `scores`, and where the task has them `predictions` and `references`.
    """
    limit = METRICS
    for name in ("references", "predictions"):
        if name not in first:
            continue
        if first[name].dtype.kind == "f":
            limit = LOGITS
        elif not np.array_equal(first[name], second[name]):
            differing = int((first[name] != second[name]).sum())
            return Found(inf, METRICS, f"{differing} of {first[name].size} {name} differ")
    ours, theirs = dict(numbers(first["scores"])), dict(numbers(second["scores"]))
    return _compare_numbers(ours, theirs, limit)


def compare_text(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> Found:
    """Greedy text: `tokens` and `gaps` (steps, rows). The worst is how many tokens differ that
    stand in front of a row's first tie.
    """
    tokens, others = first["tokens"], second["tokens"]
    if tokens.shape != others.shape:
        return Found(inf, 0, f"shapes {tokens.shape} and {others.shape}")
    ties = (first["gaps"] < TIE) | (second["gaps"] < TIE)
    # Behind a difference the two write different texts, whose ties say nothing.
    clear = ~np.logical_or.accumulate(ties, axis=0)
    parted = np.logical_or.accumulate(tokens != others, axis=0)
    if not clear.any():
        return Found(inf, 0, "every row begins with a tie")
    said = f"{int(clear.sum())} of {tokens.size} tokens in front of a tie"
    return Found(float((parted & clear).sum()), 0, said)


def compare_losses(first: Mapping[str, Any], second: Mapping[str, Any], clip: float) -> Found:
    """Loss curves: `steps`, `losses`, `norms`, one for each step; and `scores` at the end.

    clip: the norm by which gradients were clipped.
    """
    if first["steps"] != second["steps"] or not first["steps"]:
        return Found(inf, LOSS, f"{len(first['steps'])} and {len(second['steps'])} steps")
    losses, others = _floats(first["losses"]), _floats(second["losses"])
    apart = np.abs(losses - others)
    worst, clipped = _worst(losses, others), int((_floats(first["norms"]) > clip).sum())
    where = "" if not isfinite(worst) else f", the worst at step {first['steps'][apart.argmax()]}"
    return Found(
        worst,
        LOSS,
        f"{len(losses)} steps from {losses[0]:.3f} to {losses[-1]:.3f}, {clipped} clipped{where}",
    )


def numbers(scores: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number among an evaluation's scores, in lists and tables too, with its place."""
    if isinstance(scores, Mapping):
        for key, inner in scores.items():
            yield from numbers(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(scores, list | tuple):
        for index, inner in enumerate(scores):
            yield from numbers(inner, f"{name}.{index}")
    elif isinstance(scores, int | float):
        yield name, float(scores)


def _compare_numbers(
    first: Mapping[str, float], second: Mapping[str, float], limit: float
) -> Found:
    if first.keys() != second.keys() or not first:
        differing = ", ".join(sorted(first.keys() ^ second.keys())) or "no scores"
        return Found(inf, limit, f"only one backend has {differing}")
    apart = {name: _apart(value, second[name]) for name, value in first.items()}
    name = max(apart, key=lambda name: apart[name])
    worst = apart[name] if all(map(isfinite, (*first.values(), *second.values()))) else inf
    shown = f"{name}: {first[name]:.6g} and {second[name]:.6g}"
    return Found(worst, limit, f"{len(first)} scores, the worst {shown}")


def _apart(one: float, other: float) -> float:
    """How far two scores are apart, by share above 1; exponentials, beyond HUGE, by their logs.

    A perplexity of a model that has hardly learnt turns the last bit of a loss into many.
    """
    if min(one, other) > HUGE:
        one, other = log(one), log(other)
    return abs(one - other) / max(1.0, abs(one))


def _worst(first: np.ndarray, second: np.ndarray) -> float:
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return inf
    return float(np.abs(first.astype(np.float64) - second.astype(np.float64)).max())


def _floats(values: list[float | None]) -> np.ndarray:
    """(n,) numbers; what was none is not a number."""
    return np.array([np.nan if value is None else value for value in values], np.float64)
