"""A plugin of data sources: one that keeps every promise, and others that break one each."""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from attrs import frozen

from loomlm.plugin import Component, DataError, Example, hookimpl, key


@frozen
class LinesConfig:
    """A file of lines, each a label and a text."""

    train: Path = key("the file")
    label: str | None = key("the one label to read", None)


class Lines:
    """The lines of a file, for training."""

    names = ("train",)

    def __init__(self, config: LinesConfig) -> None:
        self.config = config

    def content(self) -> str:
        if not self.config.train.is_file():
            raise DataError(f"There is no file {self.config.train}.")
        return self.config.train.read_text(encoding="utf-8")

    def fingerprint(self) -> str:
        return sha256(repr((self.content(), self.config.label)).encode()).hexdigest()

    def splits(self) -> tuple[str, ...]:
        return self.names

    def rows(self) -> list[str]:
        return self.content().splitlines()

    def examples(self, split: str) -> Iterator[Example]:
        if split not in self.splits():
            raise DataError(f"There is no split {split}.")
        for number, row in enumerate(self.rows(), 1):
            label, text = row.split(" ", 1)
            if self.config.label in (None, label):
                yield self.example(text, label, f"{self.config.train}:{number}")

    def example(self, text: str, label: str, place: str) -> Example:
        return Example(text, label, place=place)

    def notes(self) -> tuple[str, ...]:
        return ()


class InShards(Lines):
    """The lines in two halves."""

    def shards(self, split: str) -> tuple[str, ...]:
        return ("first", "second")

    def shard(self, split: str, name: str, skip: int = 0) -> Iterator[Example]:
        examples = list(self.examples(split))
        half = len(examples) // 2
        yield from (examples[:half] if name == "first" else examples[half:])[self.skipped(skip) :]

    def skipped(self, skip: int) -> int:
        return skip

    def shards_fingerprint(self) -> str:
        return self.fingerprint()


class SkipsOneMore(InShards):
    def skipped(self, skip):
        return skip + bool(skip)


class LeavesOutAShard(InShards):
    def shards(self, split):
        return ("first",)


class ReadsShardsBackwards(InShards):
    def shards(self, split):
        return ("second", "first")


class NamesADevSplit(Lines):
    names = ("train", "dev")


class HasNumbersForLabels(Lines):
    def example(self, text, label, place):
        return Example(text, len(label), place=place)  # type: ignore[arg-type]


class HasNoPlaces(Lines):
    def example(self, text, label, place):
        return Example(text, label)


class HasNoExamples(Lines):
    def rows(self):
        return []


class IsShuffled(Lines):
    def rows(self):
        rows = super().rows()
        return random.Random().sample(rows, len(rows))


class IsInTheOrderOfASet(Lines):
    def rows(self):
        return list(set(super().rows()))


class CountsReadings(Lines):
    readings = 0

    def rows(self):
        self.readings += 1
        return super().rows()

    def fingerprint(self):
        return f"{super().fingerprint()}-{self.readings}"


class HashesStrings(Lines):
    def fingerprint(self):
        return str(hash(self.content()))


class GoesByTheSize(Lines):
    def fingerprint(self):
        return str(len(self.content()))


class HasOneReader(Lines):
    def rows(self) -> Any:
        self.reader = iter(super().rows())
        while (row := next(self.reader, None)) is not None:
            yield row


class HasAnythingAsASplit(Lines):
    def examples(self, split):
        return super().examples("train")


class StumblesOverOtherSplits(Lines):
    def examples(self, split):
        return super().examples({"train": "train"}[split])


class StumblesOverNoFile(Lines):
    def content(self):
        return self.config.train.read_text(encoding="utf-8")


class SaysNotWhichFile(Lines):
    def content(self):
        if not self.config.train.is_file():
            raise DataError("A file is missing.")
        return super().content()


class TakesNoFileForAnEmptyOne(Lines):
    def content(self):
        return super().content() if self.config.train.is_file() else ""


@hookimpl
def loomlm_data_sources() -> list[Component]:
    return [
        Component(
            kind="data_source",
            name=name,
            summary="",
            target=f"{__name__}:{name}",
            config=LinesConfig,
        )
        for name, made in list(globals().items())
        if isinstance(made, type) and issubclass(made, Lines)
    ]
