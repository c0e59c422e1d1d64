"""Writes the pages of this folder from what they describe: hooks, components, config, plugin API.

    python docs/reference/generate.py           # rewrites them
    python docs/reference/generate.py --check   # exits 1 where one is not what would be written

What a page says of a thing is that thing's own docstring, signature or `key`: mend it there.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

import loomlm.plugin
from loomlm import hookspecs
from loomlm.components import KINDS, Component, NoConfig
from loomlm.config.describe import KeyDoc, describe_keys, inner_class
from loomlm.config.settings import RunConfig
from loomlm.registry import Registry
from loomlm.registry.entry_points import AUTOLOAD_OFF

sys.path.insert(0, str(Path(__file__).parent))
from describing import Described, declaration, described, paragraphs

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/reference/generate.py: mend what it reads, and run it again. -->"
INDEX = "README.md"


def pages() -> dict[str, str]:
    """The text of every page by its file's name."""
    registry = built_in()
    written = {
        "hooks.md": page("Hooks", hooks()),
        "config.md": page("The keys of a config", config()),
        "plugin-api.md": page("loomlm.plugin", plugin_api()),
    }
    for kind in KINDS:
        written[f"{kind}.md"] = page(plural(kind).capitalize(), components(kind, registry))
    return {INDEX: page("Reference", index(written)), **written}


def built_in() -> Registry:
    """The plugins that come with Loomlm, whatever else is installed."""
    before = os.environ.get(AUTOLOAD_OFF)
    os.environ[AUTOLOAD_OFF] = "1"
    try:
        return Registry.load()
    finally:
        if before is None:
            del os.environ[AUTOLOAD_OFF]
        else:
            os.environ[AUTOLOAD_OFF] = before


def page(title: str, parts: Iterable[str]) -> str:
    return "\n\n".join([NOTE, f"# {title}", *parts]) + "\n"


def index(written: Iterable[str]) -> Iterator[str]:
    yield (
        "Every key, component, hook and name that Loomlm promises, written from the code. "
        "`loomlm plugins show KIND:NAME` tells the same of what is installed where you are."
    )
    kinds = [f"- [{plural(kind).capitalize()}]({kind}.md)" for kind in KINDS]
    yield "For who runs a config:"
    yield "\n".join(["- [The keys of a config](config.md)", *kinds])
    yield "For who writes a plugin:"
    yield "\n".join(["- [Hooks](hooks.md)", "- [The names of `loomlm.plugin`](plugin-api.md)"])


GROUPS = {
    "Registration": "Called once, when plugins are loaded.",
    "Around what a run does": "On extensions that a config names, the first of them outermost. "
    "Mark an implementation `@hookimpl(wrapper=True)`: `result = yield` gives what is inside, and "
    "what it returns is taken.",
    "A run's life": "On observers, extensions and plugins, during a run. What they return is "
    "ignored.",
}


def group(hook: Any) -> str:
    """The title that a hook stands under."""
    if hook.__name__ in hookspecs.ON_EXTENSIONS:
        return "Around what a run does"
    return "A run's life" if hook.__name__ in hookspecs.ON_PLUGINS else "Registration"


def hooks() -> Iterator[str]:
    """Every hook with its exact arguments."""
    yield (
        "A plugin is a module, or an object, with functions of these names, marked "
        "`@loomlm.plugin.hookimpl`. An implementation names only the arguments that it uses. "
        "[Write a plugin](../write-a-plugin.md) shows how."
    )
    found = [value for name, value in vars(hookspecs).items() if name.startswith("loomlm_")]
    for title, when in GROUPS.items():
        yield f"## {title}"
        yield when
        for hook in found:
            if group(hook) != title:
                continue
            yield f"### {hook.__name__}"
            yield code(declaration(hook))
            yield paragraphs(hook.__doc__, inspect.signature(hook).parameters)
            yield from hook_links(hook)


def hook_links(hook: Any) -> Iterator[str]:
    """Where to read on: the components that it registers, the types of its arguments."""
    kind = next((kind for kind, name in KINDS.items() if name == hook.__name__), None)
    if kind:
        yield f"Those that come with Loomlm: [{plural(kind)}]({kind}.md)."
    for name, parameter in inspect.signature(hook).parameters.items():
        if parameter.annotation in loomlm.plugin.__all__:
            known = str(parameter.annotation)
            yield f"`{name}`: [{known}](plugin-api.md#{known.lower()})"


