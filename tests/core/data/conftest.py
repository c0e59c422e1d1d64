"""Examples kept on disk, as a run keeps those of a source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp

import pytest

from loomlm.contracts import Example
from loomlm.data.examples import Split, keep_examples, open_examples
from loomlm.storage.commit import staging

Keep = Callable[..., Split]


@pytest.fixture(scope="session")
def keep(tmp_path_factory: pytest.TempPathFactory) -> Keep:
    """Writes the examples of one or several sources into a folder of their own, and opens it."""
    root = tmp_path_factory.mktemp("kept")

    def write(*sources: Sequence[Example]) -> Split:
        folder = Path(mkdtemp(dir=root)) / "examples"
        with staging(folder) as stage:
            keep_examples(sources)(stage)
        return open_examples(folder)

    return write
