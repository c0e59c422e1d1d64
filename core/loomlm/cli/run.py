"""`loomlm run`."""

from __future__ import annotations

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
@click.option("--overwrite", is_flag=True, help="Replace a run of this name.")
def command(
    path: str,
    assignments: tuple[str, ...],
    backend: str | None,
    plugins: tuple[str, ...],
    runs: str | None,
    resume: str,
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
            observers=[ProgressLine()],
        )
    except StoppedError as stopped:
        stopped.args = (f"{stopped} Go on with:\n  {_resume_command(click.get_current_context())}",)
        raise
    evaluation_table(done.evaluation)
    click.echo(f"Run:   {done.folder}")
    click.echo(f"Model: {done.folder / 'model'}")


def _resume_command(context: click.Context) -> str:
    """The command line that was given, with --resume."""
    import shlex

    given = context.params
    words = ["loomlm", "run", given["path"]]
    for option, values in (("--set", given["assignments"]), ("-p", given["plugins"])):
        for value in values:
            words += [option, value]
    for option in ("backend", "runs"):
        if given[option]:
            words += [f"--{option}", given[option]]
    return shlex.join([*words, "--resume"])
