"""JSON Schema of a config, with the keys of every installed plugin, for completion in editors."""

from __future__ import annotations

import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import attrs

from loomlm.config.settings import DataConfig, PartConfig, PluginsConfig, RunConfig, TrainerConfig
from loomlm.config.show import plain
from loomlm.config.structure import is_choice, is_union
from loomlm.registry import Registry

SCALARS = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string"}
BOUNDS = {"minimum": "minimum", "above": "exclusiveMinimum", "maximum": "maximum"}


def config_schema(registry: Registry) -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) that accepts what `loomlm config check` accepts of types."""
    root = _class(RunConfig, registry)
    trainer = _class(TrainerConfig, registry)
    root["properties"]["trainer"] = {**trainer, "description": "defaults of every stage's trainer"}
    backends = {
        e.component.name: _class(e.component.config, registry) for e in registry.of("trainer")
    }
    root["properties"]["backends"] |= {"properties": backends, "additionalProperties": False}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "loomlm", **root}


def _class(cls: type, registry: Registry) -> dict[str, Any]:
    attrs.resolve_types(cls, include_extras=True)
    properties = {}
    required = []
    for field in attrs.fields(cls):
        schema = _bounded(_type(field.type, registry), field.metadata)
        properties[field.name] = {**schema, **_metadata(field)}
        if field.default is attrs.NOTHING:
            required.append(field.name)
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _metadata(field: Any) -> dict[str, Any]:
    known: dict[str, Any] = {}
    if field.metadata.get("doc"):
        known["description"] = field.metadata["doc"]
    default = field.default
    if default is not attrs.NOTHING and default is not None and not hasattr(default, "factory"):
        known["default"] = plain(default)
    return known


def _bounded(schema: dict[str, Any], metadata: Mapping[Any, Any]) -> dict[str, Any]:
    """A key's schema with its bounds; of a list, with those of each item."""
    bounds = {
        bound: metadata[name] for name, bound in BOUNDS.items() if metadata.get(name) is not None
    }
    if "items" in schema:
        return {**schema, "items": {**schema["items"], **bounds}}
    return {**schema, **bounds}


def _type(hint: Any, registry: Registry) -> dict[str, Any]:  # noqa: PLR0911 - one a type
    if is_choice(hint):
        kind = get_args(hint)[1]
        return _tokenizer(registry) if kind == "tokenizer" else _choice(kind, registry)
    if hint in (DataConfig, PartConfig):
        return _data(hint, registry)
    if hint is PluginsConfig:
        table = _class(hint, registry)
        return {"anyOf": [table["properties"]["load"], table]}
    if hint in SCALARS:
        return {"type": SCALARS[hint]}
    origin = get_origin(hint)
    if origin is Literal:
        return {"enum": list(get_args(hint))}
    if is_union(hint):
        arms = [arm for arm in get_args(hint) if arm is not types.NoneType]
        schemas = [_type(arm, registry) for arm in arms]
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    if origin is tuple:
        return {"type": "array", "items": _type(get_args(hint)[0], registry)}
    if origin in (Mapping, dict):
        inner = (get_args(hint) or (str, Any))[1]
        return {"type": "object", "additionalProperties": _type(inner, registry)}
    if isinstance(hint, type) and attrs.has(hint):
        return _class(hint, registry)
    return {}


def _choice(kind: str, registry: Registry, extra: Mapping[str, Any] | None = None) -> Any:
    tables = []
    names = []
    for entry in registry.of(kind):
        component = entry.component
        table = _class(component.config, registry)
        spelt = [component.name, f"{entry.plugin.distribution}/{component.name}"]
        chosen = {"enum": spelt, "description": component.summary}
        table["properties"] = {"type": chosen, **table["properties"], **(extra or {})}
        required = table.get("required", [])
        table["required"] = required if component.default else ["type", *required]
        tables.append(table)
        if not required:
            names += spelt
    by_name = [{"enum": names}] if names and not extra else []
    # Where nobody registers the kind, nothing is right.
    return {"anyOf": [*by_name, *tables]} if tables else {"not": {}}


def _tokenizer(registry: Registry) -> dict[str, Any]:
    """One that may have a second one, of what is to be written, in its table."""
    alone = _choice("tokenizer", registry)
    second = {**alone, "description": "of the texts that are to be written"}
    tables = _choice("tokenizer", registry, {"target": second}).get("anyOf", [])
    names = [arm for arm in alone.get("anyOf", []) if "enum" in arm]
    return {"anyOf": [*names, *tables]} if tables else alone


def _data(cls: type, registry: Registry) -> dict[str, Any]:
    own = {
        field.name: _bounded({**_type(field.type, registry), **_metadata(field)}, field.metadata)
        for field in attrs.fields(attrs.resolve_types(cls, include_extras=True))
        if field.name != "source"
    }
    one = {name: schema for name, schema in own.items() if name != "sources"}
    table = _choice("data_source", registry, one)
    if "sources" not in own:
        return table
    several = {"type": "object", "properties": own, "additionalProperties": False}
    return {"anyOf": [*table.get("anyOf", []), {**several, "required": ["sources"]}]}
