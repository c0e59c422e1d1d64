"""`loomlm run`."""

from __future__ import annotations

from typing import Any

import click

from loomlm.cli.options import config_options, read_config


@click.command("run")
@config_options
@click.option("--runs", metavar="DIR", help="Where runs go: by default LOOMLM_RUNS, or ./runs.")
@click.option(
    "--resume",
    type=click.Choice(["auto", "must", "never"]),
    default="never",
    help="Go on where a run of this name and config stopped; alone it means auto.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="NAME",
    help="What may differ from the run that goes on, such as library or "
    "stages.finetune.trainer.steps; what differs is listed with its name.",
)
@click.option("--overwrite", is_flag=True, help="Replace a run of this name.")
def command(
    path: str,
    assignments: tuple[str, ...],
    backend: str | None,
    plugins: tuple[str, ...],
    runs: str | None,
    resume: str,
    allow: tuple[str, ...],
    overwrite: bool,
) -> None:
    """Carry out a config: prepare the data, train every stage, evaluate, save the model."""
    config = read_config(path, assignments, backend, plugins)
    if overwrite and resume != "never":
        raise click.UsageError("--overwrite and --resume do not go together.")

    from loomlm.cli.progress import ProgressLine
    from loomlm.cli.tables import evaluation_table
    from loomlm.training.interrupts import StoppedError
    from loomlm.training.run import run

    try:
        done = run(
            config,
            runs=runs,
            resume=resume,  # type: ignore[arg-type] - click lets no other word pass
            overwrite=overwrite,
            allow=allow,
            observers=[ProgressLine()],
        )
    except StoppedError as stopped:
        stopped.args = (f"{stopped} Go on with:\n  {_resume_command(click.get_current_context())}",)
        raise
    evaluation_table(done.evaluation)
    click.echo(f"Run:   {done.folder}")
    click.echo(f"Model: {done.folder / 'model'}")


def _resume_command(context: click.Context) -> str:
    """The command line that was given, with --resume, which goes for --overwrite, too."""
    import shlex

    path = context.params["path"]
    words = ["loomlm", "run", f"./{path}" if path.startswith("-") else path]
    for option in context.command.params:
        if isinstance(option, click.Option) and option.name not in ("resume", "overwrite"):
            words += _words(option, context.params[option.name or ""])
    return shlex.join([*words, "--resume"])


def _words(option: click.Option, given: Any) -> list[str]:
    """An option's words, as they are typed."""
    name = option.opts[-1]
    if option.is_flag:
        return [name] if given else []
    values = given if option.multiple else [given] if given is not None else []
    return [word for value in values for word in (name, str(value))]
