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

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    def send(self, job: Mapping[str, Any]) -> None:
        """Send a job; `receive` waits for what it gives. Jobs are done in their order."""
        if self._running is None:
            self._running = self._start()
            self._write({"path": [path or str(Path.cwd()) for path in sys.path]})
        self._write(job)

    def receive(self) -> dict[str, Any]:
        """The next reply; `error` stands in it where the job failed or the process is gone."""
        if self._running is None:
            return {"error": "its process has ended."}
        assert self._running.stdout is not None
        line = self._running.stdout.readline()
        if line:
            return json.loads(line)
        code = self._running.wait()
        self.stop()
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-TAIL:]
        return {"error": f"its process ended with code {code}. {' '.join(tail.split())}"}

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
    _sent: deque[str] = field(factory=deque, init=False)

    def ask(self, job: Mapping[str, Any]) -> None:
        """Have a job done, unless it was before; `reply` gives what came of it."""
        if _key(job) not in self._known and _key(job) not in self._sent:
            self.process.send({**job, "backend": self.backend, "root": str(self.folder)})
            self._sent.append(_key(job))

    def reply(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """What came of a job that was asked for; waits for it."""
        while _key(job) not in self._known:
            self._known[self._sent.popleft()] = self.process.receive()
        return self._known[_key(job)]


def _key(job: Mapping[str, Any]) -> str:
    return json.dumps(job, sort_keys=True)
