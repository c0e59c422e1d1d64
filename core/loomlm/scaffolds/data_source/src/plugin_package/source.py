"""A data source: the Markdown documents of a folder and of its subfolders."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import define
from loomlm.plugin import DataError, Example, did_you_mean

from plugin_package import MarkdownConfig

FRONT_MATTER = re.compile(
    r"\A---[ \t]*\n.*?^---[ \t]*(\n|\Z)", re.DOTALL | re.MULTILINE
)


@define
class Markdown:
    """A document is an example. See `loomlm.plugin.DataSource`."""

    config: MarkdownConfig
    empty: int = 0

    def fingerprint(self) -> str:
        """A digest of the documents' names and contents.

        What was made from the examples is made again when it changes, and only then: so
        it takes in all that an example depends on, and no time and no machine's path.
        """
        digest = hashlib.sha256()
        for split in self.splits():
            folder = self._folder(split)
            for file in self._files(split):
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                name = file.relative_to(folder).as_posix()
                digest.update(f"{split}\n{name}\n{content}\n".encode())
        return digest.hexdigest()

    def splits(self) -> tuple[str, ...]:
        """Those that have a folder; Loomlm cuts the others off the training split."""
        names = ("train", "validation", "test")
        return tuple(name for name in names if getattr(self.config, name) is not None)

    def examples(self, split: str) -> Iterator[Example]:
        """The documents of a split by their names; one without text is left out.

        Raises DataError, naming the file, where something cannot be read.
        """
        self.empty = 0
        for file in self._files(split):
            text = self._text(file)
            if not text.strip():
                self.empty += 1
                continue
            label = self._label(file, split) if self.config.labels else None
            yield Example(text, label, place=str(file))

    def notes(self) -> tuple[str, ...]:
        """What the user may want to know of the split that was read last."""
        if not self.empty:
            return ()
        return (f"{self.empty:,} documents have no text and are left out.",)

    @staticmethod
    def with_file(options: Mapping[str, Any], file: str) -> dict[str, Any]:
        """Keys that read another folder as the test split: `loomlm evaluate --data`."""
        return {**options, "test": file}

    def _folder(self, split: str) -> Path:
        if split not in self.splits():
            known = ", ".join(self.splits())
            raise DataError(f"data.{split} names no folder, so there is only {known}.")
        folder = getattr(self.config, split)
        if folder.is_dir():
            return folder
        beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
        near = did_you_mean(
            folder.name, [path.name for path in beside if path.is_dir()]
        )
        raise DataError(
            f"There is no folder {folder}. Check data.{split}. {near}".rstrip()
        )

    def _files(self, split: str) -> list[Path]:
        """The documents, in an order that is the same on every machine."""
        folder = self._folder(split)
        try:
            found = [
                path for path in folder.glob(self.config.pattern) if path.is_file()
            ]
        except (ValueError, NotImplementedError) as error:
            raise DataError(
                f"data.pattern {self.config.pattern!r} is none: {error}. Try '**/*.md'."
            ) from None
        if not found:
            raise DataError(
                f"No file in {folder} fits data.pattern {self.config.pattern!r}."
            )
        return sorted(found, key=lambda path: path.relative_to(folder).parts)

    def _text(self, file: Path) -> str:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{file} is not UTF-8, from its byte {error.start:,} on. Convert it, "
                "or leave it out by data.pattern."
            ) from None
        return text if self.config.front_matter else FRONT_MATTER.sub("", text, count=1)

    def _label(self, file: Path, split: str) -> str:
        folder, *inner = file.relative_to(self._folder(split)).parts
        if not inner:
            raise DataError(
                f"{file} is in no subfolder that could be its label. Move it into one, "
                "or leave out data.labels."
            )
        return folder