def config() -> Iterator[str]:
    """Every table of a run's config with its keys."""
    yield (
        "A key in a table is told with its place, `stages[].trainer.steps` being `steps` in the "
        "table `trainer` of a stage. A table `[trainer]` at the top has defaults for every "
        "stage's. What a component's own keys are, its page says."
    )
    for place, cls in tables(RunConfig):
        yield f"## {f'`{place}`' if place else 'At the top'}"
        yield paragraphs(cls.__doc__, ())
        yield keys_table(describe_keys(cls, nested=False))


def tables(cls: type, place: str = "") -> Iterator[tuple[str, type]]:
    """A config class and those of its inner tables, each with where it stands."""
    yield place, cls
    attrs.resolve_types(cls, include_extras=True)
    for field in attrs.fields(cls):
        inner = inner_class(field.type)
        if inner is not None:
            yield from tables(inner[0], f"{place}.{field.name}{inner[1]}".lstrip("."))


def components(kind: str, registry: Registry) -> Iterator[str]:
    """Every built-in component of a kind."""
    places = [f"`{key.name}`" for key in describe_keys(RunConfig) if key.kind == kind]
    if kind == "trainer":
        places = ["`backend`"]
    hook = getattr(hookspecs, KINDS[kind])
    named = f"A config names one at {' and '.join(places)}. " if places else ""
    yield f"{named}A plugin adds more by [{hook.__name__}](hooks.md#{hook.__name__})."
    if not registry.of(kind):
        yield "None comes with Loomlm."
    for entry in sorted(registry.of(kind), key=lambda entry: entry.component.name):
        component = entry.component
        yield f"## {component.name}"
        yield f"{component.summary[:1].upper()}{component.summary[1:]}."
        yield facts(component, entry.plugin, registry)
        if component.config is NoConfig:
            yield "It has no keys."
            continue
        yield paragraphs(component.config.__doc__, ())
        yield keys_table(describe_keys(component.config))


def facts(component: Component, plugin: Any, registry: Registry) -> str:
    """What a component's record says, but its keys."""
    built = {b.backend for b, _ in registry.builders if (b.kind, b.name) == key_of(component)}
    lines = {
        "from": f"{plugin.distribution} (`{plugin.module}`), version {component.version}",
        "target": f"`{component.target}`",
        "backends": ", ".join(f"`{name}`" for name in sorted(built)),
        "needs": f"{', '.join(component.requires)}: `{component.install}`"
        if component.requires
        else "",
        "taken where none is named": "yes" if component.default else "",
    }
    return "\n".join(f"- {name}: {what}" for name, what in lines.items() if what)


def key_of(component: Component) -> tuple[str, str]:
    return component.kind, component.name


def keys_table(keys: Iterable[KeyDoc]) -> str:
    """A row for each key."""
    rows = ["| key | type | default | bounds | what it is |", "|---|---|---|---|---|"]
    for key in keys:
        kind = f"[{key.kind.replace('_', ' ')}]({key.kind}.md): " if key.kind else ""
        default = f"`{key.default_text}`" if key.default_text else ""
        cells = (
            f"`{key.name}`",
            f"{kind}{key.type}",
            "required" if key.required else default,
            key.bounds,
            key.doc,
        )
        rows.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(rows)


def plugin_api() -> Iterator[str]:
    """Every name that a plugin may use."""
    yield paragraphs(loomlm.plugin.__doc__, ())
    for name in loomlm.plugin.__all__:
        yield f"## {name}"
        yield from api_entry(described(name))


def api_entry(found: Described) -> Iterator[str]:
    yield code(found.code)
    yield paragraphs(found.doc, found.names)
    for name, doc, names in found.methods:
        yield f"### {name}"
        yield paragraphs(doc, names)


def code(text: str) -> str:
    return f"```python\n{text}\n```"


def plural(kind: str) -> str:
    """As the hook that registers it says: "data sources"."""
    return KINDS[kind].removeprefix("loomlm_").replace("_", " ")


def main(arguments: list[str]) -> int:
    written = pages()
    there = {path.name: path.read_text(encoding="utf-8") for path in HERE.glob("*.md")}
    stale = sorted(name for name in written | there if written.get(name) != there.get(name))
    if arguments == ["--check"]:
        for name in stale:
            print(f"docs/reference/{name} is not up to date: python docs/reference/generate.py")
        return int(bool(stale))
    for name in stale:
        if name in written:
            (HERE / name).write_text(written[name], encoding="utf-8")
        else:
            (HERE / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
