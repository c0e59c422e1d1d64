"""What a run says of its data before it trains, and writes down: `data.json`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from loomlm.contracts import Joins, Task, Tokenizer
from loomlm.data.prepare import Encoded
from loomlm.data.reading import Examples
from loomlm.storage.cache import cache_key, cached
from loomlm.storage.commit import Staging
from loomlm.storage.foreign import read_json

FACTS = "facts.json"


def about_data(
    examples: Examples, encoded: Encoded, task: Task, tokenizer: Tokenizer
) -> dict[str, Any]:
    """A stage's data as JSON: what each split is like, and what each cleaning step did to it.

    What is counted is kept, like all that is prepared. A stream has no size before it was read.
    """
    # Of what is read through several rows, nothing is cut off.
    context = None if task.stream or isinstance(task, Joins) else task.context

    def make(staging: Staging) -> None:
        from loomlm.data.inspection.facts import facts_of

        facts = facts_of(examples.splits, encoded.tokens, context=context, tokenizer=tokenizer)
        staging.write(FACTS, json.dumps(facts).encode())

    folder = cached("facts", cache_key("about", encoded.key), make)
    about = {"key": encoded.key, **read_json(folder / FACTS)}
    for name, split in examples.splits.items():
        about["splits"][name]["cleaning"] = examples.reports.get(name, [])
        if len(split.parts) > 1:
            about["splits"][name]["of_each_source"] = split.parts
    if any(examples.resolved):
        about["resolved"] = [dict(of_source) for of_source in examples.resolved]
    stream = examples.stream
    if stream is not None:
        cleaning = [{"step": step.name} for step in stream.steps]
        about["splits"]["train"] = {"shards": list(stream.shards), "cleaning": cleaning}
    return about


def say_about(about: dict[str, Any], say: Callable[[str], None]) -> None:
    """A line for each split, then warnings."""
    from loomlm.data.inspection.facts import short_lines

    sizes = {name: one for name, one in about["splits"].items() if "examples" in one}
    for line in short_lines({**about, "splits": sizes}):
        say(line)
    shards = about["splits"].get("train", {}).get("shards")
    if shards:
        say(f"train: a stream of {len(shards):,} {'shard' if len(shards) == 1 else 'shards'}")
