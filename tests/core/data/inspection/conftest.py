"""Data without a defect, and commands on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import define, field

from loomlm.contracts import Example
from loomlm.data.examples import Split, keep_examples, open_examples
from loomlm.storage.commit import staging

SYLLABLES = ("ba", "ke", "lo", "mi", "nu", "ra", "se", "ti", "vo", "za", "du", "fe", "go", "hi")
LEXICON = [a + b + c for a in SYLLABLES for b in SYLLABLES[:6] for c in ("", "n", "s", "r", "l")]
SIZES = {"train": 400, "validation": 120, "test": 120}
LABELS = ("red", "green", "blue")

HEAD = """
name = "checked"
backend = "{backend}"
tokenizer = {tokenizer}
backbone = {{ type = "mlp", width = 4{window} }}
{first}
[[stages]]
name = "only"
task = {task}
trainer = {trainer}

[stages.data]
{data}
"""
"""A config; the words between braces are keys of `Data.keys`."""

CLASSIFY = {
    "tokenizer": '{ type = "word" }',
    "window": "",
    "first": "",
    "task": '{ type = "classification" }',
    "trainer": "{ steps = 1 }",
}
READ = {
    **CLASSIFY,
    "window": ", window = 4",
    "task": '{ type = "causal_lm", context = 16 }',
    "trainer": "{ steps = 1, batch_size = 8 }",
}


def clean_rows(count: int, seed: int) -> list[list[Any]]:
    """Texts of words that no language has, and one of three labels."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        words = generator.choice(LEXICON, generator.integers(15, 40))
        rows.append([" ".join(words), LABELS[number % len(LABELS)]])
    return rows


@define
class Data:
    """Files of a stage and keys of its config; each starts without a defect.

    splits: rows of a text and a label. Where `files` names a split, that is what is read.
    """

    splits: dict[str, list[list[Any]]]
    keys: dict[str, str]
    data: list[str] = field(factory=list)
    files: dict[str, str] = field(factory=dict)

    @property
    def train(self) -> list[list[Any]]:
        return self.splits["train"]

    @property
    def test(self) -> list[list[Any]]:
        return self.splits["test"]

    def write(self) -> str:
        """Write the files and the config, and give its name."""
        lines = list(self.data)
        for split, rows in self.splits.items():
            name = self.files.get(split, f"{split}.jsonl")
            if split not in self.files:
                with Path(name).open("w", encoding="utf-8") as file:
                    for text, label in rows:
                        said = {"text": text} if label is None else {"text": text, "label": label}
                        file.write(json.dumps(said) + "\n")
            lines.append(f"{split} = {json.dumps(name)}")
        if any(label for rows in self.splits.values() for _, label in rows):
            lines.append('label = "label"')
        text = HEAD.format(data="\n".join(lines), **self.keys)
        Path("my.toml").write_text(text, encoding="utf-8")
        return "my.toml"


@pytest.fixture
def clean(backend: str) -> Data:
    """A classification without a defect."""
    splits = {split: clean_rows(size, at) for at, (split, size) in enumerate(SIZES.items())}
    return Data(splits, {**CLASSIFY, "backend": backend})


@pytest.fixture
def read(backend: str) -> Data:
    """A language model's text without a defect."""
    splits = {
        split: [[text, None] for text, _ in clean_rows(size, at)]
        for at, (split, size) in enumerate(SIZES.items())
    }
    return Data(splits, {**READ, "backend": backend})


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Callable[..., Split]]:
    """A split of some texts or examples, on disk."""
    count = 0

    def keep(texts: list[Any], name: str = "a.txt") -> Split:
        nonlocal count
        count += 1
        folder = tmp_path / f"kept{count}"
        examples = [
            one if isinstance(one, Example) else Example(one, place=f"{name}:{row}")
            for row, one in enumerate(texts, 1)
        ]
        with staging(folder) as stage:
            keep_examples([examples])(stage)
        return open_examples(folder)

    yield keep
