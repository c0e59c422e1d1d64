"""Texts and labels from the values of a row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from loomlm.plugin import DataError, did_you_mean, nearest
from loomlm_sources.readers import BadLine


def check_split(split: str, splits: Sequence[str]) -> None:
    """Raises DataError for a split that the data does not have."""
    if split not in splits:
        raise DataError(f"The data has no split {split!r}. {did_you_mean(split, splits)}")


def joined_text(values: Mapping[str, Any], names: Sequence[str]) -> str | BadLine:
    """The text of a row; several columns with a space between."""
    parts = []
    for name in names:
        if name not in values:
            return _missing(name, values)
        part = values[name]
        if not isinstance(part, str):
            return BadLine(0, f"{name!r} is {_shown(part)}, not a text")
        parts.append(part)
    return parts[0] if len(parts) == 1 else " ".join(parts)


def label_of(
    values: Mapping[str, Any], name: str, names: Mapping[str, str] | None
) -> str | tuple[str, ...] | BadLine:
    """The label of a row: a list is several labels, a number stands for a name if there are any."""
    if name not in values:
        return _missing(name, values)
    value = values[name]
    if isinstance(value, list):
        labels = [_one_label(item, names) for item in value]
        bad = next((label for label in labels if isinstance(label, BadLine)), None)
        return bad or tuple(label for label in labels if isinstance(label, str))
    return _one_label(value, names)


def _one_label(value: Any, names: Mapping[str, str] | None) -> str | BadLine:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    not_a_number = isinstance(value, float) and math.isnan(value)  # a gap in a table
    if value is None or not_a_number or (isinstance(value, str) and not value.strip()):
        return BadLine(0, "the label is empty")
    if not isinstance(value, str | int | float) or not _printable(str(value)):
        return BadLine(0, f"the label is {_shown(value)}")
    label = str(value).strip()
    return label if names is None else _named(label, names)


def _named(label: str, names: Mapping[str, str]) -> str | BadLine:
    if label not in names:
        first, last = min(names, key=int), max(names, key=int)
        return BadLine(0, f"the label {label!r} is no number from {first} to {last} of label_names")
    return names[label]


def _printable(label: str) -> bool:
    """JSON can write half of a pair, as "\\ud83d". Texts may hold it; a label is shown."""
    try:
        label.encode()
    except UnicodeEncodeError:
        return False
    return True


def _missing(name: str, values: Mapping[str, Any]) -> BadLine:
    near = nearest(name, values)
    listed = ", ".join(list(values)[:20]) or "none"
    hint = f"Did you mean {near!r}? Else mend" if near else f"The keys are: {listed}. Mend"
    return BadLine(0, f"there is no {name!r}", f"{hint} the line")


def _shown(value: Any) -> str:
    shown = "null" if value is None else repr(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}..."
