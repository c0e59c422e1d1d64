"""`loomlm plugins`: the list here, each further command in a file of its name."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

import click

from loomlm.cli.options import load_registry, plugin_options

COMMANDS: dict[str, str] = {
    "show": "Say everything of a component, a kind or a plugin.",
    "check": "Check a plugin as its author should before publishing it.",
    "new": "Write a plugin to go on from: a distribution that installs, works and is tested.",
}
"""The further commands and their help, so that `--help` imports none of them."""


class PluginsCommands(click.Group):
    """Further commands, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            return import_module(f"loomlm.cli.plugins.{cmd_name}").command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS:
            from loomlm.errors import did_you_mean

            ctx.fail(f"There is no command {args[0]!r}. {did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group("plugins", cls=PluginsCommands, invoke_without_command=True)
@plugin_options
@click.option(
    "--check",
    is_flag=True,
    help="Import each plugin in a process of its own: what that costs, and whether every target "
    "is there. Exit code 1 when something is wrong.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, plugins: tuple[str, ...], check: bool, as_json: bool) -> None:
    """List every plugin: where it is from, its state, and what it adds.

    No framework is imported for it.
    """
    if context.invoked_subcommand is not None:
        return
    registry = quiet_registry(plugins)
    tried = _tried(registry) if check else {}
    if as_json:
        click.echo(json.dumps([_as_json(p, registry, tried) for p in registry.plugins], indent=2))
    else:
        click.echo("\n".join(line for p in registry.plugins for line in _lines(p, registry, tried)))
    if check and not all(found.ok for found in tried.values()):
        sys.exit(1)


def quiet_registry(plugins: tuple[str, ...]) -> Any:
    """The registry for a command that tells the faults of plugins itself."""
    import warnings

    from loomlm.errors import PluginWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        return load_registry(plugins)


def state_of(plugin: Any, registry: Any) -> tuple[str, str]:
    """A plugin's state, and what there is to say about it: a reason, or what to install."""
    if plugin.state != "loaded":
        return plugin.state, plugin.error
    components = [e.component for e in registry.entries if e.plugin is plugin]
    if components and all(component.missing() for component in components):
        return "unavailable", components[0].install or state_of_component(components[0])
    return "loaded", ""


def state_of_component(component: Any) -> str:
    """Whether a component can be used, and what to install where it cannot."""
    missing = component.missing()
    return f"needs {', '.join(missing)}: {component.install}" if missing else "ready"


def _tried(registry: Any) -> dict[int, Any]:
    """What came of importing each plugin and following its targets, by the plugin's identity."""
    from loomlm.testing.importing import try_plugins

    return try_plugins(registry)


def _lines(plugin: Any, registry: Any, tried: dict[int, Any]) -> list[str]:
    state, said = state_of(plugin, registry)
    head = f"{plugin.name}  {plugin.origin}  {state}"
    lines = [f"{head}: {said}" if said else head]
    if plugin.printed:
        lines.append(f"    wrote {plugin.printed[:80]!r} while it was imported")
    rows = [(c.kind, c.name, _summary(c)) for c in _components(plugin, registry)]
    rows += [
        ("builder", f"{b.kind} {b.name}", f"for {b.backend}") for b in _builders(plugin, registry)
    ]
    rows += [("hook", hook, "") for hook in plugin.hooks]
    rows += [("command", name, "") for name in _commands(plugin, registry)]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for kind, name, summary in rows:
        lines.append(f"    {kind:{widths[0]}}  {name:{widths[1]}}  {summary}".rstrip())
    if id(plugin) in tried:
        lines += [f"    {line}" for line in tried[id(plugin)].lines]
    return [*lines, ""]


def _summary(component: Any) -> str:
    state = state_of_component(component)
    return component.summary if state == "ready" else f"{component.summary} ({state})"


def _components(plugin: Any, registry: Any) -> list[Any]:
    found = [entry.component for entry in registry.entries if entry.plugin is plugin]
    return sorted(found, key=lambda component: (component.kind, component.name))


def _builders(plugin: Any, registry: Any) -> list[Any]:
    return [builder for builder, whose in registry.builders if whose is plugin]


def _commands(plugin: Any, registry: Any) -> list[str]:
    return [point.name for point in registry.commands(plugin)] if plugin.state == "loaded" else []


def _as_json(plugin: Any, registry: Any, tried: dict[int, Any]) -> dict[str, Any]:
    state, said = state_of(plugin, registry)
    checked = {"check": tried[id(plugin)].as_json()} if id(plugin) in tried else {}
    return {
        "plugin": plugin.name,
        "module": plugin.module,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "api": plugin.api,
        "state": state,
        "error": said,
        "printed": plugin.printed,
        "hooks": list(plugin.hooks),
        "commands": _commands(plugin, registry),
        "components": [
            {
                "kind": component.kind,
                "name": component.name,
                "version": component.version,
                "summary": component.summary,
                "state": state_of_component(component),
                "missing": list(component.missing()),
                "install": component.install,
            }
            for component in _components(plugin, registry)
        ],
        "builders": [
            {"kind": builder.kind, "name": builder.name, "backend": builder.backend}
            for builder in _builders(plugin, registry)
        ],
        **checked,
    }
