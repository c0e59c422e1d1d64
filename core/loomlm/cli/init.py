"""`loomlm init`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loomlm.cli.options import load_registry, plugin_options


@click.command("init")
@click.argument("template")
@click.option("--train", multiple=True, metavar="FILE", help="Training data; may be given again.")
@click.option("--validation", metavar="FILE", help="Validation data.")
@click.option("--test", metavar="FILE", help="Test data.")
@click.option("--text", multiple=True, metavar="COLUMN", help="Column of the text, or several.")
@click.option("--label", metavar="COLUMN", help="Column of the label.")
@click.option("--data", "options", multiple=True, metavar="KEY=VALUE", help="More data keys.")
@click.option("--name", help="The run's name; by default the folder or file of the data.")
@click.option("--backend", help="The backend; by default one that is installed.")
@click.option("--output", metavar="FILE", help="Where to write; standard output by default.")
@plugin_options
def command(
    template: str,
    train: tuple[str, ...],
    validation: str | None,
    test: str | None,
    text: tuple[str, ...],
    label: str | None,
    options: tuple[str, ...],
    name: str | None,
    backend: str | None,
    output: str | None,
    plugins: tuple[str, ...],
) -> None:
    """Look at data, and write a commented config that fits it. Without data: a template to fill.

    TEMPLATE is the kind of config: classification, or another that `loomlm plugins` lists.
    """
    from loomlm.config.load import parse_value
    from loomlm.data.looking import look

    registry = load_registry(plugins)
    given: dict[str, Any] = {"validation": validation, "test": test, "label": label}
    given["train"] = _one_or_many(train)
    given["text"] = _one_or_many(text)
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise click.UsageError(f"--data {option}: expected KEY=VALUE.")
        given[key] = parse_value(value)
    data = {key: value for key, value in given.items() if value is not None}
    described = bool(train or options)
    if data and not described:
        raise click.UsageError("Without --train there is no data to look at. Give its file.")
    named = train[0] if train else str(data.get("path", "my-run"))
    run_name = name or _name_of(named)
    written = look(template, data if described else None, run_name, backend, registry)
    if output is None:
        click.echo(written, nl=False)
    else:
        from loomlm.storage.commit import write_file

        write_file(Path(output), written)


def _one_or_many(values: tuple[str, ...]) -> str | list[str] | None:
    return None if not values else values[0] if len(values) == 1 else list(values)


def _name_of(path: str) -> str:
    """The folder's name where the file's says only which split it is."""
    import re

    stem = Path(path).name.split(".")[0]
    folder = Path(path).resolve().parent.name
    generic = re.match(r"train|data", stem, re.IGNORECASE) and folder
    return re.sub(r"[^A-Za-z0-9_-]+", "-", folder if generic else stem).strip("-") or "my-run"
