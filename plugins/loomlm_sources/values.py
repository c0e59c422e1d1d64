"""Texts and labels from the values of a row."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from loomlm.plugin import DataError, did_you_mean, nearest
from loomlm_sources.lines import BadLine


def check_split(split: str, splits: Sequence[str]) -> None:
    """Raises DataError for a split that the data does not have."""
    if split not in splits:
        raise DataError(f"The data has no split {split!r}. {did_you_mean(split, splits)}")


def joined_text(values: Mapping[str, Any], names: Sequence[str]) -> str | BadLine:
    """The text of a row; several columns with a space between. A chat is its JSON."""
    parts = []
    for name in names:
        part = values[name] if name in values else value_of(values, name)
        if is_chat(part):
            part = json.dumps(part, ensure_ascii=False)
        if not isinstance(part, str):
            bad = isinstance(part, BadLine)
            return part if bad else BadLine(0, f"{name!r} is {shown(part)}, not a text")
        parts.append(part)
    return parts[0] if len(parts) == 1 else " ".join(parts)


def is_chat(value: Any) -> bool:
    """Whether a value is a list of messages, each with a role and a content: a text, as JSON."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, Mapping) and {"role", "content"} <= one.keys() for one in value)
    )


def value_of(values: Mapping[str, Any], name: str) -> Any:
    """The value of a column; "a.b" is what stands under b in the object of a. Else a BadLine."""
    if name in values:
        return values[name]
    inner: Any = values
    for part in name.split("."):
        if not isinstance(inner, Mapping) or part not in inner:
            return _missing(name, values)
        inner = inner[part]
    return inner


def label_of(value: Any) -> str | tuple[str, ...] | BadLine:
    """The label that a value is: a list is several labels."""
    if isinstance(value, list):
        labels = [_one_label(item) for item in value]
        bad = next((label for label in labels if isinstance(label, BadLine)), None)
        return bad or tuple(label for label in labels if isinstance(label, str))
    return _one_label(value)


def _one_label(value: Any) -> str | BadLine:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    not_a_number = isinstance(value, float) and math.isnan(value)  # a gap in a table
    if value is None or not_a_number or (isinstance(value, str) and not value.strip()):
        fix = "Fill it in, or, if it means none of several labels, set data.empty_labels = true"
        return BadLine(0, "the label is empty", fix)
    if not isinstance(value, str | int | float) or not _printable(str(value)):
        return BadLine(0, f"the label is {shown(value)}")
    return str(value).strip()


def kind_of(value: Any) -> str:
    """What a label is, of which a column has one: "a number", "a truth value" or "a text"."""
    if isinstance(value, bool):
        return "a truth value"
    return "a number" if isinstance(value, int | float) else "a text"


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


def shown(value: Any) -> str:
    """A value as JSON has it or as Python shows it, cut if it is long."""
    written = "null" if value is None else repr(value)
    return written if len(written) <= 40 else f"{written[:40]}..."
