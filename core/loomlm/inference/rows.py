"""What a model is given to predict: texts, or mappings of a text and further texts by name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loomlm.contracts import Cleaner, Example, Task, Writes
from loomlm.data.cleaning import clean
from loomlm.errors import UsageError, did_you_mean

WRITTEN = "target"
"""The further text that a task writes itself, and so is not asked with."""

CHAT = "messages"
"""What may stand for a text: the messages of a chat, each with a role and a content. They become
the JSON that a source gives of them."""

Row = str | Mapping[str, Any]
"""A text, or `{"text": ..., "pair": ...}`: the names are those of `Example.extra`."""


def examples_of_rows(rows: Iterable[Row], task: Task, cleaners: Sequence[Cleaner]) -> list[Example]:
    """Rows as examples, each text of them cleaned; of a mapping, what the task does not read stays
    out.

    Raises UsageError for a row that is neither, or lacks a text that the task reads.
    """
    if isinstance(rows, str | Mapping):
        raise UsageError("predict takes a list of texts; wrap a single one in brackets.")
    written = (WRITTEN,) if isinstance(task, Writes) else ()
    names = tuple(name for name in getattr(task, "reads", ()) if name not in written)
    return [_example(number, row, names, cleaners) for number, row in enumerate(rows)]


def _example(number: int, row: Row, names: tuple[str, ...], cleaners: Sequence[Cleaner]) -> Example:
    given = {"text": row} if isinstance(row, str) else row
    if isinstance(given, Mapping) and CHAT in given and "text" not in given:
        given = {**given, "text": given[CHAT]}
    if not isinstance(given, Mapping):
        raise UsageError(
            f"predict takes texts, or mappings such as {shape(names)}; number {number} is {row!r}."
        )
    extra = {name: clean(_text(number, given, name, names), cleaners) for name in names}
    return Example(clean(_text(number, given, "text", names), cleaners), extra=extra)


def _text(number: int, row: Mapping[str, Any], name: str, names: tuple[str, ...]) -> str:
    if name not in row:
        hint = did_you_mean(name, [key for key in row if isinstance(key, str)])
        near = f" {hint}" if hint.startswith("Did") else ""
        raise UsageError(
            f"Number {number} to predict has no {name!r}.{near} The task reads {shape(names)}."
        )
    text = row[name]
    if name == "text" and isinstance(text, list):
        text = json.dumps(text, ensure_ascii=False)
    if not isinstance(text, str):
        raise UsageError(f"predict takes texts; {name!r} of number {number} is {text!r}.")
    return text


def shape(names: tuple[str, ...]) -> str:
    """What a row looks like, for a message."""
    return "{" + ", ".join(f'"{name}": "..."' for name in ("text", *names)) + "}"
