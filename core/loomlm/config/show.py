"""Writes a config out: every default, and where each value came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from loomlm.config.positions import KeyPath
from loomlm.config.settings import Choice, DataConfig, PartConfig


def plain(value: Any) -> Any:  # noqa: PLR0911 - one a type
    """A config as plain values: dicts, lists, strings, numbers. None stays None."""
    if isinstance(value, Choice):
        second = {} if value.target is None else {"target": plain(value.target)}
        return {"type": value.type, **plain(value.config), **second}
    if isinstance(value, DataConfig | PartConfig):
        own = {
            field.name: plain(getattr(value, field.name))
            for field in attrs.fields(type(value))
            if field.name != "source"
        }
        if not own.get("sources"):
            own.pop("sources", None)
        return {**(plain(value.source) if value.source else {}), **own}
    if attrs.has(type(value)):
        return {
            field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))
        }
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, Path):
        return str(value)
    return value


def to_toml(values: Mapping[str, Any], comment: Callable[[KeyPath], str] | None = None) -> str:
    """TOML of plain values, one key a line, with a comment behind each. None is left out.

    The result reads back as the same values.
    """
    return "\n".join(_table(values, (), comment or (lambda path: ""))).strip() + "\n"


def _table(
    values: Mapping[str, Any], path: KeyPath, comment: Callable[[KeyPath], str], name: str = ""
) -> Iterator[str]:
    tables: list[tuple[str, Any]] = []
    for key, value in values.items():
        if value is None:
            continue
        if isinstance(value, Mapping) or _is_tables(value):
            tables.append((key, value))
            continue
        note = comment((*path, key))
        yield f"{_key(key)} = {_value(value)}" + (f"  # {note}" if note else "")
    for key, value in tables:
        inner = f"{name}.{_key(key)}" if name else _key(key)
        if isinstance(value, Mapping):
            yield f"\n[{inner}]"
            yield from _table(value, (*path, key), comment, inner)
            continue
        for index, item in enumerate(value):
            yield f"\n[[{inner}]]"
            yield from _table(item, (*path, key, index), comment, inner)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _key(name: str) -> str:
    import tomli_w

    return tomli_w.dumps({name: 0}).removesuffix(" = 0\n")


def _value(value: Any) -> str:
    import tomli_w

    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n")
