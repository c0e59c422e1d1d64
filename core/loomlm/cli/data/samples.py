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
from loomlm.data.mixing import Mixed
from loomlm.data.naming import numbers_of
from loomlm.data.packing import Packed
from loomlm.data.prepare import extended
from loomlm.data.reading import read_examples
from loomlm.data.vocabularies import tokens_of
from loomlm.errors import DataError
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
    documents: int | None = None

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
    of_tokens = tokens_of(prepared.recipe.task, tokenizer)
    names = {at: token for token, at in of_tokens.vocabulary().items()}
    for row, example, as_given in zip(rows, chosen, raw, strict=True):
        index = np.array([_place(prepared, split, row)])
        ids, documents = _ids(prepared.data.splits[split], index)
        width, batch = _batch(prepared, settings, split, index)
        yield Sample(
            example,
            as_given,
            ids,
            [names.get(token, "?") for token in ids],
            of_tokens.decode(ids),
            len(tokenizer.encode_many([example.text])[0]),
            width,
            batch,
            documents,
        )


def _quiet(_message: str) -> None:
    """What was made is said when it is made."""


def _place(prepared: Prepared, split: str, row: int) -> int:
    """What names the row in which an example stands, or begins."""
    task, tokens = prepared.recipe.task, prepared.data.tokens[split]
    if not task.stream:
        numbers = numbers_of(prepared.data.splits[split])
        return row if numbers is None else int(np.searchsorted(numbers, row))
    at = int(tokens.offsets[row])
    if getattr(task, "packed", False):
        return _packed_place(prepared.data.splits[split], at)
    # The last examples have fewer tokens behind them than a row: it begins earlier.
    last = int(tokens.offsets[-1]) - task.context - 1
    return max(min(at, last), 0)


def _packed_place(rows: Rows, at: int) -> int:
    """The row with the document, of any source, whose first token stands there.

    Raises DataError where it is in none, since it has no token to predict.
    """
    first = 0
    for part in rows.parts if isinstance(rows, Mixed) else [rows]:
        assert isinstance(part, Packed)
        (found,) = np.nonzero(part.packing.starts == at)
        if len(found):
            own = np.searchsorted(part.packing.offsets, found[0], side="right") - 1
            return first + int(own)
        first += part.span
    raise DataError("The text has no token to predict, so it stands in no row.")


def _batch(
    prepared: Prepared, settings: RunConfig, split: str, index: np.ndarray
) -> tuple[int, Batch]:
    """The width of a row, and the batch of it alone."""
    recipe, rows = prepared.recipe, prepared.data.splits[split]
    length = rows.tokens(index)
    width = next(w for w in rows.widths if w >= length)
    batch = recipe.batch(rows, index, {"batch": 1, "time": width})
    return width, recipe.extensions.batch(batch, 1, settings.seed)


def _ids(rows: Rows, index: np.ndarray) -> tuple[list[int], int | None]:
    """The ids of a row, and how many documents are packed into it."""
    columns = rows.take(index)
    tokens, pieces = columns["tokens"], columns.get("pieces")
    assert isinstance(tokens, Ragged)
    if not isinstance(pieces, Ragged):
        return tokens[0].tolist()[: rows.tokens(index)], None
    # The last token of a document is only predicted.
    read = np.delete(tokens[0], np.cumsum(pieces[0]) - 1)
    return read.tolist(), len(pieces[0])


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
