"""The template `messages`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tomli_w

from loomlm.plugin import TemplateContext, UsageError

CONFIG = """\
# Short, noisy texts with a label each. Check it: loomlm config check FILE
name = {name}
seed = 17
backend = {backend}

[tokenizer]
type = "word"
lowercase = true

[backbone]
type = "mlp"
width = 32
ngrams = 2
dropout = 0.1

[trainer]
epochs = 5
batch_size = 32
learning_rate = 1e-2  # with Lion, what every weight moves by, up or down, at the peak
optimizer = {{ type = "lion", weight_decay = 0.1 }}
schedule = {{ type = "inverse_root", warmup = {warmup} }}

[[stages]]
name = "finetune"
task = "classification"
extensions = ["deduplicate"]  # what was sent on and on is learnt from once

{data}"""
CLEAN = ["unicode", {"type": "repeats", "most": 3}, "whitespace"]
EXAMPLE = {"train": "train.csv", "test": "test.csv", "text": "text", "label": "label"}
"""Stands in where there is no data to look at."""


def messages(context: TemplateContext) -> str:
    """A config for the data that was looked at, or one to fill in.

    Raises UsageError for data without labels.
    """
    if context.train is not None and not context.train.labels:
        raise UsageError("The data has no labels. Name their column with --label.")
    data: dict[str, Any] = dict(EXAMPLE if context.data is None else context.data)
    data.setdefault("clean", CLEAN)
    if context.data is not None and not context.has_test:
        data.setdefault("split", {"test": 0.2})
    examples = 10_000 if context.train is None else context.train.examples
    # A tenth of the first epoch.
    warmup = max(1, examples // 320)
    return CONFIG.format(
        name=json.dumps(context.name),
        backend=json.dumps(context.backend),
        warmup=warmup,
        data=_table(data),
    )


# A source that is looked at finds the column of the labels, or asks for it.
messages.labelled = True  # pyright: ignore[reportFunctionMemberAccess]


def _table(data: Mapping[str, Any]) -> str:
    """The data of the stage above it."""
    return tomli_w.dumps({"stages": {"data": dict(data)}})
