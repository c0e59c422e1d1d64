"""`loomlm data inspect`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from loomlm.cli.data.showing import columns, fitting, many, number, place, safe, say
from loomlm.cli.options import load_registry, plugin_options, read_config
from loomlm.cli.tables import table

LABELS = 20
"""Labels that are shown; --json has all."""

PLACE, TEXT = 40, 60
"""Columns of a place and of a text's beginning, at most; on a narrow terminal they are LEAST."""

LEAST = 16

BESIDE = 32
"""Columns that the other cells of a table with two places take."""


@click.command("inspect")
@click.argument("paths", nargs=-1, required=True, metavar="CONFIG.toml|FILE...")
@click.option("--stage", metavar="NAME", help="The stage to inspect; all by default.")
@click.option("--text", multiple=True, metavar="COLUMN", help="Of files: column of the text.")
@click.option("--label", metavar="COLUMN", help="Of files: column of the label.")
@click.option(
    "--data", "options", multiple=True, metavar="KEY=VALUE", help="Of files: more data keys."
)
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
def command(
    paths: tuple[str, ...],
    stage: str | None,
    text: tuple[str, ...],
    label: str | None,
    options: tuple[str, ...],
    assignments: tuple[str, ...],
    as_json: bool,
    plugins: tuple[str, ...],
) -> None:
    """Show what the data of a config, or of some files, is like.

    A config's data is read, cleaned and split as `loomlm run` does. Files are splits by their
    names; one whose name has test, valid, dev or eval in it is compared with the others.
    """
    from loomlm.data.inspection.facts import inspect
    from loomlm.data.inspection.reading import read_files, read_stages

    if len(paths) == 1 and paths[0].endswith(".toml"):
        if text or label or options:
            raise click.UsageError("--text, --label and --data are for files; use --set.")
        config = read_config(paths[0], assignments, None, plugins)
        stages = read_stages(config.settings, config.registry, say, stage).stages
        for read in stages:
            _refuse(read)
    else:
        if stage or assignments:
            raise click.UsageError("--stage and --set are for one CONFIG.toml.")
        registry = load_registry(plugins)
        stages = (read_files(paths, registry, say, _table(text, label, options)),)
    found = []
    for read in stages:
        found.append(inspect(read))
        if not as_json:
            _show(found[-1])
    if as_json:
        click.echo(json.dumps(found, indent=2))


def _refuse(stage: Any) -> None:
    from loomlm.errors import DataError

    if stage.failure:
        raise DataError(stage.failure)


def _table(text: tuple[str, ...], label: str | None, options: tuple[str, ...]) -> dict[str, Any]:
    from loomlm.config.load import parse_value

    given: dict[str, Any] = {}
    if text:
        given["text"] = text[0] if len(text) == 1 else list(text)
    if label:
        given["label"] = label
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise click.UsageError(f"--data {option}: expected KEY=VALUE.")
        given[key] = parse_value(value)
    return given


def _show(found: Mapping[str, Any]) -> None:
    splits = found["splits"]
    click.echo(f"Stage {found['stage']}\n" if found["stage"] != "files" else "")
    _sizes(splits)
    _lengths(splits)
    _labels(splits)
    _scripts(splits)
    for name, one in splits.items():
        _rows(name, one)
    _copies("The same texts", found["same"])
    if found["near"] is None:
        click.echo(f"\nNear copies were not looked for. {found['near_not_looked_for']}")
    else:
        _copies(f"Near copies, Jaccard {found['near_from']} or more", found["near"])
    _contamination(found["contamination"])
    for name, one in splits.items():
        _examples(f"The longest of {safe(name)}", "characters", "characters", one["longest"])
        _examples(f"Odd ones of {safe(name)}", "bits a character", "bits_a_character", one["odd"])


def _sizes(splits: Mapping[str, Any]) -> None:
    from loomlm.data.inspection.facts import size

    rows = [
        (
            safe(name),
            number(one["examples"]),
            size(one["bytes"]),
            number(one["words"]),
            number(one.get("tokens")),
            number(one.get("unknown")),
        )
        for name, one in splits.items()
    ]
    table(("split", "examples", "size", "words", "tokens", "unknown"), rows)


def _lengths(splits: Mapping[str, Any]) -> None:
    click.echo("\nLengths: of the shortest, at 5%, 50%, 95%, and of the longest")
    rows = [
        (safe(name), unit, *(number(at) for at in lengths.values()))
        for name, one in splits.items()
        for unit, lengths in one["lengths"].items()
        if lengths
    ]
    table(("split", "in", "0%", "5%", "50%", "95%", "100%"), rows)


