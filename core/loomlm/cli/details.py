"""What `loomlm evaluate` shows of a classifier besides its scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from loomlm.cli.data.showing import fitting, safe
from loomlm.cli.tables import table

CLASSES = 30
"""Labels that a table has, those with the lowest F1 where there are more."""

CONFUSIONS = 5
MISTAKES = 5

WIDTH = 70
"""Characters of a mistake's text in a table."""


def show_details(details: Mapping[str, Any]) -> None:
    """Tables of an evaluation's `details`, as `loomlm.inference.details` gives them."""
    if interval := details.get("interval"):
        click.echo()
        click.echo(said_of(interval))
    if classes := details.get("per_class"):
        click.echo()
        _classes(classes)
    if confused := list(_confused(details.get("confusion_matrix", {}))):
        click.echo()
        rows = [
            (f"{count:,}", safe(right), safe(given))
            for count, right, given in confused[:CONFUSIONS]
        ]
        table(("most often", "is", "taken for"), rows)
    if mistakes := details.get("mistakes"):
        click.echo()
        header = ("surest mistakes", "is", "taken for", "text")
        table(header, [_mistake(one) for one in mistakes[:MISTAKES]])


def said_of(interval: Mapping[str, Any]) -> str:
    """An interval in words."""
    return (
        f"{interval['metric']} {interval['value']:.4f}, {interval['level']:.0%} interval "
        f"{interval['low']:.4f} to {interval['high']:.4f} ({interval['resamples']:,} resamples)"
    )


def _classes(classes: Mapping[str, Mapping[str, float]]) -> None:
    scores = ("precision", "recall", "f1")
    chosen = list(classes.items())
    first = "label"
    if len(chosen) > CLASSES:
        chosen = sorted(chosen, key=lambda one: one[1]["f1"])[:CLASSES]
        first = f"the {CLASSES} lowest of {len(classes)} labels"
    rows = [
        (safe(label), *(f"{one[name]:.4f}" for name in scores), f"{one['support']:,}")
        for label, one in chosen
    ]
    table((first, *scores, "examples"), rows)


def _confused(matrix: Mapping[str, Mapping[str, int]]) -> Iterator[tuple[int, str, str]]:
    """How often, what is right and what it was taken for; the most frequent first."""
    cells = [
        (count, right, given)
        for right, row in matrix.items()
        for given, count in row.items()
        if right != given
    ]
    return iter(sorted(cells, key=lambda cell: (-cell[0], cell[1:])))


def _mistake(one: Mapping[str, Any]) -> tuple[str, str, str, str]:
    sure = f"{one['probability']:.4f}" if "probability" in one else ""
    return sure, _names(one["right"]), _names(one["given"]), fitting(one["text"], WIDTH)


def _names(answer: str | list[str]) -> str:
    return safe(answer if isinstance(answer, str) else ", ".join(answer) or "none")
