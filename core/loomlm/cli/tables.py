"""Tables of plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click


def table(header: tuple[str, ...], rows: list[tuple[str, ...]], err: bool = False) -> None:
    """Columns as wide as their widest cell; plain text, so that it can be piped. err: where to."""
    if not rows:
        return
    cells = [header, *rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(header))]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip(), err=err)


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
