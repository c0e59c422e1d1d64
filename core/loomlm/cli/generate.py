"""`loomlm generate`."""

from __future__ import annotations

import sys
from typing import Any

import click

from loomlm.cli.options import given_of, plugin_options, split_plugins, writing_options


@click.command("generate")
@click.argument("run", metavar="RUN")
@click.option("--prompt", metavar="TEXT", help="What to go on from; - reads standard input.")
@writing_options(defaults=True)
@click.option("--stage", metavar="NAME", help="Whose model; the last that writes, by default.")
@click.option("--backend", metavar="NAME", help="Another backend than the one that trained.")
@plugin_options
def command(
    run: str,
    prompt: str | None,
    stage: str | None,
    backend: str | None,
    plugins: tuple[str, ...],
    **how: Any,
) -> None:
    """Let the language model in folder RUN go on from a prompt, as far as its document goes.

    RUN is the folder of a run, of a stage, or of a model. Without --prompt, standard input is read
    where something is piped into it; else a document begins.
    """
    from loomlm.inference.model import load_model

    extra, block = split_plugins(plugins)
    text = _read(prompt)
    model = load_model(run, stage, generates=True, backend=backend, plugins=extra, block=block)
    pieces = model.stream(text, **given_of(how))
    try:
        click.echo(text, nl=not model.continues)
        for piece in pieces:
            click.echo(piece, nl=False)
    finally:
        click.echo()


def _read(prompt: str | None) -> str:
    """The prompt that was given or piped; of a piped one, the last line's end is the shell's."""
    from loomlm.errors import DataError

    if prompt not in (None, "-"):
        return prompt
    if prompt is None and sys.stdin.isatty():
        return ""
    try:
        with click.open_file("-", encoding="utf-8-sig") as file:
            return file.read().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise DataError("Standard input is not UTF-8. Save it as UTF-8 and try again.") from None
