"""Carries a cleaning step out as its contract says, without the data path."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from loomlm.plugin import Dropped, Example


def carried_out(
    step: Any, examples: Sequence[Example], others: Sequence[Example] = ()
) -> list[Example | Dropped]:
    """What a step makes of the examples of a split; others: those of the splits before it."""
    if hasattr(step, "fit"):
        step.fit(examples, others)
    return [step.example(example) for example in examples]


def numbered(texts: Iterable[str], file: str = "train.csv") -> list[Example]:
    """Texts as examples, each with a place of its own."""
    return [Example(text, place=f"{file}:{line}") for line, text in enumerate(texts, 1)]


def texts_of(done: Iterable[Example | Dropped]) -> list[str]:
    """The texts of the examples that are left."""
    return [each.text for each in done if isinstance(each, Example)]


def reasons_of(done: Iterable[Example | Dropped]) -> list[str]:
    """Why each is left out, "" for those that are not."""
    return [each.reason if isinstance(each, Dropped) else "" for each in done]
