"""`loomlm data prepare`."""

from __future__ import annotations

import json
from typing import Any

import click

from loomlm.cli.data.showing import many, number, safe, say
from loomlm.cli.options import config_options, read_config
from loomlm.cli.tables import table


@click.command("prepare")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    path: str,
    assignments: tuple[str, ...],
    backend: str | None,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Read, clean, split, train the tokenizer and encode, as `loomlm run` does before it trains.

    What is made is kept in the cache, where `loomlm run` finds it; what was there is not made
    again.
    """
    config = read_config(path, assignments, backend, plugins)

    from loomlm.storage.cache import cache_folder, watching
    from loomlm.training.run import prepare

    with watching() as uses:
        tokenizer, stages = prepare(config.settings, config.registry, say)
    found = {
        "cache": str(cache_folder()),
        "vocabulary": tokenizer.vocab_size,
        "stages": {stage.config.name: _splits(stage) for stage in stages},
        "kept": [_kept(use) for use in {use.folder: use for use in uses}.values()],
    }
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _show(found)


def _splits(stage: Any) -> dict[str, dict[str, int]]:
    from loomlm.data.inspection.gathered import ORDER

    shards = stage.about["splits"].get("train", {}).get("shards")
    widest = max(stage.data.train.widths) if shards else 0
    # A stream is encoded while it is read.
    stream = {"train": {"shards": len(shards), "longest": widest}} if shards else {}
    return stream | {
        name: {
            "examples": len(tokens),
            "tokens": int(tokens.offsets[-1]),
            "longest": max(stage.data.splits[name].widths),
        }
        for name, tokens in sorted(stage.data.tokens.items(), key=lambda item: ORDER.index(item[0]))
        if name in stage.data.splits
    }


def _examples(one: dict[str, int]) -> str:
    return many(one["shards"], "shard") if "shards" in one else number(one["examples"])


def _kept(use: Any) -> dict[str, Any]:
    files = [path for path in use.folder.rglob("*") if path.is_file()]
    return {
        "kind": use.kind,
        "made": use.made,
        "bytes": sum(path.stat().st_size for path in files),
        "folder": str(use.folder),
    }


def _show(found: dict[str, Any]) -> None:
    from loomlm.data.inspection.facts import size

    rows = [
        (stage, split, _examples(one), number(one.get("tokens")), number(one["longest"]))
        for stage, splits in found["stages"].items()
        for split, one in splits.items()
    ]
    table(("stage", "split", "examples", "tokens", "widest row"), rows)
    click.echo(f"\nThe vocabulary has {found['vocabulary']:,} tokens.\n")
    kept = [
        (one["kind"], "made" if one["made"] else "was there", size(one["bytes"]), one["folder"])
        for one in found["kept"]
    ]
    table(("kind", "", "size", "folder"), [(a, b, c, safe(d)) for a, b, c, d in kept])
