"""The keys of a config class for people: what each takes, its default and bounds, its meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import attrs

from loomlm.config.settings import DataConfig, PartConfig
from loomlm.config.show import plain
from loomlm.config.structure import describe, is_choice, is_union

BOUNDS = {"minimum": "at least {}", "above": "above {}", "maximum": "at most {}"}
"""The bounds that `key` takes, in words."""


@attrs.frozen(kw_only=True)
class KeyDoc:
    """One key of a config class.

    name: dotted where it stands in a table: `early_stopping.patience`; `stages[].name` in a list
        of tables, `styles.NAME.size` in a table of them.
    type: in words. kind: of component, where the key names one.
    default: as a plain value, None where there is none. required: whether a config must give it.
    doc: what it means. bounds: in words, empty without any. table: whether its own keys follow.
    """

    name: str
    type: str
    default: Any
    required: bool
    doc: str
    bounds: str = ""
    kind: str = ""
    table: bool = False

    @property
    def default_text(self) -> str:
        """The default as TOML writes it; empty for what is required, or a table of defaults."""
        if self.required or (self.table and self.default):
            return ""
        return "none" if self.default is None else _toml(self.default)


def describe_keys(cls: type, nested: bool = True) -> list[KeyDoc]:
    """Every key of an attrs class, in its order; the keys of a table behind the table.

    nested: whether the keys of inner tables are wanted. Imports no framework.
    """
    return list(_keys(cls, "", nested))


def inner_class(hint: Any) -> tuple[type, str] | None:
    """The attrs class of the tables that a type holds, and how their keys are reached from it.

    None for a type without tables of its own. That of a component is not told by the type.
    """
    if isinstance(hint, type) and attrs.has(hint):
        return hint, ""
    if is_choice(hint):
        return None
    inner, step = get_args(hint), ""
    if get_origin(hint) is tuple:
        step = "[]"
    elif get_origin(hint) in (Mapping, dict):
        inner, step = inner[1:], ".NAME"
    elif not is_union(hint):
        return None
    found = next(filter(None, map(inner_class, inner)), None)
    return (found[0], step + found[1]) if found else None


def _keys(cls: type, before: str, nested: bool) -> Iterator[KeyDoc]:
    attrs.resolve_types(cls, include_extras=True)
    for field in attrs.fields(cls):
        if not field.init:
            continue
        inner = inner_class(field.type)
        # The keys of a data source stand in the data table itself, beside its `type`.
        name = "type" if cls in (DataConfig, PartConfig) and field.name == "source" else field.name
        yield KeyDoc(
            name=before + name,
            type=describe(field.type),
            default=_default(field),
            required=field.default is attrs.NOTHING,
            doc=field.metadata.get("doc", ""),
            bounds=_bounds(field.metadata, get_origin(field.type) is tuple),
            kind=_kind(field.type),
            table=inner is not None,
        )
        if inner is not None and nested:
            yield from _keys(inner[0], f"{before}{name}{inner[1]}.", nested)


def _default(field: Any) -> Any:
    default = field.default
    if default is attrs.NOTHING:
        return None
    if hasattr(default, "factory"):
        # One that goes by the other keys has no value without them.
        default = None if default.takes_self else default.factory()
    return plain(default)


def _bounds(metadata: Mapping[str, Any], of_each: bool) -> str:
    bounds = ", ".join(
        words.format(metadata[name])
        for name, words in BOUNDS.items()
        if metadata.get(name) is not None
    )
    return f"each {bounds}" if bounds and of_each else bounds


def _kind(hint: Any) -> str:
    if is_choice(hint):
        return get_args(hint)[1]
    if is_union(hint) or get_origin(hint) is tuple:
        return next(filter(None, map(_kind, get_args(hint))), "")
    return ""


def _toml(value: Any) -> str:
    import tomli_w

    if isinstance(value, Mapping):
        inner = ", ".join(f"{name} = {_toml(item)}" for name, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    try:
        return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n")
    except TypeError:
        return repr(value)  # No config can give it: `plugins check` tells its author.
