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
    from loomlm.training.run import run

    done = run(
        config,
        runs=runs,
        resume=resume,  # type: ignore[arg-type] - click lets no other word pass
        overwrite=overwrite,
        allow=allow,
        observers=[ProgressLine()],
    )
    evaluation_table(done.evaluation)
    click.echo(f"Run:   {done.folder}")
    click.echo(f"Model: {done.folder / 'model'}")
