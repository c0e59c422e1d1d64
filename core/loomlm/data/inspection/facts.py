"""What a stage's data is like, as a JSON object: in short for each run, at length to inspect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from loomlm.contracts import Ragged, Tokenizer
from loomlm.data.examples import Split
from loomlm.data.inspection.contamination import MOST, Contamination
from loomlm.data.inspection.copies import NEAR, Copies
from loomlm.data.inspection.counting import percentiles
from loomlm.data.inspection.gathered import ORDER, Stage
from loomlm.data.inspection.odd import longest, oddest
from loomlm.data.inspection.texts import pick
from loomlm.errors import UsageError

LISTED = 20
"""Copies and contaminated examples that are listed with their places; all are counted."""

EXCERPT = 200
"""Characters of a text that is shown."""

EMPTY = 0.001
SHARED = 0.001
UNKNOWN = 0.01
AT_LIMIT = 0.05
"""From these shares on a run warns; `loomlm data check` says why each is what it is."""


def facts_of(
    splits: Mapping[str, Split],
    tokens: Mapping[str, Ragged] | None = None,
    *,
    context: int | None = None,
    tokenizer: Tokenizer | None = None,
) -> dict[str, Any]:
    """What can be counted in one quick pass: sizes, lengths, labels, texts that are the same.

    tokens: the encoded rows of each split, where they are there. context: the most tokens of a row,
    where an example is a row, to say how many reach it. tokenizer: to say what is unknown to it.
    """
    splits = {name: splits[name] for name in sorted(splits, key=ORDER.index)}
    stage = Stage("", splits)
    found: dict[str, Any] = {"splits": {}}
    for name in splits:
        facts = split_facts(stage, name)
        if tokens is not None and name in tokens:
            facts |= _token_facts(tokens[name], context, tokenizer)
        found["splits"][name] = facts
    found["same"] = [_copies(stage, copies) for copies in stage.same]
    return found


def short_lines(facts: Mapping[str, Any]) -> list[str]:
    """The facts of a stage for somebody who trains on it: a line a split, then warnings."""
    lines = [_line(name, one) for name, one in facts["splits"].items()]
    return lines + [f"Warning: {sentence}" for sentence in warnings(facts)]


def warnings(facts: Mapping[str, Any]) -> Iterator[str]:
    """What of the facts somebody should know before training."""
    splits = facts["splits"]
    known = splits.get("train", {}).get("labels", {})
    for name, one in splits.items():
        count = max(one["examples"], 1)
        if one["empty"]["count"] >= EMPTY * count and one["empty"]["count"]:
            blank = one["empty"]["count"]
            yield f"{name} has {_many(blank, 'text')} without a character but white space."
        if one.get("at_limit", 0) >= AT_LIMIT * count and one.get("at_limit"):
            share = one["at_limit"] / count
            yield f"{share:.0%} of {name} fill a row to its end, and may be cut off."
        if one.get("unknown", 0) >= UNKNOWN * max(one.get("tokens", 0), 1) and one.get("unknown"):
            yield f"{one['unknown'] / one['tokens']:.1%} of the tokens of {name} are unknown."
        missing = [label for label in known if label not in one["labels"]]
        if missing and one["labels"]:
            yield f"{name} lacks {len(missing):,} of {len(known):,} labels."
    once = [label for label, count in known.items() if count == 1]
    if once:
        yield f"train has {_many(len(once), 'label')} of which there is one example."
    for copies in facts["same"]:
        share = copies["count"] / max(splits[copies["split"]]["examples"], 1)
        if copies["split"] != copies["within"]:
            yield (
                f"{copies['split']} has {_many(copies['count'], 'text')} ({share:.1%}) that "
                f"{copies['within']} has too."
            )
        elif share >= SHARED:
            repeated = _many(copies["count"], "text")
            yield f"{copies['split']} has {repeated} ({share:.1%}) that it has before."


def inspect(stage: Stage) -> dict[str, Any]:
    """Everything that `loomlm data inspect` shows of a stage."""
    return {
        "stage": stage.name,
        "splits": {
            name: {**split_facts(stage, name), **_more(stage, name)} for name in stage.splits
        },
        "same": [_copies(stage, copies) for copies in stage.same],
        **_near(stage),
        "contamination": {
            name: contamination_facts(found) for name, found in stage.contamination.items()
        },
    }


def split_facts(stage: Stage, name: str) -> dict[str, Any]:
    """What one pass over a split counts."""
    one = stage.counted[name]
    return {
        "examples": len(one),
        "bytes": one.bytes,
        "characters": int(one.characters.sum()),
        "lengths": {"characters": percentiles(one.characters)},
        "labels": dict(one.label_counts.most_common()),
        "scripts": one.scripts,
        "empty": {"count": len(one.blank), "places": list(stage.places(name, one.blank))},
    }


def _token_facts(rows: Ragged, context: int | None, tokenizer: Tokenizer | None) -> dict[str, Any]:
    lengths = np.diff(rows.offsets)
    found: dict[str, Any] = {
        "tokens": int(lengths.sum()),
        "tokens_of_an_example": percentiles(lengths),
    }
    if context is not None:
        found["at_limit"] = int((lengths >= context).sum())
    if tokenizer is not None and tokenizer.unknown_id is not None:
        found["unknown"] = int((np.asarray(rows.values) == tokenizer.unknown_id).sum())
    return found


def _more(stage: Stage, name: str) -> dict[str, Any]:
    """What takes longer: words, tokens, and examples to look at."""
    one, split, words = stage.counted[name], stage.splits[name], stage.words[name]
    found: dict[str, Any] = {
        "words": int(words.sum()),
        "lengths": {"characters": percentiles(one.characters), "words": percentiles(words)},
        "notes": list(stage.notes.get(name, ())),
        "skipped": {
            file: {"lines": count, "first": first}
            for file, (count, first) in stage.skipped.get(name, {}).items()
        },
        "labels_once": sorted(label for label, n in one.label_counts.items() if n == 1),
        "defects": {
            kind: {"count": len(rows), "places": list(stage.places(name, rows))}
            for kind, rows in stage.defects[name].items()
        },
        "longest": [
            {**_shown(split, row), "characters": int(one.characters[row])}
            for row in longest(one.characters)
        ],
        "odd": [
            {**_shown(split, odd.row), "bits_a_character": round(odd.bits, 2)}
            for odd in oddest(split, int(one.characters.sum()))
        ],
    }
    if name in stage.tokens:
        tokens = stage.tokens[name]
        found["tokens"] = int(tokens.lengths.sum())
        found["unknown"] = int(tokens.unknown.sum())
        found["lengths"]["tokens"] = percentiles(tokens.lengths)
    return found


def _shown(split: Split, row: int) -> dict[str, Any]:
    (example,) = pick(split, [row])
    return {"place": example.place, "text": example.text[:EXCERPT]}


def _copies(stage: Stage, copies: Copies) -> dict[str, Any]:
    pairs = zip(
        pick(stage.splits[copies.split], copies.rows[:LISTED]),
        pick(stage.splits[copies.within], copies.of[:LISTED]),
        strict=True,
    )
    return {
        "split": copies.split,
        "within": copies.within,
        "count": len(copies),
        "examples": [[later.place, earlier.place] for later, earlier in pairs],
    }


def _near(stage: Stage) -> dict[str, Any]:
    try:
        return {"near": [_copies(stage, copies) for copies in stage.near], "near_from": NEAR}
    except UsageError as error:  # The library for it is not installed.
        return {"near": None, "near_not_looked_for": str(error)}


def contamination_facts(found: Contamination) -> dict[str, Any]:
    """What is known of a split's examples in training text."""
    return {
        "words_of_a_run": found.n,
        "examples": found.examples,
        "contaminated": len(found.hits),
        "share": found.share,
        "mostly": found.mostly,
        "mostly_from": MOST,
        "listed": [
            {"place": hit.place, "training": hit.training, "share": round(hit.share, 4)}
            for hit in found.hits
        ],
    }


def _line(name: str, one: Mapping[str, Any]) -> str:
    parts = [f"{name}: {one['examples']:,} examples", size(one["bytes"])]
    if "tokens" in one:
        parts.append(f"{one['tokens']:,} tokens")
        lengths = one["tokens_of_an_example"]
        if lengths:
            parts.append(f"{lengths['50']:,} an example, {lengths['95']:,} at 95%")
    if one["labels"]:
        parts.append(f"{len(one['labels']):,} labels")
    return ", ".join(parts)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def size(count: int) -> str:
    """Bytes as people read them."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{count:,} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError
