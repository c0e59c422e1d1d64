"""The `python_docs` source: the documentation that the running Python brings, with no download."""

from __future__ import annotations

import hashlib
import json
import platform
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from itertools import groupby
from pathlib import Path

from attrs import define

from loomlm.plugin import Example
from loomlm_sources.areas import area_of
from loomlm_sources.config import SPLITS, PythonDocsConfig
from loomlm_sources.library import (
    TOPICS,
    Passage,
    docstrings,
    library_files,
    module_name,
    topics,
)
from loomlm_sources.shares import assigned, without_copies
from loomlm_sources.values import check_split

# Raised when another text or split comes from the same files.
FORMAT = 1
# Characters of a docstring that may tell its area; "Return the name." may not.
ENOUGH = 30
# A topic that has the docstrings of a file in it goes where the file goes.
TOPIC_FILES = {"debugger": "pdb.py"}


@define(slots=False)
class PythonDocs:
    """See `loomlm.plugin.DataSource`. The standard library's docstrings, and `help()`'s topics.

    Without a label, for pretraining: an example is a topic, or all docstrings of a file with blank
    lines between. Most docstrings are shorter than any context; together they are a text that
    stays with its subject, as a page of a manual does.

    With `label = "area"`: an example is a docstring of 30 characters or more, and its label the
    area of the library reference that the module stands in (`loomlm_sources.areas`). The text is
    the docstring alone, without the module's name.

    A file goes to one split as a whole, in each area about 70, 10 and 20 % of the docstrings to
    train, validation and test. A text that stands in several files appears once, and a near copy
    of a test or validation text is in no other split. Files without an area, and topics, are for
    training. The splits are the same with and without label, so a model that was pretrained on
    the train text has seen no test docstring.
    """

    config: PythonDocsConfig

    def splits(self) -> tuple[str, ...]:
        return SPLITS

    def fingerprint(self) -> str:
        """SHA-256 over Python's version, the config and the bytes of every file."""
        meaning = [FORMAT, platform.python_version(), self.config.label]
        digest = hashlib.sha256(json.dumps(meaning).encode())
        for name, path in self._files.items():
            digest.update(f"\n{name} {hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
        return digest.hexdigest()

    def examples(self, split: str) -> Iterator[Example]:
        """The split's examples, in the order of the files' names."""
        check_split(split, self.splits())
        passages = self._passages[split]
        if self.config.label == "area":
            return self._labelled(passages)
        return self._documents(passages)

    def notes(self) -> tuple[str, ...]:
        return ()

    def _documents(self, passages: list[Passage]) -> Iterator[Example]:
        for file, group in groupby(passages, key=lambda passage: passage.file):
            found = list(group)
            if file == TOPICS:
                yield from (Example(topic.text, place=topic.place) for topic in found)
            else:
                text = "\n\n".join(passage.text for passage in found)
                yield Example(text, place=found[0].place)

    def _labelled(self, passages: list[Passage]) -> Iterator[Example]:
        for passage in passages:
            area = self._areas.get(passage.file)
            if area is not None and len(passage.text) >= ENOUGH:
                yield Example(passage.text, area, place=passage.place)

    @cached_property
    def _files(self) -> dict[str, Path]:
        return library_files()

    @cached_property
    def _docstrings(self) -> dict[str, list[Passage]]:
        return {name: docstrings(name, path) for name, path in self._files.items()}

    @cached_property
    def _sizes(self) -> dict[str, dict[str, int]]:
        """How many docstrings may be labelled: by area, by file.

        An area needs a file for each split. On some systems Tk, for one, is installed apart.
        """
        sizes: dict[str, dict[str, int]] = defaultdict(dict)
        for file, passages in self._docstrings.items():
            area = area_of(module_name(file))
            count = sum(len(passage.text) >= ENOUGH for passage in passages)
            if area is not None and count:
                sizes[area][file] = count
        return {area: files for area, files in sizes.items() if len(files) >= len(SPLITS)}

    @cached_property
    def _areas(self) -> dict[str, str]:
        return {file: area for area, files in self._sizes.items() for file in files}

    @cached_property
    def _passages(self) -> dict[str, list[Passage]]:
        """All docstrings and topics by split, files in order, without copies."""
        splits: dict[str, str] = {}
        for files in self._sizes.values():
            splits |= assigned(files)
        found: dict[str, list[Passage]] = {split: [] for split in SPLITS}
        for file, passages in self._docstrings.items():
            found[splits.get(file, "train")] += passages
        for name, topic in topics(self._files[TOPICS]).items():
            found[splits.get(TOPIC_FILES.get(name, ""), "train")].append(topic)
        texts = {split: [one.text for one in passages] for split, passages in found.items()}
        kept = without_copies(texts)
        return {split: [found[split][at] for at in kept[split]] for split in SPLITS}
