"""What was left out of the files that were read, counted, and said in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import define, field

from loomlm_sources.lines import BadLine

SHOWN = 20
"""Line numbers of a file that are kept."""

SAID = 10
"""Files that have a sentence of their own."""


@define
class _Of:
    """A file's: how many lines, the first of them, and why it ends before its end."""

    count: int = 0
    lines: list[int] = field(factory=list)
    lost: str = ""


@define
class Skipped:
    """The lines that were skipped, by file; and the files without an example."""

    _files: dict[Path, _Of] = field(factory=dict)
    _empty: dict[Path, None] = field(factory=dict)

    def add(self, path: Path, bad: BadLine) -> None:
        """One more."""
        of = self._files.setdefault(path, _Of())
        of.count += bad.lines
        if len(of.lines) < SHOWN:
            of.lines.append(bad.line)
        if bad.ends:
            of.lost = bad.reason

    def add_empty(self, path: Path) -> None:
        """A file that has no example, among others."""
        self._empty[path] = None

    def forget(self, paths: Iterable[Path]) -> None:
        """These are read anew."""
        for path in paths:
            self._files.pop(path, None)
            self._empty.pop(path, None)

    def counts(self) -> Mapping[str, tuple[int, tuple[int, ...]]]:
        """By file, how many lines were skipped, and the numbers of the first."""
        return {str(path): (of.count, tuple(of.lines)) for path, of in self._files.items()}

    def notes(self) -> tuple[str, ...]:
        """Sentences: one for each file, and what the others come to where there are many."""
        files = list(self._files.items())
        said = [f"{path}: {_lines(of.count)} skipped that cannot be read, {_where(of)}."
                for path, of in files[:SAID]]  # fmt: skip
        if rest := files[SAID:]:
            count = sum(of.count for _, of in rest)
            said.append(f"{len(rest):,} more files: {_lines(count)} skipped that cannot be read.")
        empty = list(self._empty)
        said += [f"{path} has no example." for path in empty[:SAID]]
        if len(empty) > SAID:
            said.append(f"{len(empty) - SAID:,} more files have no example.")
        return tuple(said)


def _lines(count: int) -> str:
    return f"{count:,} {'line' if count == 1 else 'lines'}"


def _where(of: _Of) -> str:
    first = f"the first is line {of.lines[0]}"
    return f"{first}; what is behind line {of.lines[-1]} is lost: {of.lost}" if of.lost else first
