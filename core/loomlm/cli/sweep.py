"""`loomlm sweep`."""

from __future__ import annotations

import click

from loomlm.cli.options import config_options, split_plugins


@click.command("sweep")
@config_options
@click.option("--runs", metavar="DIR", help="Where runs go: by default LOOMLM_RUNS, or ./runs.")
@click.option("--resume", is_flag=True, help="Go on with a search that was stopped, or has ended.")
@click.option("--overwrite", is_flag=True, help="Replace a search of this name.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Trials that run at a time; give trainer.threads so that they share the cores.",
)
def command(
    path: str,
    assignments: tuple[str, ...],
    backend: str | None,
    plugins: tuple[str, ...],
    runs: str | None,
    resume: bool,
    overwrite: bool,
    processes: int,
) -> None:
    """Search for good settings: what the table [sweep] of a config says, on Optuna.

    Trials are compared by a validation score; the test split is never looked at. At the end there
    are a table, best.toml, which runs, and a plot, sweep.svg, in the folder of the search.
    """
    from loomlm.cli.tables import table
    from loomlm.training.sweep import sweep
    from loomlm.training.sweep_report import BEST, PLOT, few_digits, setting

    extra, block = split_plugins(plugins)
    done = sweep(
        path,
        set=assignments,
        backend=backend,
        plugins=extra,
        block=block,
        runs=runs,
        resume=resume,
        overwrite=overwrite,
        processes=processes,
        say=lambda sentence: click.echo(sentence, err=True),
    )
    keys = [one.partition("=")[0] for one in done.best.assignments]
    rows = [
        (
            trial.name,
            trial.state if trial.score is None else f"{trial.score:.4f}",
            *(few_digits(setting(trial, key)) for key in keys),
        )
        for trial in done.trials
    ]
    table(("trial", done.metric, *keys), rows)
    click.echo(f"Best:  {done.folder / BEST}")
    click.echo(f"Plot:  {done.folder / PLOT}")
