"""`loomlm explain`."""

from __future__ import annotations

import click

from loomlm.cli.options import config_options, read_config


@click.command("explain")
@config_options
def command(
    path: str, assignments: tuple[str, ...], backend: str | None, plugins: tuple[str, ...]
) -> None:
    """Show the path of a run, stage by stage: which object of which file does each step.

    Nothing is trained and no data is read; sizes that data decides are named.
    """
    from loomlm.training.explain import explain

    config = read_config(path, assignments, backend, plugins)
    for line in explain(config):
        click.echo(line)
