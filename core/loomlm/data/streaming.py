"""A training split that is read while training: shard by shard, a window of examples at a time.

A window is read, shuffled, encoded and cut into batches; the next one follows where it ended. All
of a window is a function of the place where it begins, so that a checkpoint needs to keep that
place alone: epoch, shard, row, and the tokens that the window before left over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import asdict, define, field, frozen

from loomlm.config.settings import DataConfig
from loomlm.config.show import plain
from loomlm.contracts import Columns, Example, Ragged, ShardedSource, Task
from loomlm.data.batches import ExampleRows, bucket_widths
from loomlm.data.cleaning import Pass, Step
from loomlm.data.columns import ColumnStore
from loomlm.data.naming import examples_of
from loomlm.data.packing import Packed, along
from loomlm.data.plans import BatchSize, Shape
from loomlm.data.windows import Windows
from loomlm.errors import DataError, UsageError
from loomlm.registry import Registry
from loomlm.registry.sources import code_of
from loomlm.storage.cache import cache_key

CHARACTERS = 1 << 26
"""Characters that a window holds at most, whatever `shuffle_window` says."""

REMEMBERED = 64
"""Steps behind, whose windows' places are known: batches are made ahead of a checkpoint."""


@frozen
class Place:
    """Where a stream goes on: behind `row` examples of a shard, in an epoch counted from 0."""

    epoch: int = 0
    shard: int = 0
    row: int = 0


@define
class ExampleStream:
    """The cleaned examples of a source's training split, over and over.

    key: what tells it from others. shards: their names, in order.
    """

    source: ShardedSource
    steps: Sequence[Step]
    window: int
    key: str
    shards: tuple[str, ...] = field(init=False)
    _at: Place | None = field(default=None, init=False)
    _going: Iterator[tuple[Place, Example | None]] = field(factory=lambda: iter(()), init=False)

    def __attrs_post_init__(self) -> None:
        self.shards = self.source.shards("train")

    def once(self) -> Iterator[Example]:
        """The examples of one epoch."""
        work = Pass(self.steps)
        for shard in self.shards:
            for example in self.source.shard("train", shard):
                yield from work.clean([example])

    def read(self, place: Place) -> tuple[list[Example], Place]:
        """The examples of the window that begins at a place, and where it ends.

        A window ends with its epoch. Raises DataError where a whole epoch has no example.
        """
        if place != self._at:
            self._going, self._at = self._examples(place), place
        work = Pass(self.steps)
        kept: list[Example] = []
        characters = 0
        for after, example in self._going:
            self._at = after
            if example is None:
                break
            kept += work.clean([example])
            characters += len(example.text)
            if len(kept) >= self.window or characters >= CHARACTERS:
                break
        assert self._at is not None
        if not kept and place == Place(place.epoch) and self._at.epoch > place.epoch:
            raise DataError(
                "The training split has no example in any of its shards"
                + (" that cleaning leaves" if self.steps else "")
                + ". Check data.train and data.clean."
            )
        return kept, self._at

    def _examples(self, place: Place) -> Iterator[tuple[Place, Example | None]]:
        """Each example with the place behind it, and None behind each epoch."""
        epoch, first, row = place.epoch, place.shard, place.row
        while True:
            for number in range(first, len(self.shards)):
                for example in self.source.shard("train", self.shards[number], row):
                    row += 1
                    yield Place(epoch, number, row), example
                row = 0
            epoch, first = epoch + 1, 0
            yield Place(epoch), None


def open_stream(data: DataConfig, registry: Registry, steps: Sequence[Step]) -> ExampleStream:
    """The training split of a data table, to be read while training.

    Raises UsageError for a source without shards, and for a cleaning step that wants all examples.
    """
    choice = data.source
    source = registry.made("data_source", choice.type, choice.config)
    if not hasattr(source, "shards"):
        raise UsageError(
            f"data.streaming: {choice.type} cannot be read while training; it has no shards. Take "
            "`streaming` out, or use a source that has."
        )
    for step in steps:
        if step.fits:
            raise UsageError(
                f"data.clean: {step.name} reads all examples before it says what happens to one, "
                "and a stream is never read as a whole. Take the step or `streaming` out."
            )
    entry = registry.find("data_source", choice.type)
    working = [step for step in steps if step.works_on("train")]
    key = cache_key(
        "stream",
        source.shards_fingerprint() + code_of(entry.plugin, entry.component.target),
        plain(choice.config),
        [step.identity for step in working],
        data.shuffle_window,
    )
    return ExampleStream(source, working, data.shuffle_window, key)


@frozen
class Start:
    """Where a window begins, and the step of its first batch. left: tokens of the one before."""

    place: Place = Place()
    step: int = 1
    left: tuple[int, ...] = ()


