"""What the checks learn from: a plugin with a data source and a tokenizer, loaded for them alone.

They are the kit's own, so that a check depends on no other plugin than those that it is about.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from loomlm.components import Component, NoConfig
from loomlm.config.settings import key
from loomlm.contracts import Example, Ragged
from loomlm.errors import UsageError
from loomlm.hookspecs import hookimpl

TRAIN, VALIDATION = 1500, 100
"""Lines of each split."""

VOWELS = ("e", "o")
"""A line's labels are those of them that stand in it three times or more; its number is how often
the first does."""


@frozen
class SampleConfig:
    """The lines of a text, labelled by a rule."""

    file: Path = key("the text, in UTF-8")
    shortest: int = key("shorter lines are not trained on", 1, minimum=1)
    labels: Literal["one", "several", "number", "tags", "answers"] = key(
        "what each is labelled with; tags: one a word; answers: pieces of the line", "one"
    )
    reads: tuple[str, ...] = key("names of further texts, for each of which the next line is", ())


@hookimpl
def loomlm_data_sources() -> list[Component]:
    return [
        Component(
            kind="data_source",
            name="parity_sample",
            summary="lines of a text, labelled by a rule, for the checks of parity",
            target="loomlm.testing.sample:Sample",
            config=SampleConfig,
        )
    ]


@hookimpl
def loomlm_tokenizers() -> list[Component]:
    return [
        Component(
            kind="tokenizer",
            name="parity_letters",
            summary="characters, for the checks of parity",
            target="loomlm.testing.sample:LettersFactory",
        )
    ]


@frozen
class Sample:
    """See `loomlm.contracts.DataSource`."""

    config: SampleConfig

    def fingerprint(self) -> str:
        config = self.config
        rules = f"{config.shortest} {config.labels} {' '.join(config.reads)}\n".encode()
        return hashlib.sha256(rules + config.file.read_bytes()).hexdigest()

    def splits(self) -> tuple[str, ...]:
        return ("train", "validation")

    def examples(self, split: str) -> Iterator[Example]:
        lines = [line for line in self._text().splitlines() if line.strip()]
        validation, rest = lines[:VALIDATION], lines[VALIDATION:]
        train = [line for line in rest if len(line) >= self.config.shortest][:TRAIN]
        if len(train) < TRAIN:
            raise UsageError(
                f"{self.config.file} has too few lines for the checks: they need {VALIDATION}, and "
                f"{TRAIN:,} of {self.config.shortest} characters or more."
            )
        lines = train if split == "train" else validation
        for line, following in zip(lines, [*lines[1:], lines[0]], strict=True):
            extra = dict.fromkeys(self.config.reads, following)
            text = " ".join(line.split()) if self.config.labels == "tags" else line
            meta = {"answers": _answers(text)} if self.config.labels == "answers" else {}
            yield Example(text, self._label(text), extra=extra, meta=meta)

    def _label(self, line: str) -> str | tuple[str, ...] | None:
        if self.config.labels == "answers":
            return None
        if self.config.labels == "tags":
            return tuple(_tag(word) for word in line.split(" "))
        if self.config.labels == "number":
            return str(line.count(VOWELS[0]))
        found = tuple(vowel for vowel in VOWELS if line.count(vowel) >= 3)
        return found if self.config.labels == "several" else "".join(found) or "none"

    def notes(self) -> tuple[str, ...]:
        return ()

    def _text(self) -> str:
        return self.config.file.read_text(encoding="utf-8")


def _tag(word: str) -> str:
    """The tag of a word, by the vowels that stand in it."""
    found = [vowel for vowel in VOWELS if vowel in word]
    return f"B-{found[0]}" if found else "O"


def _answers(line: str) -> str:
    """The longest word of a line, as a task that looks for answers reads it."""
    word = max(line.split(), key=len)
    return json.dumps([{"text": word, "start": line.index(word)}])


@frozen
class Letters:
    """See `loomlm.contracts.Tokenizer`: a token for each character; 0 to 2 stand for no text.

    masked: whether there is a mask, behind the letters.
    """

    letters: str
    masked: bool = False

    pad_id = 0
    unknown_id = 1
    end_id = 2

    @property
    def vocab_size(self) -> int:
        return 3 + len(self.letters) + self.masked

    @property
    def mask_id(self) -> int | None:
        return 3 + len(self.letters) if self.masked else None

    def continues(self) -> Any:
        import numpy as np

        inside = [letter.isalnum() for letter in self.letters]
        return np.array([False] * 3 + inside + [False] * self.masked)

    def encode_many(self, texts: Sequence[str]) -> Ragged:
        import numpy as np

        ids = {letter: 3 + index for index, letter in enumerate(self.letters)}
        values = [ids.get(letter, self.unknown_id) for text in texts for letter in text]
        offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
        return Ragged(np.array(values, np.int32), offsets)

    def encode_spans(self, texts: Sequence[str]) -> tuple[Ragged, Any, Any]:
        import numpy as np

        letters = [(at, letter) for text in texts for at, letter in enumerate(text)]
        ends = np.array([at + 1 for at, _ in letters], np.int32)
        starts = np.array([at + letter.isspace() for at, letter in letters], np.int32)
        return self.encode_many(texts), starts, ends

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(
            self.letters[token - 3] for token in ids if 0 <= token - 3 < len(self.letters)
        )

    def vocabulary(self) -> Mapping[str, int]:
        special = {"<pad>": self.pad_id, "<unknown>": self.unknown_id, "<end>": self.end_id}
        if self.mask_id is not None:
            special["<mask>"] = self.mask_id
        return {**special, **{letter: 3 + index for index, letter in enumerate(self.letters)}}

    def files(self) -> Mapping[str, bytes]:
        said = {"letters": self.letters, "masked": self.masked}
        return {"letters.json": json.dumps(said).encode()}


class LettersFactory:
    """See `loomlm.contracts.TokenizerFactory`."""

    @staticmethod
    def train(config: NoConfig, texts: Iterable[str]) -> Letters:
        return Letters("".join(sorted({letter for text in texts for letter in text})))

    @staticmethod
    def train_masked(config: NoConfig, texts: Iterable[str]) -> Letters:
        return Letters(LettersFactory.train(config, texts).letters, masked=True)

    @staticmethod
    def load(config: Any, files: Mapping[str, bytes]) -> Letters:
        return Letters(**json.loads(files["letters.json"]))


def python_text() -> str:
    """A text that every Python brings: what `help()` says of the language."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))
