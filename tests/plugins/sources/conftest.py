"""What the sources' tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loomlm.plugin import DataError, Example
from loomlm_sources.config import FilesConfig
from loomlm_sources.files import Files


@pytest.fixture
def command(loomlm_command: Callable[..., Any]) -> Callable[..., tuple[int, str, str]]:
    """Calls `loomlm` with words; gives its exit code, standard output and standard error."""

    def call(*words: str) -> tuple[int, str, str]:
        done = loomlm_command(*words)
        return done.code, done.out, done.err

    return call


def write(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(split: str = "train", **options: Any) -> list[Example]:
    return list(Files(FilesConfig(**options)).examples(split))


def refused(split: str = "train", **options: Any) -> str:
    """The message of the DataError; it is one paragraph."""
    with pytest.raises(DataError) as caught:
        read(split, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def kept(**options: Any) -> tuple[list[str], tuple[str, ...]]:
    """The texts and the notes where bad lines are skipped."""
    source = Files(FilesConfig(on_bad_line="skip", **options))
    return [example.text for example in source.examples("train")], source.notes()