@define
class StreamRows:
    """Rows of a stream, those of one window at a time.

    encode: some examples as columns. Made for the one thread that makes batches.
    """

    stream: ExampleStream
    task: Task
    encode: Callable[[Sequence[Example]], Columns]
    _rows: Windows | Packed | ExampleRows | None = field(default=None, init=False)
    _places: list[str] = field(factory=list, init=False)
    _offsets: np.ndarray = field(factory=lambda: np.zeros(1, np.int64), init=False)

    @property
    def widths(self) -> tuple[int, ...]:
        return (
            (self.task.context,)
            if self.task.stream
            else bucket_widths(self.task.context, self.task.context)
        )

    def take(self, rows: np.ndarray) -> Columns:
        assert self._rows is not None
        return self._rows.take(rows)

    def tokens(self, rows: np.ndarray) -> int:
        assert self._rows is not None
        return self._rows.tokens(rows)

    def places(self, rows: np.ndarray) -> list[str]:
        """Where the examples of some rows stand, as their source says."""
        assert self._rows is not None
        return [self._places[at] for at in examples_of(self._rows, rows, self._offsets)]

    def first_tokens(self) -> Ragged:
        """Those of the first window's examples."""
        tokens = self.encode(self.stream.read(Place())[0])["tokens"]
        assert isinstance(tokens, Ragged)
        return tokens

    def plan(self, size: BatchSize, seed: int) -> StreamPlan:
        return StreamPlan(self, size, seed)

    def open(
        self, start: Start, size: BatchSize, seed: int
    ) -> tuple[list[tuple[np.ndarray, int]], Place, tuple[int, ...]]:
        """The batches of the window that begins there, where the next does, and what is left."""
        examples, end = self.stream.read(start.place)
        place = start.place
        draw = np.random.default_rng([seed, place.epoch, place.shard, place.row])
        order = draw.permutation(len(examples))
        columns = self.encode([examples[row] for row in order])
        tokens = columns["tokens"]
        assert isinstance(tokens, Ragged)
        context, left = self.task.context, ()
        self._places = [examples[row].place for row in order]
        self._offsets = np.asarray(tokens.offsets)
        if not self.task.stream:
            self._rows = ExampleRows(ColumnStore.of(columns), self.task.context)
            plan = self._rows.plan(size, int(draw.integers(2**62)))
            steps = plan.steps_per_epoch if examples else 0
            return [plan.batch(step) for step in range(1, (steps or 0) + 1)], end, ()
        if getattr(self.task, "packed", False):
            self._rows = Packed(tokens.values, tokens.offsets, context, 0, along(columns))
            rows = draw.permutation(self._rows.span)
        else:
            flat = np.concatenate([np.array(start.left, tokens.values.dtype), tokens.values])
            self._places.insert(0, "the window before")
            self._offsets = np.concatenate([[0], self._offsets + len(start.left)])
            count = max(0, (len(flat) - 1) // context)
            self._rows, left = Windows(flat, context, 0), tuple(flat[count * context :].tolist())
            rows = draw.permutation(count) * context
        height = size.rows(context)
        batches = [(rows[at : at + height], context) for at in range(0, len(rows), height)]
        return batches, end, left


@define
class StreamPlan:
    """The batches of a stream, in their order; a step that lies behind is read again."""

    rows: StreamRows
    size: BatchSize
    seed: int
    _starts: list[Start] = field(factory=lambda: [Start()], init=False)
    _batches: list[tuple[np.ndarray, int]] = field(factory=list, init=False)
    _next: Start | None = field(default=None, init=False)

    @property
    def steps_per_epoch(self) -> None:
        """Nobody knows before it has been read."""
        return None

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return tuple((self.size.rows(width), width) for width in self.rows.widths)

    def batch(self, step: int) -> tuple[np.ndarray, int]:
        """The rows of a step, and the width that they are padded to."""
        if self._next is None or step < self._starts[-1].step:
            self._starts = [s for s in self._starts if s.step <= step] or [Start()]
            self._open(self._starts.pop())
        epoch = self._starts[-1].place.epoch
        while step >= self._starts[-1].step + len(self._batches):
            assert self._next is not None
            if not self._batches and self._next.place.epoch > epoch + 1 and not self._next.left:
                raise DataError(
                    "The training split has no token in a whole epoch. Check its texts."
                )
            self._open(self._next)
        return self._batches[step - self._starts[-1].step]

    def place(self, step: int) -> dict[str, Any]:
        """What a checkpoint of a step keeps, as JSON: where the window of its batch begins."""
        return asdict(next(start for start in reversed(self._starts) if start.step <= step))

    def go_to(self, place: Mapping[str, Any]) -> None:
        """Go on from what `place` gave."""
        start = Start(Place(**place["place"]), place["step"], tuple(place["left"]))
        self._starts, self._next = [start], None

    def _open(self, start: Start) -> None:
        self._batches, end, left = self.rows.open(start, self.size, self.seed)
        earlier = [known for known in self._starts if known.step < start.step]
        while len(earlier) > 1 and earlier[1].step <= start.step - REMEMBERED:
            earlier.pop(0)
        self._starts = [*earlier, start]
        self._next = Start(end, start.step + len(self._batches), left)
