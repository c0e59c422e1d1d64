"""`loomlm config check|show|schema`."""

from __future__ import annotations

import click

from loomlm.cli.options import config_options, load_registry, plugin_options, read_config


@click.group("config")
def command() -> None:
    """Check a config, show it with every default, or print its JSON Schema."""


@command.command("check")
@config_options
def check(
    path: str, assignments: tuple[str, ...], backend: str | None, plugins: tuple[str, ...]
) -> None:
    """Say everything that is wrong with a config, or that nothing is."""
    from loomlm.config.check import choose_backend
    from loomlm.errors import PluginError

    config = read_config(path, assignments, backend, plugins)
    stages = ", ".join(stage.name for stage in config.settings.stages)
    click.echo(f"{path} is right: run {config.settings.name!r}, stages {stages}.")
    try:
        backend = choose_backend(config.settings.backend, config.registry)
        config.registry.usable("trainer", backend)
    except PluginError as error:
        click.echo(f"It cannot be run here yet. {error}")


@command.command("show")
@config_options
def show(
    path: str, assignments: tuple[str, ...], backend: str | None, plugins: tuple[str, ...]
) -> None:
    """Write out every key, with where its value came from: file and line, --set, or default."""
    from loomlm.config.show import plain, to_toml

    config = read_config(path, assignments, backend, plugins)

    def origin(key: tuple[str | int, ...]) -> str:
        if key[-1] == "type" and key not in config.origins and not inner_keys(key[:-1]):
            key = key[:-1]  # A component given by its name alone.
        return config.origins.get(key, "default")

    def inner_keys(table: tuple[str | int, ...]) -> bool:
        return any(key[:-1] == table for key in config.origins)

    click.echo(to_toml(plain(config.settings), origin), nl=False)


@command.command("schema")
@click.argument("path", metavar="[CONFIG.toml]", required=False)
@plugin_options
def schema(path: str | None, plugins: tuple[str, ...]) -> None:
    """Print the JSON Schema of configs, with the keys of every installed plugin.

    With a config, the plugins that it names are loaded too. In an editor with the TOML extension
    "Even Better TOML": save it, and put `#:schema ./loomlm.schema.json` on a config's first line.
    """
    import json

    from loomlm.config.schema import config_schema

    found = config_schema(load_registry(plugins, path))
    # A plugin's default may be anything.
    click.echo(json.dumps(found, indent=2, default=repr))
