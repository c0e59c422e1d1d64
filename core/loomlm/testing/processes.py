"""The other end of a worker's process: starts it, sends jobs, takes and remembers replies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import Factory, define, field

TAIL = 500
"""Characters of a log that an error quotes."""


@define
class Process:
    """A process of `loomlm.testing.worker`, started with its first job.

    folder: where its cache is, and its log: what it writes to standard error.
    """

    folder: Path
    _running: subprocess.Popen[str] | None = field(default=None, init=False)
    _count: int = field(default=0, init=False)
    _waiting: deque[int] = field(factory=deque, init=False)
    _replies: dict[int, dict[str, Any]] = field(factory=dict, init=False)

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    def send(self, job: Mapping[str, Any]) -> int:
        """Send a job; its number, by which `receive` gives what came of it."""
        if self._running is None:
            self._running = self._start()
            self._write({"path": [path or str(Path.cwd()) for path in sys.path]})
        self._write(job)
        self._count += 1
        self._waiting.append(self._count)
        return self._count

    def receive(self, number: int) -> dict[str, Any]:
        """The reply to a job, once; waits for it.

        `error` stands in it where the job failed, or where the process is gone.
        """
        while number not in self._replies:
            self._read()
        return self._replies.pop(number)

    def _read(self) -> None:
        """Take the next reply; jobs are done in their order."""
        assert self._running is not None and self._running.stdout is not None
        line = self._running.stdout.readline()
        if line:
            self._replies[self._waiting.popleft()] = json.loads(line)
            return
        code = self._running.wait()
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-TAIL:]
        error = f"its process ended with code {code}. {' '.join(tail.split())}"
        self._replies.update({number: {"error": error} for number in self._waiting})
        self._waiting.clear()
        self.stop()

    def stop(self) -> None:
        """End the process; it has nothing to finish."""
        if self._running is None:
            return
        running, self._running = self._running, None
        running.kill()
        running.wait()
        for stream in (running.stdin, running.stdout):
            assert stream is not None
            with suppress(BrokenPipeError):  # What was still to be sent is for nobody.
                stream.close()

    def _start(self) -> subprocess.Popen[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "loomlm.testing.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                env={**os.environ, "LOOMLM_CACHE": str(self.folder / "cache")},
            )

    def _write(self, request: Mapping[str, Any]) -> None:
        assert self._running is not None and self._running.stdin is not None
        # `receive` finds that the process is gone, and says why.
        with suppress(BrokenPipeError):
            self._running.stdin.write(json.dumps(request) + "\n")
            self._running.stdin.flush()


@define
class Worker:
    """A backend's jobs, each done once. folder: where models and runs go.

    process: its own by default. Backends of one framework may share one.
    """

    backend: str
    folder: Path
    process: Process = field(
        default=Factory(lambda worker: Process(worker.folder), takes_self=True)
    )
    _known: dict[str, dict[str, Any]] = field(factory=dict, init=False)
    _sent: dict[str, int] = field(factory=dict, init=False)

    def ask(self, job: Mapping[str, Any]) -> None:
        """Have a job done, unless it was before; `reply` gives what came of it."""
        key = _key(job)
        if key not in self._known and key not in self._sent:
            whose = {"backend": self.backend, "root": str(self.folder)}
            self._sent[key] = self.process.send({**job, **whose})

    def reply(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """What came of a job that was asked for; waits for it."""
        key = _key(job)
        if key in self._sent:
            self._known[key] = self.process.receive(self._sent.pop(key))
        return self._known[key]


def _key(job: Mapping[str, Any]) -> str:
    return json.dumps(job, sort_keys=True)
