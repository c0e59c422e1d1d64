"""What a run writes down of its data: `data.json`."""

from __future__ import annotations

from typing import Any

from loomlm.data.prepare import Encoded
from loomlm.data.reading import Examples


def about_data(examples: Examples, encoded: Encoded) -> dict[str, Any]:
    """A stage's data as JSON: each split's size, and what each cleaning step did to it.

    A stream has no size before it has been read.
    """
    splits = {
        name: {
            "examples": len(split),
            "tokens": len(encoded.tokens[name].values),
            **({"of_each_source": split.parts} if len(split.parts) > 1 else {}),
            "cleaning": examples.reports.get(name, []),
        }
        for name, split in examples.splits.items()
    }
    stream = examples.stream
    if stream is not None:
        splits["train"] = {
            "shards": list(stream.shards),
            "cleaning": [{"step": step.name} for step in stream.steps],
        }
    return {"key": encoded.key, "splits": splits}
