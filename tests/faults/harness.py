"""Runs of the command line in processes of their own, to be killed, signalled and looked at.

A server (server.py) imports the framework once and forks for each run, so that a run costs what it
does and not seconds of imports.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import define, field, frozen

SERVER = Path(__file__).with_name("server.py")
POLL = 0.002
PATIENCE = 300.0
"""Seconds after which a run that does not end is called a hang."""


@frozen
class Job:
    """A run of the command line, going on or ended. folder: where its output goes."""

    folder: Path
    pid: int

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text(encoding="utf-8", errors="replace")

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text(encoding="utf-8", errors="replace")

    @property
    def ended(self) -> bool:
        return (self.folder / "code").exists()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if not self.ended:
            os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code, negative for a signal that killed it; fails where it hangs."""
        if not until(lambda: self.ended, seconds):
            os.kill(self.pid, signal.SIGABRT)  # It says in which lines it is.
            if not until(lambda: self.ended, 10):
                os.kill(self.pid, signal.SIGKILL)
            raise AssertionError(f"hangs after {seconds} seconds:\n{self.out}\n{self.err}")
        return int((self.folder / "code").read_text())


@define
class Server:
    """Forks runs with one framework: "torch", "tensorflow", or "none".

    folder: where the jobs' folders go. env: for each run, besides the environment of the tests.
    """

    backend: str
    folder: Path
    _count: int = 0
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    def start(
        self,
        words: Sequence[object],
        cwd: Path,
        env: Mapping[str, str] | None = None,
        before: str = "",
    ) -> Job:
        """Start `loomlm WORDS`. before: Python that the process runs first."""
        process = self._running()
        self._count += 1
        folder = self.folder / f"job{self._count}"
        folder.mkdir(parents=True)
        for name in ("out", "err"):
            (folder / name).touch()  # It may be killed before it writes there.
        job = {
            "words": [str(word) for word in words],
            "cwd": str(cwd),
            "env": {**os.environ, **(env or {})},
            "folder": str(folder),
            "before": before,
        }
        assert process.stdin is not None
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        assert until((folder / "pid").exists, PATIENCE), "the server of the tests is gone"
        return Job(folder, int((folder / "pid").read_text()))

    def stop(self) -> None:
        """End the server; runs that go on are left alone."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._process = subprocess.Popen(
                [sys.executable, str(SERVER), self.backend],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                start_new_session=True,
            )
            assert self._process.stdout is not None
            assert self._process.stdout.readline() == "ready\n", "the server cannot start"
        return self._process


def until(true: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is so; whether it came to be."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(POLL)
    return True
