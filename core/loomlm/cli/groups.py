"""Commands of a command, each in a file of its name that is imported when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click


def lazy_group(package: str, commands: Mapping[str, str]) -> type[click.Group]:
    """A group class for a package of commands: their names, each with its line of help."""

    class LazyGroup(click.Group):
        def list_commands(self, ctx: click.Context) -> list[str]:
            return list(commands)

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            if cmd_name in commands:
                return import_module(f"{package}.{cmd_name}").command
            return None

        def resolve_command(
            self, ctx: click.Context, args: list[str]
        ) -> tuple[str | None, click.Command | None, list[str]]:
            if args[0] not in commands and not args[0].startswith("-"):
                from loomlm.errors import did_you_mean

                known = did_you_mean(args[0], commands)
                ctx.fail(f"There is no command {args[0]!r}. {known}")
            return super().resolve_command(ctx, args)

        def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
            with formatter.section("Commands"):
                formatter.write_dl(list(commands.items()))

    return LazyGroup
