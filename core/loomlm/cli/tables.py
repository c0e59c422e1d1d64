"""Tables of plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click


def table(header: tuple[str, ...], rows: list[tuple[str, ...]], err: bool = False) -> None:
    """Columns as wide as their widest cell; plain text, so that it can be piped. err: where to.

    A character of East Asia takes two columns of a terminal.
    """
    from rich.cells import cell_len

    if not rows:
        return
    cells = [header, *rows]
    widths = [max(cell_len(row[index]) for row in cells) for index in range(len(header))]
    for row in cells:
        parts = [
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ]
        click.echo("  ".join(parts).rstrip(), err=err)


def evaluation_table(evaluation: Mapping[str, Any]) -> None:
    """{stage: {split: {metric: number}}}, a line each; what is no number stays in the file."""
    rows = [
        (stage, split, metric, f"{value:.4f}")
        for stage, splits in evaluation.items()
        for split, scores in splits.items()
        for metric, value in scores.items()
        if isinstance(value, int | float)
    ]
    table(("stage", "split", "metric", "value"), rows)


def evaluation_notes(evaluation: Mapping[str, Any]) -> None:
    """What is to be known of the scores, a line each."""
    notes = [
        note
        for splits in evaluation.values()
        for scores in splits.values()
        for note in scores.get("details", {}).get("notes", ())
    ]
    for note in dict.fromkeys(notes):
        click.echo(f"Note: {note}")
