"""`loomlm data cache list|clear`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sized
from typing import Any

import click

from loomlm.cli.tables import table

UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@click.group("cache")
def command() -> None:
    """What is kept of prepared data: examples, tokenizers, tokens. `clear` removes it.

    All of it can be made again. It lies in the folder LOOMLM_CACHE, or in the user's cache folder.
    """


class Age(click.ParamType):
    """30m, 12h, 30d or 4w, as seconds."""

    name = "AGE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found = re.fullmatch(r"(\d+)([mhdw])", str(value))
        if found is None:
            self.fail(f"{value!r} is no age; give a number and m, h, d or w: 30d.", param, ctx)
        return int(found[1]) * UNITS[found[2]]


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_entries(as_json: bool) -> None:
    """List what is kept: its kind and key, its size, when it was made and last used."""
    from loomlm.data.inspection.facts import size
    from loomlm.storage.cache import cache_folder, entries

    found, now = entries(), time.time()
    if as_json:
        shown = [
            {
                "kind": entry.kind,
                "key": entry.key,
                "bytes": entry.bytes,
                "made": entry.made,
                "used": entry.used,
                "folder": str(entry.folder),
            }
            for entry in found
        ]
        click.echo(json.dumps({"cache": str(cache_folder()), "entries": shown}, indent=2))
        return
    rows = [
        (
            entry.kind,
            entry.key,
            size(entry.bytes),
            _ago(now - entry.made),
            _ago(now - entry.used),
        )
        for entry in found
    ]
    table(("kind", "key", "size", "made", "last used"), rows)
    total = sum(entry.bytes for entry in found)
    click.echo(f"{_entries(found)}, {size(total)}, in {cache_folder()}")


@command.command("clear")
@click.option("--older-than", type=Age(), help="Only what was last used so long ago: 12h, 30d.")
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only of this kind.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear_entries(older_than: float | None, kinds: tuple[str, ...], yes: bool) -> None:
    """Remove what is kept, and what processes that were killed left half made.

    What a running process holds stays.
    """
    from loomlm.data.inspection.facts import size
    from loomlm.errors import UsageError, did_you_mean
    from loomlm.storage.cache import cache_folder, clear, entries, sweep_cache

    found = entries()
    known = {entry.kind for entry in found}
    for kind in kinds:
        if known and kind not in known:
            raise UsageError(f"Nothing of kind {kind!r} is kept. {did_you_mean(kind, known)}")
    limit = time.time() - (older_than or 0)
    chosen = [e for e in found if (not kinds or e.kind in kinds) and e.used <= limit]
    swept = sweep_cache()
    if swept:
        click.echo(f"Removed {size(swept)} that killed processes left half made.")
    if not chosen:
        click.echo(f"Nothing to remove in {cache_folder()}.")
        return
    total = size(sum(entry.bytes for entry in chosen))
    what = f"{_entries(chosen)}, {total}, from {cache_folder()}"
    if not yes:
        click.confirm(f"Remove {what}?", abort=True)
    removed, stay = clear(chosen)
    total = size(sum(entry.bytes for entry in removed))
    click.echo(f"Removed {_entries(removed)}, {total}.")
    if stay:
        click.echo(f"Kept {_entries(stay)} that a running process holds.")


def _entries(listed: Sized) -> str:
    return f"{len(listed):,} {'entry' if len(listed) == 1 else 'entries'}"


def _ago(seconds: float) -> str:
    for unit, length in reversed(UNITS.items()):
        if seconds >= 2 * length or unit == "m":
            return f"{max(int(seconds // length), 0)} {unit}"
    raise AssertionError
