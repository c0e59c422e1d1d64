"""Values and data tables as TOML that people read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

ORDER = ("type", "path", "subset", "train", "validation", "test", "text", "label")
"""Keys of a data table as people read them; others follow."""


def data_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a data table, a line each."""
    ordered = sorted(data, key=lambda key: ORDER.index(key) if key in ORDER else len(ORDER))
    for key in ordered:
        yield f"{key} = {toml_value(data[key])}"


def toml_value(value: Any) -> str:
    """A value as TOML, on one line."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {toml_value(one)}" for key, one in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    # A JSON string is a TOML basic string, once DEL is escaped too.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if name.replace("_", "a").replace("-", "a").isalnum() else toml_value(name)
