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

from loomlm.cli.options import plugin_options, split_plugins

CHUNK = 4096


@click.command("predict")
@click.argument("run", metavar="RUN")
@click.argument("texts", nargs=-1)
@click.option("--file", "source", metavar="FILE", help="Texts: .jsonl with a `text` key, or .txt.")
@click.option("--output", metavar="FILE", help="Where to write; standard output by default.")
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    metavar="N",
    help="Texts that are predicted together; 256 by default.",
)
@click.option("--backend", metavar="NAME", help="Another backend than the one that trained.")
@plugin_options
def command(
    run: str,
    texts: tuple[str, ...],
    source: str | None,
    output: str | None,
    batch_size: int | None,
    backend: str | None,
    plugins: tuple[str, ...],
) -> None:
    """Predict with the model in folder RUN: one JSON object for each text, a line each.

    Texts are arguments, or the lines of --file, or of standard input. Other keys of a .jsonl line
    stand in its prediction too; one that the prediction has itself, such as `label`, as
    `given_label`.
    """
    from loomlm.errors import UsageError
    from loomlm.inference.model import BATCH_SIZE, load_model

    if texts and source:
        raise click.UsageError("Give texts or --file, not both.")
    if source and output and Path(output).exists() and Path(output).samefile(source):
        raise click.UsageError("--output would overwrite --file. Give it another name.")
    rows = iter([{"text": text} for text in texts]) if texts else _read(source)
    first = next(rows, None)
    if first is None:
        raise UsageError(f"{source or 'Standard input'} has no text.")
    extra, block = split_plugins(plugins)
    model = load_model(run, backend=backend, plugins=extra, block=block)
    with _output(output) as file:
        for chunk in _chunks(first, rows):
            predictions = model.predict([row["text"] for row in chunk], batch_size or BATCH_SIZE)
            for row, prediction in zip(chunk, predictions, strict=True):
                file.write(_line(_joined(row, prediction), file.encoding))


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


def _read(source: str | None) -> Iterator[dict[str, Any]]:
    from loomlm.errors import DataError

    name = source or "standard input"
    form = Path(source or "").suffix
    if form not in ("", ".jsonl", ".txt"):
        raise DataError(f"{name}: predict reads .jsonl and .txt, not {form}.")
    try:
        with click.open_file(source or "-", encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                # A blank line of plain text is a text, so that predictions stand line by line.
                if line.strip() or form != ".jsonl":
                    yield _row(line, f"{name}:{number}", form == ".jsonl")
    except UnicodeDecodeError:
        raise DataError(f"{name} is not UTF-8. Save it as UTF-8 and try again.") from None
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}.") from None


def _row(line: str, place: str, is_json: bool) -> dict[str, Any]:
    from loomlm.errors import DataError

    if not is_json:
        return {"text": line.rstrip("\r\n")}
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{place}: not JSON: {error}.") from None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise DataError(f'{place}: a line is an object with a text, {{"text": "..."}}.')
    return row


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
