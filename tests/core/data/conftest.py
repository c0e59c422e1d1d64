"""Examples kept on disk, as a run keeps those of a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp

import pytest
from attrs import frozen

from loomlm.contracts import Cleaner, Example
from loomlm.data.examples import Split, keep_examples, open_examples
from loomlm.storage.commit import staging


@frozen
class ListSource:
    """A source of one split, out of a list."""

    kept: Sequence[Example]
    said: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        return repr(self.kept)

    def splits(self) -> tuple[str, ...]:
        return ("train",)

    def examples(self, split: str) -> Iterator[Example]:
        return iter(self.kept)

    def notes(self) -> tuple[str, ...]:
        return self.said


Keep = Callable[..., Split]


@pytest.fixture(scope="session")
def keep(tmp_path_factory: pytest.TempPathFactory) -> Keep:
    """Writes examples into a folder of their own, and opens it."""
    root = tmp_path_factory.mktemp("kept")

    def write(
        examples: Sequence[Example], cleaners: Sequence[Cleaner] = (), source: type = ListSource
    ) -> Split:
        folder = Path(mkdtemp(dir=root)) / "examples"
        with staging(folder) as stage:
            keep_examples(source(examples), "train", cleaners)(stage)
        return open_examples(folder)

    return write
