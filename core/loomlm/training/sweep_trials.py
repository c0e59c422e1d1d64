"""One trial of a search: a process that runs `loomlm run`, and what it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import IO, Any

from attrs import define, field, frozen

from loomlm.storage.foreign import read_json
from loomlm.training.folder import EVALUATION
from loomlm.training.log import METRICS
from loomlm.training.processes import LAUNCHER


@frozen
class Command:
    """What each trial is started with, besides its own settings. folder: that of the search."""

    path: str
    assignments: tuple[str, ...]
    backend: str | None
    plugins: tuple[str, ...]
    block: tuple[str, ...]
    folder: Path

    def words(self, name: str, assignments: Sequence[str]) -> list[str]:
        """The command line of a trial, which goes on where it was stopped before."""
        given = [*self.assignments, *assignments, f"name={name}"]
        return [
            *(sys.executable, "-m", "loomlm", "run", self.path, "--resume=auto", "--no-test"),
            *("--runs", str(self.folder)),
            *(word for one in given for word in ("--set", one)),
            *(("--backend", self.backend) if self.backend else ()),
            *(word for one in self.plugins for word in ("-p", one)),
            *(word for one in self.block for word in ("-p", f"no:{one}")),
        ]


@define
class Running:
    """A trial that runs. out: what it says. pruned: whether it was told to end for its scores."""

    trial: Any
    name: str
    folder: Path
    process: subprocess.Popen[bytes]
    out: IO[bytes]
    pruned: bool = False
    _seen: int = field(default=0, init=False)

    @classmethod
    def start(cls, trial: Any, name: str, command: Command, assignments: Sequence[str]) -> Running:
        """Start a process, which a terminal's Ctrl-C does not reach: the search passes it on."""
        out = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        process = subprocess.Popen(
            command.words(name, assignments),
            env={**os.environ, LAUNCHER: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            process_group=0,
        )
        return cls(trial, name, command.folder / name, process, out)

    def score(self, stage: str, metric: str) -> float | None:
        """What the run came to on validation; None where it is no finite number."""
        scores = read_json(self.folder / EVALUATION).get(stage, {}).get("validation", {})
        return _finite(scores.get(metric))

    def new_scores(self, stage: str, metric: str) -> Iterator[tuple[int, float]]:
        """The validation scores since the last call, each with its number, from 1 on."""
        path = self.folder / stage / METRICS
        if not path.is_file():
            return
        lines = path.read_bytes().split(b"\n")[:-1]  # The last one may be half written.
        found = [one for one in map(json.loads, lines) if one.get("split") == "validation"]
        for number, one in enumerate(found[self._seen :], self._seen + 1):
            self._seen = number
            score = _finite(one.get(metric))
            if score is not None:
                yield number, score

    def said(self) -> str:
        """Why it failed, in its own words."""
        self.out.seek(0)
        text = self.out.read().decode("utf-8", "replace")
        start = text.rfind("Error: ")
        if start >= 0:
            return " ".join(text[start + len("Error: ") :].split())
        code = self.process.returncode
        how = f"it was killed by signal {-code}" if code < 0 else f"exit code {code}"
        return f"{how}: {(text.strip().splitlines() or ['it said nothing'])[-1]}"

    def close(self) -> None:
        """Forget what it said."""
        self.out.close()


def _finite(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and isfinite(value) else None
