"""`loomlm plugins show`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from loomlm.cli.options import plugin_options
from loomlm.cli.plugins import quiet_registry, state_of, state_of_component
from loomlm.cli.tables import table


@click.command("show")
@click.argument("what", metavar="KIND:NAME")
@plugin_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(what: str, plugins: tuple[str, ...], as_json: bool) -> None:
    """Say everything of a component: where it is from, its keys, its backends, a table to paste.

    A kind alone, such as tokenizer, lists its components; the name of a plugin or a distribution
    says what that adds. No framework is imported for it.
    """
    registry = quiet_registry(plugins)
    entries = _meant(what, registry)
    if as_json:
        click.echo(
            json.dumps([_as_json(entry, registry) for entry in entries], indent=2, default=repr)
        )
    elif len(entries) == 1:
        click.echo("\n".join(_lines(entries[0], registry)))
        _keys(entries[0].component)
        click.echo("\nTo paste\n\n" + example(entries[0].component))
    else:
        rows = [
            (e.component.kind, e.component.name, e.plugin.origin, e.component.summary)
            for e in entries
        ]
        table(("kind", "name", "from", "what it is"), rows)


def _meant(what: str, registry: Any) -> list[Any]:
    """The components that the words mean. Raises PluginError with the nearest right words."""
    from loomlm.components import KINDS
    from loomlm.errors import PluginError, UsageError, did_you_mean

    kind, colon, name = what.partition(":")
    kind = kind.replace("-", "_")
    if colon:
        if kind not in KINDS:
            raise UsageError(f"There is no kind {kind!r}. {did_you_mean(kind, KINDS)}")
        return [registry.find(kind, name)]
    if kind in KINDS:
        return registry.of(kind)
    found = [entry for entry in registry.entries if entry.component.name == what]
    found = found or [entry for entry in registry.entries if entry.plugin.is_called(what)]
    if found:
        return found
    for plugin in registry.plugins:
        if plugin.is_called(what):
            state, said = state_of(plugin, registry)
            raise PluginError(
                f"{plugin.full_origin} adds no component; it is {state}. {said}".strip()
            )
    names = {*KINDS, *(e.component.name for e in registry.entries)}
    names |= {f"{e.component.kind}:{e.component.name}" for e in registry.entries}
    names |= {name for plugin in registry.plugins for name in plugin.names}
    near = did_you_mean(what, names)
    hint = near if near.startswith("Did") else "`loomlm plugins` lists what there is."
    hint += " One in a file that is not installed is loaded with -p FILE.py."
    raise PluginError(f"There is no component, kind or plugin {what!r}. {hint}")


def _backends(entry: Any, registry: Any) -> list[str]:
    component, plugin = entry.component, entry.plugin
    return sorted(
        registry.backends(
            component.kind, f"{plugin.distribution or plugin.module}/{component.name}"
        )
    )


def _lines(entry: Any, registry: Any) -> Iterator[str]:
    from loomlm.registry.sources import file_of

    component, plugin = entry.component, entry.plugin
    yield f"{component.kind} {component.name}"
    yield component.summary
    yield ""
    yield f"from      {plugin.origin}, plugin {plugin.name}"
    yield f"module    {plugin.module}  {file_of(plugin.module)}".rstrip()
    yield f"target    {component.target}  {file_of(component.target.partition(':')[0])}".rstrip()
    yield f"version   {component.version}"
    yield f"state     {state_of_component(component)}"
    backends = _backends(entry, registry)
    if backends:
        yield f"backends  {', '.join(backends)}"
    doc = (component.config.__doc__ or "").strip().splitlines()
    yield f"config    {component.config.__name__}: {doc[0]}" if doc else ""


def _keys(component: Any) -> None:
    from loomlm.config.describe import describe_keys

    rows = [
        (key.name, key.type, key.default_text or "required" * key.required, key.bounds, key.doc)
        for key in describe_keys(component.config)
    ]
    click.echo("")
    table(("key", "type", "default", "bounds", "what it says"), rows)
    if not rows:
        click.echo("It has no keys.")


PLACES = {
    "tokenizer": "[tokenizer]",
    "backbone": "[backbone]",
    "optimizer": "[trainer.optimizer]",
    "schedule": "[trainer.schedule]",
    "observer": "[[observers]]",
    "task": "[[stages]]\n\n[stages.task]",
    "data_source": "[[stages]]\n\n[stages.data]",
    "cleaner": "[[stages]]\n\n[[stages.data.clean]]",
    "metric": "[[stages]]\n\n[[stages.metrics]]",
    "extension": "[[stages]]\n\n[[stages.extensions]]",
}
"""Where a table of each kind stands in a config; `[[stages]]` is the stage that it belongs to."""


def example(component: Any) -> str:
    """The component's table in a config, with every key; one without a value as a comment."""
    from loomlm.config.describe import describe_keys

    if component.kind == "template":
        return f"loomlm init {component.name}"
    keys = []
    for key in describe_keys(component.config, nested=False):
        value = key.default_text or ("{}" if key.table else "...")
        if key.required:
            keys.append(f"# {key.name} = ...  # required")
        else:
            mark = "# " if value == "none" else ""
            keys.append(f"{mark}{key.name} = {'...' if mark else value}")
    if component.kind == "trainer":
        head = f'backend = "{component.name}"'
        return "\n".join([head, *(["", f"[backends.{component.name}]", *keys] if keys else [])])
    return "\n".join([PLACES[component.kind], f'type = "{component.name}"', *keys])


def _as_json(entry: Any, registry: Any) -> dict[str, Any]:
    from attrs import asdict

    from loomlm.config.describe import describe_keys
    from loomlm.registry.sources import file_of

    component, plugin = entry.component, entry.plugin
    return {
        "kind": component.kind,
        "name": component.name,
        "summary": component.summary,
        "plugin": plugin.name,
        "distribution": plugin.distribution,
        "distribution_version": plugin.version,
        "module": plugin.module,
        "file": file_of(plugin.module),
        "target": component.target,
        "version": component.version,
        "state": state_of_component(component),
        "backends": _backends(entry, registry),
        "keys": [asdict(key) for key in describe_keys(component.config)],
        "example": example(component),
    }
