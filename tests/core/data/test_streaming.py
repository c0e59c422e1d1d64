"""A stream's batches: every example in its turn, and from any checkpoint the same ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
import pytest
from attrs import define, frozen
from hypothesis import given
from hypothesis import strategies as st

from loomlm.contracts import Columns, Dropped, Example, Ragged
from loomlm.data.cleaning import Step
from loomlm.data.plans import BatchSize
from loomlm.data.streaming import ExampleStream, Place, StreamRows
from loomlm.errors import DataError

pytestmark = pytest.mark.one_backend


@define
class Shards:
    """Shards of numbers as texts; opened: how often each was."""

    sizes: Sequence[int]
    opened: int = 0
    held: int = 0

    def shards(self, split: str) -> tuple[str, ...]:
        return tuple(map(str, range(len(self.sizes))))

    def shard(self, split: str, name: str, skip: int = 0) -> Iterator[Example]:
        self.opened += 1
        first = sum(self.sizes[: int(name)])
        for number in range(first + skip, first + self.sizes[int(name)]):
            self.held += 1
            yield Example(str(number), place=f"{name}:{number}")


@frozen
class Rows:
    """Stands for a task: a text is a number n; its tokens are n % 5 + 1 times n."""

    stream: bool
    context: int = 5


class OnlyThrees(Shards):
    def shard(self, split: str, name: str, skip: int = 0) -> Iterator[Example]:
        yield from [Example("3"), Example("33")][skip:]


def encode(examples: Sequence[Example]) -> Columns:
    rows = [[int(e.text)] * (int(e.text) % 5 + 1) for e in examples]
    offsets = np.array([0, *accumulate(map(len, rows))], np.int64)
    return {"tokens": Ragged(np.array([t for row in rows for t in row], np.int32), offsets)}


@frozen
class WithoutThrees:
    def example(self, example: Example) -> Example | Dropped:
        return Dropped("a three") if "3" in example.text else example


def stream_of(sizes, window, steps=()) -> ExampleStream:
    return ExampleStream(Shards(sizes), steps, window, "key")


def plan_of(sizes, window, batch, stream, steps=(), seed=3):
    rows = StreamRows(stream_of(sizes, window, steps), Rows(stream), encode)  # type: ignore[arg-type]
    return rows, rows.plan(BatchSize(batch), seed)


def content(rows, plan, step) -> list[list[int]]:
    taken, width = plan.batch(step)
    tokens = rows.take(taken)["tokens"]
    assert width in rows.widths
    assert len(tokens)
    return [tokens[row].tolist() for row in range(len(tokens))]


SIZES = st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any)


@given(SIZES, st.integers(1, 12), st.integers(1, 5), st.booleans(), st.integers(1, 30))
def test_from_any_checkpoint_the_batches_are_those_of_an_unbroken_run(
    sizes, window, batch, stream, stop
):
    rows, plan = plan_of(sizes, window, batch, stream)
    whole = [content(rows, plan, step) for step in range(1, stop + 9)]

    first_rows, first = plan_of(sizes, window, batch, stream)
    for step in range(1, stop + 5):  # made ahead of the checkpoint
        content(first_rows, first, step)
    kept = json.loads(json.dumps(first.place(stop)))
    rows, plan = plan_of(sizes, window, batch, stream)
    plan.go_to(kept)

    assert [content(rows, plan, step) for step in range(stop + 1, stop + 9)] == whole[stop:]


@given(SIZES, st.integers(1, 12), st.integers(1, 5))
def test_every_example_comes_once_an_epoch(sizes, window, batch):
    rows, plan = plan_of(sizes, window, batch, False)
    seen: Counter[int] = Counter()
    step = 0
    for epoch in (1, 2):
        while sum(seen.values()) < epoch * sum(sizes):
            step += 1
            seen.update(row[0] for row in content(rows, plan, step))
        assert seen == dict.fromkeys(range(sum(sizes)), epoch)


@given(SIZES, st.integers(1, 12), st.integers(1, 5), st.booleans())
def test_what_stands_in_a_batch_is_named_as_the_source_does(sizes, window, batch, stream):
    rows, plan = plan_of(sizes, window, batch, stream)
    for step in range(1, 9):
        held = {token for row in content(rows, plan, step) for token in row}
        places = rows.places(plan.batch(step)[0])
        named = {int(place.split(":")[1]) for place in places if ":" in place}
        assert named <= held
        assert named == held or (stream and "the window before" in places)


@given(SIZES, st.integers(1, 12), st.integers(1, 5))
def test_no_token_of_a_stream_is_lost(sizes, window, batch):
    rows, plan = plan_of(sizes, window, batch, True)
    fed: Counter[int] = Counter()
    for step in range(1, 12):
        for row in content(rows, plan, step):
            assert len(row) == rows.task.context + 1
            fed.update(row[:-1])
    place = plan.place(11)
    begun = place["place"]
    once = {n: n % 5 + 1 for n in range(sum(sizes))}

    # Before the window of the last step, every token of every epoch is a row's, or left for it.
    behind = Counter[int]()
    for epoch in range(begun["epoch"] + 1):
        last = begun["shard"] if epoch == begun["epoch"] else len(sizes)
        count = sum(sizes[:last]) + (begun["row"] if epoch == begun["epoch"] else 0)
        behind.update({n: once[n] for n in range(count)})
    behind.subtract(place["left"])
    assert all(fed[n] >= behind[n] for n in behind)


def test_another_seed_is_another_order_and_windows_shuffle_by_themselves():
    batches = {}
    for seed in (1, 2):
        rows, plan = plan_of([50, 50], 20, 5, False, seed=seed)
        batches[seed] = [content(rows, plan, step) for step in range(1, 21)]

    assert batches[1] != batches[2]
    for taken in batches.values():
        windows = [sorted(r[0] for b in taken[at : at + 4] for r in b) for at in range(0, 20, 4)]
        assert windows == [list(range(at, at + 20)) for at in range(0, 100, 20)]
        assert taken[0] != sorted(taken[0])


def test_each_epoch_has_an_order_of_its_own():
    rows, plan = plan_of([20], 20, 5, False)
    epochs = [
        [row for step in range(at, at + 4) for row in content(rows, plan, step)] for at in (1, 5, 9)
    ]

    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert epochs[0] != epochs[1] != epochs[2]


def test_no_more_than_a_window_is_read_ahead():
    rows, plan = plan_of([1000, 1000], 20, 5, False)
    source = rows.stream.source

    content(rows, plan, 1)
    assert source.held <= 20
    for step in range(1, 41):
        content(rows, plan, step)
    assert source.held == 200
    assert source.opened == 1


def test_a_window_of_long_texts_ends_early(monkeypatch):
    monkeypatch.setattr("loomlm.data.streaming.CHARACTERS", 4)
    stream = stream_of([12, 3], 1000)

    kept, after = stream.read(Place())
    assert [e.text for e in kept] == ["0", "1", "2", "3"]
    kept, after = stream.read(Place(0, 0, 9))
    assert [e.text for e in kept] == ["9", "10", "11"]
    assert after == Place(0, 0, 12)


def test_dropped_examples_count_in_the_place_and_not_in_the_window():
    steps = [Step("threes", "id", WithoutThrees())]
    stream = stream_of([10, 10], 6, steps)

    kept, after = stream.read(Place())
    assert [e.text for e in kept] == ["0", "1", "2", "4", "5", "6"]
    assert after == Place(0, 0, 7)
    kept, after = stream.read(after)
    assert [e.text for e in kept] == ["7", "8", "9", "10", "11", "12"]
    assert after == Place(0, 1, 3)


def test_a_stream_without_examples_ends_with_a_message():
    with pytest.raises(DataError, match=r"no example in any of its shards\."):
        stream_of([0, 0], 5).read(Place())

    steps = [Step("threes", "id", WithoutThrees())]
    with pytest.raises(DataError, match="that cleaning leaves"):
        ExampleStream(OnlyThrees([2]), steps, 5, "key").read(Place())
