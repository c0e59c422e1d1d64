"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Function = Callable[..., Any]


NO_LOCAL = "no:local"
"""What -p says of all plugins that are not installed."""


def plugin_options(function: Function) -> Function:
    """-p NAME and -p no:NAME, --no-local-plugins."""
    function = click.option(
        "--no-local-plugins",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_note_no_local,
        help="Load no code besides what is installed, whatever a config or -p names.",
    )(function)
    return click.option(
        "-p",
        "plugins",
        multiple=True,
        metavar="MODULE|no:NAME",
        callback=_with_no_local,
        help="Load a plugin besides the installed ones, or leave one out.",
    )(function)


def _note_no_local(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    context.meta[NO_LOCAL] = given


def _with_no_local(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    return (*given, NO_LOCAL) if context.meta.get(NO_LOCAL) else given


WRITING = (
    ("--max-tokens", int, "N", "The most new tokens", "200"),
    ("--temperature", float, "T", "0 takes the likeliest token", "0.8"),
    ("--top-k", int, "K", "Draw from the K likeliest tokens alone", ""),
    ("--top-p", float, "P", "Draw from the likeliest with probability P alone", ""),
    ("--seed", int, "N", "The same seed gives the same text", "0"),
    ("--beams", int, "N", "Beam search with N beams: nothing is drawn", ""),
    (
        "--length-penalty",
        float,
        "A",
        "Of beam search: a text's log probability is divided by its tokens ** A; 0 favours short "
        "texts",
        "1",
    ),
    ("--stop", str, "TEXT", "Where what is written ends; may be given several times", ""),
)
"""Options of how text is written: name, type, its word, what is said of it, the default."""


def writing_options(defaults: bool) -> Callable[[Function], Function]:
    """How text is written, each the keyword of `Decoding` with its name, None or () if not given.

    defaults: whether those of `Decoding` hold; otherwise the task's do.
    """

    def add(function: Function) -> Function:
        for name, kind, word, said, default in reversed(WRITING):
            shown = f"{said}; {default} by default." if defaults and default else f"{said}."
            option = click.option(
                name, type=kind, metavar=word, help=shown, multiple=name == "--stop"
            )
            function = option(function)
        return function

    return add


def given_of(how: dict[str, Any]) -> dict[str, Any]:
    """What was given of the writing options."""
    return {name: value for name, value in how.items() if value not in (None, ())}


def config_options(function: Function) -> Function:
    """The config file, --set, --backend and -p."""
    function = plugin_options(function)
    function = click.option(
        "--backend", metavar="NAME", help="Override the config's backend: torch, tensorflow, ..."
    )(function)
    function = click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a key, e.g. stages.finetune.trainer.learning_rate=3e-4.",
    )(function)
    return click.argument("path", metavar="CONFIG.toml")(function)


def read_config(
    path: str, assignments: tuple[str, ...], backend: str | None, plugins: tuple[str, ...]
) -> Any:
    """The checked config of a command's options."""
    from loomlm.config.load import load_config

    extra, block = split_plugins(plugins)
    return load_config(path, set=assignments, backend=backend, plugins=extra, block=block)


def split_plugins(plugins: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Plugins to load, and plugins to leave out."""
    block = [name.removeprefix("no:") for name in plugins if name.startswith("no:")]
    return [name for name in plugins if not name.startswith("no:")], block


def load_registry(plugins: tuple[str, ...], config: str | None = None) -> Any:
    """The registry of a command that needs no config, with what one says of plugins if given."""
    from loomlm.registry import Control, Registry

    extra, block = split_plugins(plugins)
    control = Control()
    if config is not None:
        from attrs import evolve

        from loomlm.config.load import control_of, read_tree

        said = control_of(read_tree(config))
        extra, control = [*said.load, *extra], evolve(said, load=())
    return Registry.load(extra, block, control)
