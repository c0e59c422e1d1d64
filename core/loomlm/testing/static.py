"""What can be said of a plugin without running what it registers: the static half of the kit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from loomlm.components import PLUGIN_API, Component
from loomlm.config.describe import describe_keys, inner_class
from loomlm.config.structure import is_readable, make_converter, structure, unreadable
from loomlm.registry import Plugin, Registry
from loomlm.testing.importing import Tried, try_plugin

NAME = re.compile(r"[a-z][a-z0-9_]*")
"""Names of components: each can stand in a config, a folder and a schema."""

LIGHT = 0.5
"""Seconds that importing a plugin's records may take."""

SUMMARY = 100
"""Characters of a summary, which stands on a line."""


@frozen
class Finding:
    """What was looked at, and what is wrong with it: nothing where `wrong` is empty.

    skipped: it could not be looked at.
    """

    what: str
    wrong: tuple[str, ...] = ()
    skipped: bool = False

    @property
    def state(self) -> str:
        """pass, FAIL, or skip."""
        return "FAIL" if self.wrong else "skip" if self.skipped else "pass"


def check_plugin(plugin: Plugin, registry: Registry) -> Iterator[Finding]:
    """Everything that is looked at, in the order in which an author would mend it."""
    tried = try_plugin(plugin, registry)
    broken = plugin.error if plugin.state in ("broken", "incompatible") else ""
    yield Finding("it is imported, and its hooks are known", _some(broken or tried.error))
    skipped = bool(broken or tried.error)
    yield Finding("its import is light", tuple(_heavy(tried)), skipped)
    yield Finding("its import prints nothing", _some(plugin.printed and f"{plugin.printed[:80]!r}"))
    yield Finding("it declares the plugin API", tuple(_api(plugin)))
    yield Finding("its distribution is complete", tuple(_distribution(plugin)))
    components = [entry.component for entry in registry.entries if entry.plugin is plugin]
    looked_at: tuple[tuple[str, Callable[[Component], Iterator[str]]], ...] = (
        ("names are lower case, digits and underscores", _name),
        ("summaries are one short line", _summary),
        ("what is required is said how to install", _install),
        ("config classes are attrs classes, typed and documented", _config),
        ("trials are configs that it takes", lambda c: _trials(c, registry)),
    )
    for what, wrong in looked_at:
        said = (f"{c.kind}:{c.name}: {word}" for c in components for word in wrong(c))
        yield Finding(what, tuple(said), skipped)
    missing = (f"{target}: {error}" for target, error in tried.missing.items())
    yield Finding("targets, their hooks, and commands are there", tuple(missing), skipped)


def _some(word: str) -> tuple[str, ...]:
    return (word,) if word else ()


def _heavy(tried: Tried) -> Iterator[str]:
    if tried.heavy:
        yield f"it brings {', '.join(tried.heavy)}: name them in targets, and import them there"
    if tried.seconds > LIGHT:
        yield f"it takes {tried.seconds:.1f} s, and every command waits for it"


def _api(plugin: Plugin) -> Iterator[str]:
    if plugin.api is None:
        yield f"write `loomlm_api = ({PLUGIN_API}, {PLUGIN_API})` beside the hooks"


def _distribution(plugin: Plugin) -> Iterator[str]:
    if not plugin.distribution or plugin.built_in:
        return
    if not plugin.version:
        yield "it has no version"
    try:
        needs = requires(plugin.distribution) or []
    except PackageNotFoundError:
        yield f"there is no metadata of {plugin.distribution}"
        return
    if not any(re.match(r"loomlm\b(?![-.\w])", need) for need in needs):
        yield "its dependencies do not name loomlm"


def _name(component: Component) -> Iterator[str]:
    if not NAME.fullmatch(component.name):
        yield f"{component.name!r} is no such name"


def _summary(component: Component) -> Iterator[str]:
    summary = component.summary
    if not summary.strip():
        yield "it has none"
    elif "\n" in summary or len(summary) > SUMMARY:
        yield f"it has {len(summary)} characters in {summary.count(chr(10)) + 1} lines"


def _install(component: Component) -> Iterator[str]:
    if component.requires and not component.install:
        yield f"`requires` names {', '.join(component.requires)}, and `install` is empty"


def _config(component: Component) -> Iterator[str]:
    cls = component.config
    if not (cls.__doc__ or "").strip():
        yield f"{cls.__name__} has no docstring"
    for key in describe_keys(cls):
        if not key.doc:
            yield f"the key {key.name!r} has no words: declare it with key(doc, default)"
    for owner in _classes(cls):
        for field in attrs.fields(owner):
            if not is_readable(field.type):
                yield f"the key {field.name!r} has {unreadable(field.type)}"


def _types(cls: type) -> Iterator[Any]:
    return (field.type for owner in _classes(cls) for field in attrs.fields(owner))


def _classes(cls: type) -> Iterator[type]:
    """A config class, and those of its inner tables."""
    attrs.resolve_types(cls, include_extras=True)
    yield cls
    for field in attrs.fields(cls):
        inner = inner_class(field.type)
        if inner is not None:
            yield from _classes(inner[0])


def _trials(component: Component, registry: Registry) -> Iterator[str]:
    if not all(map(is_readable, _types(component.config))):
        return  # That is told already.
    converter = make_converter(registry, Path())
    for name, keys in component.trials.items():
        # The trainer's own key may stand in an optimizer's trial.
        own = {key: value for key, value in keys.items() if key != "learning_rate"}
        required = [
            key.name for key in describe_keys(component.config, nested=False) if key.required
        ]
        if not own and required:
            continue  # What it reads, only its author's tests can make.
        for mistake in structure(own, component.config, converter)[1]:
            yield f"{name}: {'.'.join(map(str, mistake.path))}: {mistake.message}"
