"""`loomlm evaluate`."""

from __future__ import annotations

from typing import Any

import click

from loomlm.cli.options import given_of, plugin_options, split_plugins, writing_options


@click.command("evaluate")
@click.argument("run", metavar="RUN")
@click.option("--data", metavar="FILE", help="Other data, with the same columns as the run's.")
@click.option("--split", metavar="NAME", help="The run's split to score; test by default.")
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    metavar="N",
    help="Rows that are scored together; the run's evaluation_batch_size by default.",
)
@click.option(
    "--output",
    metavar="FILE",
    help="Write what is predicted of each example, beside what is right, as lines of JSON.",
)
@writing_options(defaults=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--backend", metavar="NAME", help="Another backend than the one that trained.")
@plugin_options
def command(
    run: str,
    data: str | None,
    split: str | None,
    batch_size: int | None,
    output: str | None,
    as_json: bool,
    backend: str | None,
    plugins: tuple[str, ...],
    **how: Any,
) -> None:
    """Score the model of the run in folder RUN, on its own data or another file.

    How text is written matters to a task that is scored by what it writes, which says itself what
    is not given here.
    """
    import json

    from loomlm.cli.details import show_details
    from loomlm.cli.tables import evaluation_notes, evaluation_table
    from loomlm.inference.evaluate import evaluate_run

    if data is not None and split is not None:
        raise click.UsageError("Give --data or --split, not both.")
    extra, block = split_plugins(plugins)
    stage, name, scores = evaluate_run(
        run, data, split, extra, block, backend, batch_size, output, **given_of(how)
    )
    if as_json:
        click.echo(json.dumps({stage: {name: scores}}, indent=2))
    else:
        evaluation = {stage: {name: scores}}
        evaluation_table(evaluation)
        show_details(scores.get("details", {}))
        evaluation_notes(evaluation)
