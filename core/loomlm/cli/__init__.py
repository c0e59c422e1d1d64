"""The command line. Each command is a file, imported when it is called, so that help is quick."""

from __future__ import annotations

import atexit
import gc
import logging
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from loomlm.training.interrupts import Program

COMMANDS = {
    "demo": "Do every step once, on Python's own documentation.",
    "init": "Look at data and write a config for it.",
    "run": "Carry out a config: prepare, train, evaluate.",
    "sweep": "Search for good settings: try those that a config says.",
    "evaluate": "Score a run's model, on its own test split or other data.",
    "predict": "Predict with a run's model.",
    "generate": "Let a run's language model go on from a prompt.",
    "data": "Check, inspect, prepare and sample data; list and clear what is kept of it.",
    "config": "Check a config, show it with every default, or print its JSON Schema.",
    "explain": "Show which object of which file does each step of a config.",
    "plugins": "List the installed plugins and what they add.",
    "doctor": "Say what is installed, what can be used, and what to install.",
}
"""The built-in commands and their help, so that `--help` imports none of them."""

TRACE_HOOKS = "--trace-hooks"

FULL_PASS = 200
"""Passes of the garbage collector over what is young before one over everything, which is mostly
what a framework's import made, and stays: Python's own 10 cost a short run a tenth of its time."""


class Commands(click.Group):
    """Built-in commands, and those of the entry points in the group `loomlm.commands`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *sorted(_plugin_commands())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            return import_module(f"loomlm.cli.{cmd_name}").command
        points = _plugin_commands().get(cmd_name)
        return _load_command(cmd_name, points) if points else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        # Looking for the commands of plugins takes time, which our own need not.
        ours = name in COMMANDS or name.startswith("-")
        if not ours and name not in self.list_commands(ctx):
            from loomlm.errors import did_you_mean

            ctx.fail(f"There is no command {name!r}. {did_you_mean(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = list(COMMANDS.items())
        rows += [
            (name, f"From {' and '.join(map(_origin, points))}.")
            for name, points in sorted(_plugin_commands().items())
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _plugin_commands() -> dict[str, list[EntryPoint]]:
    """Commands of plugins, each with its entry points: one, unless two plugins claim a name."""
    from loomlm.registry import COMMANDS as PLUGIN_COMMANDS
    from loomlm.registry import plugin_entry_points

    found: dict[str, list[EntryPoint]] = {}
    for _, point in plugin_entry_points(PLUGIN_COMMANDS):
        if point.name not in COMMANDS:
            found.setdefault(point.name, []).append(point)
    return found


def _load_command(name: str, points: list[EntryPoint]) -> click.Command:
    from loomlm.errors import PluginError

    if len(points) > 1:
        raise PluginError(
            f"Two plugins have a command {name!r}: {_origin(points[0])} and "
            f"{_origin(points[1])}. Uninstall one."
        )
    try:
        command = points[0].load()
    except KeyboardInterrupt:
        raise
    # A plugin may raise anything when it is imported, SystemExit too.
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
        raise PluginError(f"The command {name!r} of {_origin(points[0])} broke: {said}.") from None
    if not isinstance(command, click.Command):
        raise PluginError(f"The command {name!r} of {_origin(points[0])} is no click command.")
    return command


def _origin(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="loomlm")
def loomlm() -> None:
    """Train language models end to end from one config.

    Start with `loomlm init classification --train train.csv --text text --label label > my.toml`,
    then `loomlm run my.toml`.

    Every command takes --trace-hooks: it says at its end which hooks of which plugins ran, in which
    order, what they answered and how long they took.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """The program: errors that a user can mend are one message and an exit code, no traceback.

    arguments: those of a call from Python; where none are given, the process ends with it.
    """
    from loomlm.training.interrupts import Program

    given = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # Labels may hold any character.
    program = Program()
    if arguments is None:
        # Until the process has ended: a signal on its last steps is no reason for a traceback.
        program.__enter__()
        atexit.register(program.gone)  # The first that is registered is called last.
        gc.set_threshold(*gc.get_threshold()[:2], FULL_PASS)
        code = _shown(given, program)
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        program.over(code)
        # As it ends, Python would look through all that was imported, several times. Once is enough
        # for what nobody holds any more, and wants to do something when it goes.
        gc.collect()
        gc.freeze()
    else:
        with program:
            code = _shown(given, program)
    if code:
        sys.exit(code)


def _shown(given: list[str], program: Program) -> int:
    """Do it all, with warnings in our words and hooks traced where that was asked for."""
    before, warnings.showwarning = warnings.showwarning, _show_warning
    told = _Told()
    logger = logging.getLogger("loomlm.plugins")
    logger.addHandler(told)
    logger.setLevel(logging.INFO)
    try:
        if TRACE_HOOKS not in _options(given):
            return _stopped(given, program)
        from loomlm.cli.traced import traced

        given.remove(TRACE_HOOKS)
        with traced():
            return _stopped(given, program)
    finally:
        warnings.showwarning = before
        logger.removeHandler(told)


class _Told(logging.Handler):
    """Shows what is said of code that is about to be loaded, once."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line to standard error."""
        message = record.getMessage()
        if message not in self._said:
            self._said.add(message)
            click.echo(message, err=True)


def _stopped(given: list[str], program: Program) -> int:
    """The exit code of a command line, which a signal may have ended."""
    from loomlm.cli.stopping import stop_message, stopped_by

    words = list(given)
    try:
        program.works = True
        return _done(given, program)
    except BaseException as error:
        number = stopped_by(error, program)
        if not number:
            raise
        message = stop_message(error, program, words)
    finally:
        program.works = False
    # The error is gone here: what it held on to, such as a folder in the making, goes now.
    gc.collect()
    click.echo(message, err=True)
    return 128 + number


def _done(given: list[str], program: Program) -> int:
    from loomlm.cli.stopping import stopped_by
    from loomlm.errors import LoomlmError

    words = _with_resume(given)
    try:
        # The words go along as `obj`, for a command that starts itself in other processes.
        loomlm.main(args=[*words], obj=words, prog_name="loomlm", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Exit as end:
        return end.exit_code
    except LoomlmError as error:
        if stopped_by(error, program):
            raise
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    except OSError as error:
        if stopped_by(error, program):
            raise
        # The machine's doing, such as a full disk: what can be foreseen is said in better words.
        file = f"{error.filename}: " if error.filename else ""
        click.echo(f"Error: {file}{error.strerror or error}.", err=True)
        return 1
    return 0


def _options(arguments: list[str]) -> list[str]:
    """The words that may be options: those before `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:end]


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """One line for a warning of ours; where it is about somebody's own line, with that line."""
    from loomlm.errors import LoomlmDeprecationWarning, PluginWarning

    if issubclass(category, PluginWarning):
        text = f"Warning: {message}\n"
    elif issubclass(category, LoomlmDeprecationWarning):
        text = f"Warning: {filename}:{lineno}: {message}\n"
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
    click.echo(text, err=file is None, file=file, nl=False)


def _with_resume(arguments: list[str]) -> list[str]:
    """`--resume` alone means auto, wherever it stands: click would take the next word for it."""
    if arguments[:1] != ["run"]:
        return arguments
    return ["--resume=auto" if argument == "--resume" else argument for argument in arguments]
