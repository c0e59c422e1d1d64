"""`loomlm plugins`: the list here, each further command in a file of its name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from loomlm.cli.options import load_registry, plugin_options
from loomlm.cli.tables import table

COMMANDS: dict[str, str] = {
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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if COMMANDS:
            with formatter.section("Commands"):
                formatter.write_dl(list(COMMANDS.items()))


@click.group("plugins", cls=PluginsCommands, invoke_without_command=True)
@plugin_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, plugins: tuple[str, ...], as_json: bool) -> None:
    """List every plugin and component: where it came from, and whether it can be used.

    No framework is imported for it.
    """
    if context.invoked_subcommand is not None:
        return
    registry = load_registry(plugins)
    if as_json:
        import json

        click.echo(json.dumps(_as_json(registry), indent=2))
        return
    rows = []
    for entry in sorted(registry.entries, key=lambda e: (e.component.kind, e.component.name)):
        component = entry.component
        state = _state(component)
        rows.append((component.kind, component.name, entry.plugin.origin, state, component.summary))
    table(("kind", "name", "from", "state", "what it is"), rows)
    for plugin in registry.plugins:
        if plugin.state == "broken":
            click.echo(f"\nBroken: {plugin.full_origin}: {plugin.error}")
        elif plugin.state == "blocked":
            click.echo(f"\nBlocked: {plugin.full_origin}")


def _state(component: Any) -> str:
    missing = component.missing()
    return f"needs {', '.join(missing)}: {component.install}" if missing else "ready"


def _as_json(registry: Any) -> list[dict[str, Any]]:
    return [
        {
            "plugin": plugin.name,
            "module": plugin.module,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "state": plugin.state,
            "error": plugin.error,
            "components": [
                {
                    "kind": entry.component.kind,
                    "name": entry.component.name,
                    "version": entry.component.version,
                    "summary": entry.component.summary,
                    "state": _state(entry.component),
                    "missing": list(entry.component.missing()),
                    "install": entry.component.install,
                }
                for entry in registry.entries
                if entry.plugin is plugin
            ],
        }
        for plugin in registry.plugins
    ]
