"""`loomlm plugins check`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from loomlm.cli.options import plugin_options
from loomlm.cli.plugins import quiet_registry


@click.command("check")
@click.argument("names", nargs=-1, metavar="[DIST|MODULE]...")
@plugin_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(names: tuple[str, ...], plugins: tuple[str, ...], as_json: bool) -> None:
    """Check a plugin as its author should before publishing it; every plugin without a name.

    A name is a distribution's, a plugin's, or a module's or a .py file's that is not installed.
    What a component does when it runs, its tests check: see `loomlm.testing`. Exit code 1 when
    something is wrong.
    """
    from loomlm.testing.static import check_plugin

    chosen, registry = _chosen(names, plugins)
    found = {plugin.full_origin: list(check_plugin(plugin, registry)) for plugin in chosen}
    if as_json:
        click.echo(
            json.dumps({name: list(map(_plain, all_)) for name, all_ in found.items()}, indent=2)
        )
    else:
        for name, findings in found.items():
            click.echo(name)
            for finding in findings:
                click.echo(f"  {finding.state}  {finding.what}")
                for wrong in finding.wrong:
                    click.echo(f"        {wrong}")
    if any(finding.wrong for findings in found.values() for finding in findings):
        sys.exit(1)


def _chosen(names: tuple[str, ...], plugins: tuple[str, ...]) -> tuple[list[Any], Any]:
    """The plugins that are meant, and the registry with them."""
    registry = quiet_registry(plugins)
    if not names:
        return [plugin for plugin in registry.plugins if plugin.state != "blocked"], registry
    found = []
    for name in names:
        meant = [plugin for plugin in registry.plugins if plugin.is_called(name)]
        found += meant or _loaded(name, registry)
    return list({id(plugin): plugin for plugin in found}.values()), registry


def _loaded(name: str, registry: Any) -> list[Any]:
    """A module or a file that is not installed as a plugin."""
    from loomlm.errors import PluginError, did_you_mean

    before = len(registry.plugins)
    registry.load_extra(name, needed=False)
    loaded = registry.plugins[before:]
    absent = f"ModuleNotFoundError: No module named '{name}'"
    if any(plugin.error.startswith((absent, "FileNotFoundError")) for plugin in loaded):
        known = [name for plugin in registry.plugins[:before] for name in plugin.names]
        near = did_you_mean(name, known)
        hint = near if near.startswith("Did") else "Is it installed here?"
        raise PluginError(f"There is no plugin or module {name!r}. {hint}")
    return loaded


def _plain(finding: Any) -> dict[str, Any]:
    return {"what": finding.what, "state": finding.state.lower(), "wrong": list(finding.wrong)}
