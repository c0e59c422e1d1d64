"""`loomlm data sample`."""

from __future__ import annotations

import json
from typing import Any

import click

from loomlm.cli.data.showing import fitting, place, safe, say
from loomlm.cli.options import config_options, read_config

LONG = 600
"""Characters of a text, and TOKENS of its tokens, that are shown; --json has all."""

TOKENS = 120


@click.command("sample")
@config_options
@click.option("--n", "count", default=5, type=click.IntRange(1), help="How many examples.")
@click.option("--split", default="train", metavar="NAME", help="train, validation or test.")
@click.option("--stage", metavar="NAME", help="The stage; by default the first.")
@click.option("--seed", default=0, help="Which examples: the same for the same number.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    path: str,
    assignments: tuple[str, ...],
    backend: str | None,
    plugins: tuple[str, ...],
    count: int,
    split: str,
    stage: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Show examples as the model sees them, drawn at random.

    For each: the text as the source has it, the text after cleaning, its label, the token ids and
    what they stand for, what is cut off and what is padding, and what counts in the loss.
    """
    config = read_config(path, assignments, backend, plugins)

    import numpy as np

    from loomlm.cli.data.samples import sampled
    from loomlm.data.naming import numbers_of
    from loomlm.errors import UsageError, did_you_mean
    from loomlm.training.run import prepare

    settings, registry = config.settings, config.registry
    names = [one.name for one in settings.stages]
    if stage is not None and stage not in names:
        raise UsageError(f"There is no stage {stage!r}. {did_you_mean(stage, names)}")
    tokenizer, all_prepared = prepare(settings, registry, say)
    index = names.index(stage) if stage else 0
    prepared = all_prepared[index]
    if split == "train" and split not in prepared.data.splits:
        raise UsageError(
            "The training split is a stream, which is read while training. Take a sample without "
            f"it: --set stages.{names[index]}.data.streaming=false; or of another --split."
        )
    if split not in prepared.data.splits:
        raise UsageError(
            f"There is no split {split!r}. {did_you_mean(split, prepared.data.splits)}"
        )
    numbers = numbers_of(prepared.data.splits[split])
    total = len(prepared.data.tokens[split]) if numbers is None else int(numbers[-1]) + 1
    rows = np.random.default_rng(seed).choice(total, min(count, total), replace=False)
    samples = sampled(
        settings.stages[index], prepared, settings, registry, tokenizer, split, rows.tolist()
    )
    shown = [(one, _facts(one, prepared)) for one in samples]
    if as_json:
        click.echo(json.dumps([facts for _, facts in shown], indent=2))
        return
    for one, facts in shown:
        _show(one, facts, prepared.recipe.task.stream)


def _facts(sample: Any, prepared: Any) -> dict[str, Any]:
    """A sample as a JSON object."""
    example = sample.example
    arrays = {name: array[0].tolist() for name, array in sample.batch.arrays.items()}
    names = prepared.data.facts.get("labels")
    return {
        "place": example.place,
        "raw": None if sample.raw is None else sample.raw.text,
        "text": example.text,
        "extra": dict(example.extra),
        "label": example.label,
        "labels_of_the_task": names,
        "ids": sample.ids,
        "pieces": sample.pieces,
        "back": sample.back,
        "tokens_of_the_text": sample.whole,
        "width": sample.width,
        "padding": sample.padding,
        "arrays": arrays,
    }


def _show(sample: Any, facts: dict[str, Any], stream: bool) -> None:
    click.echo(place(facts["place"]))
    if facts["raw"] is not None and facts["raw"] != facts["text"]:
        _line("raw", fitting(facts["raw"], LONG))
        _line("cleaned", fitting(facts["text"], LONG))
    else:
        _line("text", fitting(facts["text"], LONG))
    for name, text in facts["extra"].items():
        _line(name, fitting(text, LONG))
    if facts["label"] is not None:
        _line("label", _label(facts))
    ids, pieces = facts["ids"][:TOKENS], facts["pieces"][:TOKENS]
    more = f" and {len(facts['ids']) - TOKENS:,} more" if len(facts["ids"]) > TOKENS else ""
    _line("ids", " ".join(map(str, ids)) + more)
    _line("pieces", "|".join(map(safe, pieces)) + more)
    _line("back", fitting(facts["back"], LONG))
    _line("row", _row(facts, stream, sample.documents))
    _line("loss", _mask(sample, facts))
    click.echo("")


def _label(facts: dict[str, Any]) -> str:
    given = facts["arrays"].get("label")
    shown = safe(json.dumps(facts["label"], ensure_ascii=False))
    return shown if given is None else f"{shown} -> {_short(given)}"


def _row(facts: dict[str, Any], stream: bool, documents: int | None) -> str:
    count, own = len(facts["ids"]), facts["tokens_of_the_text"]
    said = f"{count:,} tokens in {facts['width']:,} places, {facts['padding']:,} of padding"
    if documents is not None:
        stand = "document stands" if documents == 1 else "documents stand"
        return f"{said}; the text has {own:,}, and {documents:,} {stand} in the row"
    if stream:
        return f"{said}; the text has {own:,}, and what follows it fills the row"
    return f"{said}; {own - count:,} of {own:,} cut off" if own > count else f"{said}; none cut off"


def _mask(sample: Any, facts: dict[str, Any]) -> str:
    """What counts: a row as a whole, or some of its places, which foretell the token behind."""
    counts = sample.counts
    if counts.ndim == 0:
        return f"the row counts {float(counts):g}"
    on = int((counts > 0).sum())
    bits = "".join("1" if count > 0 else "." for count in counts[:TOKENS])
    if on == counts.size:
        return f"all {on:,} places count, each for the token behind it"
    return f"{on:,} of {counts.size:,} places count: {bits}"


def _short(values: Any, most: int = 20) -> str:
    if not isinstance(values, list):
        return f"{values:g}"
    listed = " ".join(f"{value:g}" for value in values[:most])
    return listed if len(values) <= most else f"{listed} ..."


def _line(name: str, said: str) -> None:
    click.echo(f"  {name:8} {said}")
