"""Examples as the model sees them, from the source's text to the arrays of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from attrs import frozen

from loomlm.config.settings import RunConfig, StageConfig
from loomlm.contracts import Batch, Example, Ragged, Tokenizer
from loomlm.data.batches import Rows
from loomlm.data.examples import Split
from loomlm.data.inspection.texts import pick
from loomlm.data.prepare import extended
from loomlm.data.reading import read_examples
from loomlm.extending import Extensions
from loomlm.registry import Registry
from loomlm.training.stages import Prepared


@frozen
class Sample:
    """An example on its way to the model.

    raw: what the source gave, None where it is not found, as for one that an extension added.
    ids, pieces: those of the row, which a stream fills up with what follows the example. whole: the
    tokens that the example has without being cut. batch: a batch of it alone, width its width.
    """

    example: Example
    raw: Example | None
    ids: list[int]
    pieces: list[str]
    back: str
    whole: int
    width: int
    batch: Batch

    @property
    def padding(self) -> int:
        """Places of the row that hold no token."""
        return max(self.width - len(self.ids), 0)

    @property
    def counts(self) -> np.ndarray:
        """What of the row counts in the loss: a number, or one for each place."""
        return np.asarray(self.batch["weight"])[0]


def sampled(
    stage: StageConfig,
    prepared: Prepared,
    settings: RunConfig,
    registry: Registry,
    tokenizer: Tokenizer,
    split: str,
    rows: Sequence[int],
) -> Iterator[Sample]:
    """The examples of some rows of a split."""
    read = read_examples(stage.data, registry, settings.seed, _quiet)
    extensions = Extensions.of(stage.extensions, registry)
    whole = extended(read, extensions, registry, _quiet).splits[split]
    chosen = pick(whole, rows)
    # What was cut off train stands there.
    given = read.given.get(split, read.given.get("train", ()))
    raw = _raw(given, chosen) if whole.part == (0.0, 1.0) else [None] * len(chosen)
    names = {at: token for token, at in tokenizer.vocabulary().items()}
    for row, example, as_given in zip(rows, chosen, raw, strict=True):
        ids, width, batch = _row(prepared, settings, split, row)
        yield Sample(
            example,
            as_given,
            ids,
            [names.get(token, "?") for token in ids],
            tokenizer.decode(ids),
            len(tokenizer.encode_many([example.text])[0]),
            width,
            batch,
        )


def _quiet(_message: str) -> None:
    """What was made is said when it is made."""


def _row(
    prepared: Prepared, settings: RunConfig, split: str, row: int
) -> tuple[list[int], int, Batch]:
    """The ids of a row, its width, and the batch of it alone."""
    recipe, rows = prepared.recipe, prepared.data.splits[split]
    if recipe.task.stream:
        at = int(prepared.data.tokens[split].offsets[row])
        # The last examples have fewer tokens behind them than a row: it begins earlier.
        last = int(prepared.data.tokens[split].offsets[-1]) - recipe.task.context - 1
        at = max(min(at, last), 0)
    else:
        at = row
    index = np.array([at])
    ids, width = _ids(rows, index)
    batch = recipe.batch(rows, index, {"batch": 1, "time": width})
    return ids, width, recipe.extensions.batch(batch, 1, settings.seed)


def _ids(rows: Rows, index: np.ndarray) -> tuple[list[int], int]:
    tokens = rows.take(index)["tokens"]
    assert isinstance(tokens, Ragged)
    length = rows.tokens(index)
    return tokens[0].tolist()[:length], next(w for w in rows.widths if w >= length)


def _raw(given: Sequence[Split], chosen: Sequence[Example]) -> list[Example | None]:
    """What the sources gave, by the places of the examples."""
    wanted = {example.place for example in chosen}
    found: dict[str, Example] = {}
    for example in chain.from_iterable(split.examples() for split in given):
        if example.place in wanted:
            found.setdefault(example.place, example)
            if len(found) == len(wanted):
                break
    return [found.get(example.place) for example in chosen]
