"""Two vocabularies in one tokenizer: of the texts that are read, and of those that are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import Factory, define, field

from loomlm.contracts import Ragged, Task, Tokenizer

TARGET = "target"
"""The key in a tokenizer's table that has the second one, and the further text that it is for."""

PREFIX = f"{TARGET}."
"""What the names of the second one's files begin with, beside those of the first."""


def _of_source(name: str) -> Any:
    return field(default=Factory(lambda self: getattr(self.source, name), takes_self=True))


@define
class TwoVocabularies:
    """The tokenizer of what is read, as any other, with that of what is written besides.

    Whoever knows of one vocabulary alone sees the first.
    """

    source: Tokenizer
    target: Tokenizer
    vocab_size: int = _of_source("vocab_size")
    pad_id: int = _of_source("pad_id")
    unknown_id: int | None = _of_source("unknown_id")
    end_id: int | None = _of_source("end_id")

    def __getattr__(self, name: str) -> Any:
        """What only some tokenizers have, such as a mask, the first has."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.source, name)

    def encode_many(self, texts: Sequence[str]) -> Ragged:
        return self.source.encode_many(texts)

    def decode(self, ids: Sequence[int]) -> str:
        return self.source.decode(ids)

    def vocabulary(self) -> Mapping[str, int]:
        return self.source.vocabulary()

    def files(self) -> Mapping[str, bytes]:
        """The files of both."""
        second = {PREFIX + name: content for name, content in self.target.files().items()}
        return {**self.source.files(), **second}


def target_of(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer of what is written: the second one, or the only one, which is for both."""
    return tokenizer.target if isinstance(tokenizer, TwoVocabularies) else tokenizer


def tokens_of(task: Task, tokenizer: Tokenizer) -> Tokenizer:
    """What a task's `tokens` are of: where there is a source besides, what is written."""
    return target_of(tokenizer) if "encoder_decoder" in task.needs else tokenizer


def files_apart(files: Mapping[str, bytes]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files of the first tokenizer, and those of the second by their own names."""
    first = {name: content for name, content in files.items() if not name.startswith(PREFIX)}
    second = {
        name.removeprefix(PREFIX): content
        for name, content in files.items()
        if name.startswith(PREFIX)
    }
    return first, second