def _labels(splits: Mapping[str, Any]) -> None:
    names = sorted(
        {label for one in splits.values() for label in one["labels"]},
        key=lambda label: (-sum(one["labels"].get(label, 0) for one in splits.values()), label),
    )
    if not names:
        return
    click.echo(f"\n{many(len(names), 'label')}, and how many examples of a split have them")
    rows = [
        (fitting(label, PLACE), *(_share(one["labels"], label) for one in splits.values()))
        for label in names[:LABELS]
    ]
    table(("label", *map(safe, splits)), rows)
    if len(names) > LABELS:
        click.echo(f"and {len(names) - LABELS:,} more, which --json has")
    for name, one in splits.items():
        once = one["labels_once"]
        if once:
            listed = ", ".join(fitting(label, PLACE) for label in once[:5])
            occur = "label occurs" if len(once) == 1 else "labels occur"
            click.echo(f"{len(once):,} {occur} once in {safe(name)}: {listed}")


def _share(labels: Mapping[str, int], label: str) -> str:
    count = labels.get(label, 0)
    return f"{count:,} ({count / max(sum(labels.values()), 1):.1%})"


def _scripts(splits: Mapping[str, Any]) -> None:
    click.echo("\nScripts of the letters")
    for name, one in splits.items():
        total = max(sum(one["scripts"].values()), 1)
        shown = [f"{script} {count / total:.2%}" for script, count in one["scripts"].items()]
        click.echo(f"  {safe(name)}: {', '.join(shown[:8]) or 'no letters'}")


def _rows(name: str, one: Mapping[str, Any]) -> None:
    """What is empty, what could not be read, and what should not stand in a text."""
    for note in one["notes"]:
        click.echo(f"\n{safe(name)}: {place(note)}")
    for file, skipped in one["skipped"].items():
        listed = ", ".join(map(str, skipped["first"]))
        more = " ..." if skipped["lines"] > len(skipped["first"]) else ""
        click.echo(f"  the lines of {place(file)}: {listed}{more}")
    kinds = {"empty": one["empty"], **one["defects"]}
    rows = [
        (safe(name), kind, number(found["count"]), ", ".join(map(place, found["places"])))
        for kind, found in kinds.items()
        if found["count"]
    ]
    if rows:
        click.echo("\nTexts that are empty, or have what should not be there")
        table(("split", "what", "texts", "the first"), rows)


def _copies(title: str, copies: list[Mapping[str, Any]]) -> None:
    click.echo(f"\n{title}" if copies else f"\n{title}: none")
    room = _room(BESIDE, PLACE, 2)
    rows = [
        (
            safe(one["split"]),
            "itself" if one["split"] == one["within"] else safe(one["within"]),
            number(one["count"]),
            place(one["examples"][0][0], room),
            place(one["examples"][0][1], room),
        )
        for one in copies
    ]
    table(("split", "also in", "texts", "the first", "of"), rows)


def _contamination(found: Mapping[str, Any]) -> None:
    for name, one in found.items():
        click.echo(
            f"\nContamination of {safe(name)}: {one['contaminated']:,} of {one['examples']:,} "
            f"({one['share']:.2%}) have a run of {one['words_of_a_run']} words in training text, "
            f"{one['mostly']:,} of them {one['mostly_from']:.0%} of theirs or more"
        )
        room = _room(BESIDE, PLACE, 2)
        rows = [
            (place(hit["place"], room), f"{hit['share']:.0%}", place(hit["training"], room))
            for hit in sorted(one["listed"], key=lambda hit: -hit["share"])[:10]
        ]
        table(("example", "of its runs", "first in"), rows)


def _examples(title: str, unit: str, key: str, examples: list[Mapping[str, Any]]) -> None:
    from rich.cells import cell_len

    if not examples:
        return
    click.echo(f"\n{title}")
    places = [place(e["place"], _room(len(unit) + 2, PLACE, 2)) for e in examples]
    # One column is left free, since some terminals wrap at the last.
    room = _room(len(unit) + max(map(cell_len, places)) + 5, TEXT)
    rows = [
        (number(e[key]), at, fitting(e["text"], room))
        for at, e in zip(places, examples, strict=True)
    ]
    table((unit, "place", "text"), rows)


def _room(taken: int, most: int, shared: int = 1) -> int:
    """Columns for one of so many cells that share what the others leave of the terminal."""
    width = columns()
    return most if width is None else max(LEAST, min(most, (width - taken) // shared))
