"""The other end of a worker: starts the process, sends jobs, takes replies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, field

LONGEST_TAIL = 500
"""Characters of a log that an error quotes."""


@define
class Worker:
    """A process for one backend, started with its first job.

    folder: where its log and its cache are.
    """

    backend: str
    folder: Path
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """What the process wrote to standard error."""
        return self.folder / f"{self.backend}.log"

    def ask(self, job: Mapping[str, Any]) -> None:
        """Send a job; `reply` waits for what it gives."""
        if self._process is None:
            self._process = self._start()
            self._send({"backend": self.backend, "path": [p or str(Path.cwd()) for p in sys.path]})
        self._send(job)

    def reply(self) -> dict[str, Any]:
        """The reply to the job that was sent; `error` stands in it where the process is gone."""
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        code = self._process.wait()
        self._process = None
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-LONGEST_TAIL:]
        return {"error": f"its process ended with code {code}: {' '.join(tail.split())}"}

    def stop(self) -> None:
        """End the process; it has nothing to finish."""
        if self._process is not None:
            assert self._process.stdin is not None and self._process.stdout is not None
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "loomlm.testing.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                env={**os.environ, "LOOMLM_CACHE": str(self.folder / self.backend / "cache")},
            )

    def _send(self, request: Mapping[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # `reply` finds that the process is gone, and says why.
