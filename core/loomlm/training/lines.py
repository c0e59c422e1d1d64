"""A file of JSON lines that a run adds to, and is cut back where the run goes on from earlier."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import define, field

from loomlm.storage.commit import replacing
from loomlm.storage.disk import WriteError, cannot_write, disk


@define
class Lines:
    """Lines with a `step` each. What cannot be written, since a disk is full, is kept and written
    with what comes next: lines are not worth a run, and a full disk may have space again.
    """

    path: Path
    say: Callable[[str], None]
    _unwritten: list[str] = field(factory=list, init=False)
    _problem: OSError | None = field(default=None, init=False)
    _whole: int | None = field(default=None, init=False)

    def write(self, *lines: dict[str, Any]) -> None:
        """Append lines, those first that could not be written before."""
        self._unwritten += [json.dumps(line) + "\n" for line in lines]
        if not self._unwritten:
            return
        try:
            self._append("".join(self._unwritten).encode())
        except OSError as problem:
            if self._problem is None:
                self.say(f"{self._error(problem)} Until then training goes on, and keeps its lines")
            self._problem = problem
        else:
            self._unwritten, self._problem = [], None

    def sync(self) -> None:
        """See to it that the lines last as long as a checkpoint that is written after them."""
        # Where that fails, the checkpoint fails too, or its disk is another one.
        with suppress(OSError):
            if self.path.exists():
                with disk().append(self.path) as file:
                    file.sync()
                disk().sync_folder(self.path.parent)

    def end(self) -> None:
        """Raise WriteError where there are lines that still cannot be written."""
        self.write()
        self.sync()
        if self._problem is not None:
            raise self._error(self._problem)

    def cut_back(self, step: int, unscored: bool = False) -> None:
        """Leave the lines up to a step, so that what goes on from there has each line once.

        unscored: whether the step's evaluation is still to come.
        """
        kept = [line for line in self._unwritten if _is_until(line.encode(), step, unscored)]
        self._unwritten = kept
        if not self.path.exists():
            return
        lines = self.path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if _is_until(line, step, unscored)]
        if len(kept) < len(lines):
            with replacing(self.path, sum(map(len, kept))) as file:
                file.writelines(line.decode() for line in kept)
        self._whole = None

    def _append(self, data: bytes) -> None:
        if self._whole is not None:
            disk().cut(self.path, self._whole)  # Half a line, of the last time.
        self._whole = self.path.stat().st_size if self.path.exists() else 0
        with disk().append(self.path) as file:
            file.write(data)
        self._whole = None

    def _error(self, problem: OSError) -> WriteError:
        size = sum(map(len, self._unwritten))
        return WriteError(str(cannot_write(self.path, problem, size)))


def _is_until(line: bytes, step: int, unscored: bool) -> bool:
    """Whether a line is whole, and of no later step."""
    try:
        said = json.loads(line)
        again = unscored and said["step"] == step and said["split"] != "train"
        return line.endswith(b"\n") and said["step"] <= step and not again
    except (ValueError, KeyError, TypeError):
        return False  # The line that a killed process was writing.
