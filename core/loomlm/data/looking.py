"""What `loomlm init` does: looks at the data, and asks a template for a config."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loomlm.components import Component
from loomlm.config.check import NAME, bad_name
from loomlm.config.settings import Choice
from loomlm.config.structure import make_converter, structure
from loomlm.contracts import DataSource, TemplateContext
from loomlm.data.summary import summarize
from loomlm.errors import UsageError, sentence
from loomlm.registry import Registry


def look(
    template: str,
    data: Mapping[str, Any] | None,
    name: str,
    backend: str | None,
    registry: Registry,
) -> str:
    """The TOML that a template writes for a data table, or for none.

    Raises UsageError for keys of the data table that are wrong, DataError for data that is.
    """
    write = registry.target("template", template)
    chosen = backend or _installed_backend(registry)
    registry.find("trainer", chosen)
    if not NAME.fullmatch(name):
        raise UsageError(f"--name: {bad_name(name)}.")
    if data is None:
        return write(
            TemplateContext(
                name=name,
                backend=chosen,
                data=None,
                train=None,
                has_validation=False,
                has_test=False,
            )
        )
    table, source = _source(dict(data), getattr(write, "labelled", False), registry)
    splits = source.splits()
    return write(
        TemplateContext(
            name=name,
            backend=chosen,
            data=table,
            train=summarize(source.examples("train")),
            has_validation="validation" in splits,
            has_test="test" in splits,
        )
    )


def _installed_backend(registry: Registry) -> str:
    """A config wants a name: of the backends that are there, or else of all, the default."""
    names = registry.names("trainer")
    usable = [name for name in names if not registry.find("trainer", name).component.missing()]
    default = registry.default("trainer")
    return default if default in (usable or names) else (usable or names)[0]


def _source(
    data: dict[str, Any], labelled: bool, registry: Registry
) -> tuple[dict[str, Any], DataSource]:
    table, choice = complete(data, labelled, registry)
    return table, registry.target(choice.kind, choice.type)(choice.config)


def complete(
    data: Mapping[str, Any], labelled: bool, registry: Registry
) -> tuple[dict[str, Any], Choice]:
    """A data table with what its source finds by looking at it, and that source.

    Raises UsageError for keys that are wrong, DataError for data that is.
    """
    kind = data.get("type", registry.default("data_source"))
    component = registry.usable("data_source", kind)
    target = registry.target("data_source", kind)
    options = {key: value for key, value in data.items() if key != "type"}
    config = _checked(options, component, registry)
    if hasattr(target, "look"):
        options = dict(target.look(options, labelled))
        config = _checked(options, component, registry)
    table = {"type": kind, **options} if "type" in data else options
    return table, Choice("data_source", kind, config)


def _checked(options: Mapping[str, Any], component: Component, registry: Registry) -> Any:
    """The options as the component's config class."""
    converter = make_converter(registry, Path.cwd())
    config, mistakes = structure(options, component.config, converter)
    if mistakes:
        shown = "; ".join(": ".join(filter(None, (_dotted(m.path), m.message))) for m in mistakes)
        raise UsageError(sentence(f"The data cannot be described: {shown}"))
    return config


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path))
