"""`loomlm generate`."""

from __future__ import annotations

import sys
from typing import Any

import click

from loomlm.cli.options import plugin_options, split_plugins


@click.command("generate")
@click.argument("run", metavar="RUN")
@click.option("--prompt", metavar="TEXT", help="What to go on from; - reads standard input.")
@click.option("--max-tokens", type=int, metavar="N", help="The most new tokens; 200 by default.")
@click.option("--temperature", type=float, help="0 takes the likeliest token; 0.8 by default.")
@click.option("--top-k", type=int, metavar="K", help="Draw from the K likeliest tokens alone.")
@click.option(
    "--top-p", type=float, metavar="P", help="Draw from the likeliest with probability P alone."
)
@click.option("--seed", type=int, help="The same seed gives the same text; 0 by default.")
@click.option("--beams", type=int, metavar="N", help="Beam search with N beams: nothing is drawn.")
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
    given = {name: value for name, value in how.items() if value is not None}
    model = load_model(run, stage, generates=True, backend=backend, plugins=extra, block=block)
    pieces = model.stream(text, **given)
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
