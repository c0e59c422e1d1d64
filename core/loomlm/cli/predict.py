"""`loomlm predict`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import click

from loomlm.cli.options import given_of, plugin_options, split_plugins, writing_options
from loomlm.cli.rows import read_rows

CHUNK = 4096


@click.command("predict")
@click.argument("run", metavar="RUN")
@click.argument("texts", nargs=-1)
@click.option(
    "--file",
    "source",
    metavar="FILE",
    help="Rows: .jsonl, .csv or .tsv with `text`, or lines of .txt.",
)
@click.option(
    "--with",
    "further",
    multiple=True,
    metavar="NAME=TEXT",
    help="A further text of each row that has none of its name, e.g. pair='the second'.",
)
@click.option("--output", metavar="FILE", help="Where to write; standard output by default.")
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    metavar="N",
    help="Texts that are predicted together; 256 by default.",
)
@writing_options(defaults=False)
@click.option("--backend", metavar="NAME", help="Another backend than the one that trained.")
@plugin_options
def command(
    run: str,
    texts: tuple[str, ...],
    source: str | None,
    further: tuple[str, ...],
    output: str | None,
    batch_size: int | None,
    backend: str | None,
    plugins: tuple[str, ...],
    **how: Any,
) -> None:
    """Predict with the model in folder RUN: one JSON object for each text, a line each.

    Texts are arguments, or the lines of --file, or of standard input. A task that reads further
    texts finds them by name in a row of --file, beside `text`, or in --with. Other keys of a row
    stand in its prediction too; one that the prediction has itself, such as `label`, as
    `given_label`. How text is written matters to a task that answers in text, which says itself
    what is not given here.
    """
    from loomlm.errors import UsageError
    from loomlm.inference.model import BATCH_SIZE, load_model

    if texts and source:
        raise click.UsageError("Give texts or --file, not both.")
    if source and output and Path(output).exists() and Path(output).samefile(source):
        raise click.UsageError("--output would overwrite --file. Give it another name.")
    more = dict(map(_named, further))
    given = iter([{"text": text} for text in texts]) if texts else read_rows(source)
    rows = ({**more, **row} for row in given)
    first = next(rows, None)
    if first is None:
        raise UsageError(f"{source or 'Standard input'} has no text.")
    extra, block = split_plugins(plugins)
    model = load_model(run, backend=backend, plugins=extra, block=block)
    size = batch_size or BATCH_SIZE
    with _output(output) as file:
        for chunk in _chunks(first, rows):
            predictions = model.predict(chunk, size, **given_of(how))
            for row, prediction in zip(chunk, predictions, strict=True):
                file.write(_line(_joined(row, prediction), file.encoding))


def _named(word: str) -> tuple[str, str]:
    name, equals, text = word.partition("=")
    if not name or not equals:
        raise click.UsageError(f"--with takes NAME=TEXT, not {word!r}.")
    return name, text


def _joined(row: dict[str, Any], prediction: dict[str, Any]) -> dict[str, Any]:
    given = {f"given_{key}" if key in prediction else key: value for key, value in row.items()}
    return {**given, **prediction}


def _line(row: dict[str, Any], encoding: str) -> str:
    """A line of JSON; what the file's encoding has no bytes for becomes JSON's own escape."""
    line = json.dumps(row, ensure_ascii=False) + "\n"
    try:
        line.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(row) + "\n"
    return line


def _chunks(first: dict[str, Any], rows: Iterator[dict[str, Any]]) -> Iterator[list[Any]]:
    chunk = [first, *islice(rows, CHUNK - 1)]
    while chunk:
        yield chunk
        chunk = list(islice(rows, CHUNK))


@contextmanager
def _output(path: str | None) -> Iterator[Any]:
    """Standard output, or a file that takes its place when all of it is written."""
    from io import BufferedWriter, TextIOWrapper

    from loomlm.storage.commit import replacing
    from loomlm.storage.disk import cannot_write, disk

    if path is None:
        yield sys.stdout
        return
    place = Path(path)
    # A device or a pipe is no file that another could take the place of.
    if place.exists() and not (place.is_file() or place.is_dir()):
        try:
            with TextIOWrapper(BufferedWriter(disk().append(place)), encoding="utf-8") as file:
                yield file
        except OSError as error:
            raise cannot_write(place, error) from None
        return
    with replacing(place) as file:
        yield file
