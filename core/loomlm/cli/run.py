"""`loomlm run`."""

from __future__ import annotations

import sys
import warnings

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
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train in N processes on this machine, one for each GPU; any number goes on with a run.",
)
def command(
    path: str,
    assignments: tuple[str, ...],
    backend: str | None,
    plugins: tuple[str, ...],
    runs: str | None,
    resume: str,
    allow: tuple[str, ...],
    overwrite: bool,
    processes: int | None,
) -> None:
    """Carry out a config: prepare the data, train every stage, evaluate, save the model."""
    from loomlm.training.processes import place

    here = place()
    launches = here is None and processes is not None and processes > 1
    with warnings.catch_warnings():
        if launches:
            warnings.simplefilter("ignore")  # The leader says them again.
        config = read_config(path, assignments, backend, plugins)
    if overwrite and resume != "never":
        raise click.UsageError("--overwrite and --resume do not go together.")
    if launches or here is not None:
        from loomlm.training import launching

        if launches:
            sys.exit(launching.launch(click.get_current_context().obj, processes or 1))
        launching.end_with_launcher()

    from loomlm.cli.progress import ProgressLine
    from loomlm.cli.tables import evaluation_notes, evaluation_table
    from loomlm.training.run import run

    done = run(
        config,
        runs=runs,
        resume=resume,  # type: ignore[arg-type] - click lets no other word pass
        overwrite=overwrite,
        allow=allow,
        observers=[ProgressLine()],
    )
    if here is not None and here.rank > 0:
        return
    evaluation_table(done.evaluation)
    evaluation_notes(done.evaluation)
    click.echo(f"Run:   {done.folder}")
    click.echo(f"Model: {done.folder / 'model'}")
