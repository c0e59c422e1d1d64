"""`loomlm run`."""

from __future__ import annotations

import os
import sys
import warnings
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
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train in N processes on this machine, one for each GPU; any number goes on with a run.",
)
@click.option(
    "--no-test",
    is_flag=True,
    help="Leave the test split alone, as long as models are compared; `loomlm evaluate` scores it.",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    metavar="K",
    help="Cross-validation: K runs, each with another part of the training data held out.",
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
    no_test: bool,
    folds: int | None,
) -> None:
    """Carry out a config: prepare the data, train every stage, evaluate, save the model."""
    from loomlm.training.processes import LAUNCHER, place

    here = place()
    launches = here is None and processes is not None and processes > 1
    with warnings.catch_warnings():
        if launches:
            warnings.simplefilter("ignore")  # The leader says them again.
        config = read_config(path, assignments, backend, plugins)
    if overwrite and resume != "never":
        raise click.UsageError("--overwrite and --resume do not go together.")
    if folds is not None and (launches or here is not None):
        raise click.UsageError("--folds and --processes do not go together.")
    if launches or here is not None or LAUNCHER in os.environ:
        from loomlm.training import launching

        if launches:
            sys.exit(launching.launch(click.get_current_context().obj, processes or 1))
        launching.end_with_launcher()

    from loomlm.cli.progress import ProgressLine
    from loomlm.cli.tables import evaluation_notes, evaluation_table
    from loomlm.training.run import run

    if folds is not None:
        _run_folds(config, folds, runs, resume, overwrite, allow, not no_test)
        return
    done = run(
        config,
        runs=runs,
        resume=resume,  # type: ignore[arg-type] - click lets no other word pass
        overwrite=overwrite,
        allow=allow,
        observers=[ProgressLine()],
        test=not no_test,
    )
    if here is not None and here.rank > 0:
        return
    evaluation_table(done.evaluation)
    evaluation_notes(done.evaluation)
    click.echo(f"Run:   {done.folder}")
    click.echo(f"Model: {done.folder / 'model'}")


def _run_folds(
    config: Any,
    folds: int,
    runs: str | None,
    resume: Any,
    overwrite: bool,
    allow: tuple[str, ...],
    test: bool,
) -> None:
    """Cross-validation, and its table."""
    from loomlm.cli.progress import ProgressLine
    from loomlm.cli.tables import table
    from loomlm.training.folds import FOLDS, cross_validate

    done = cross_validate(
        config,
        folds,
        runs=runs,
        resume=resume,
        overwrite=overwrite,
        allow=allow,
        observers=[ProgressLine()],
        test=test,
        say=lambda sentence: click.echo(sentence, err=True),
    )
    rows = [
        (stage, split, metric, f"{found['mean']:.4f}", f"{found['spread']:.4f}")
        for stage, splits in done.scores.items()
        for split, scores in splits.items()
        for metric, found in scores.items()
    ]
    table(("stage", "split", "metric", "mean", "spread"), rows)
    click.echo(f"Mean and standard deviation of {folds} folds: {done.folder / FOLDS}")
