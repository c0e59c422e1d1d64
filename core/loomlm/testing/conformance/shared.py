"""What the checks of a session share, since it takes long to make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from attrs import define, field

from loomlm.testing.processes import Process

KEPT = 2
"""A backbone's models, and those with dropout."""


@define
class Shared:
    """Processes of backends, and the last things that were made.

    folder: gives a folder of a name, for a process's files.
    """

    folder: Callable[[str], Path] = field(default=lambda name: Path(mkdtemp(prefix=name)))
    _processes: dict[str, Process] = field(factory=dict, init=False)
    _made: dict[tuple[Any, ...], Any] = field(factory=dict, init=False)

    def process(self, backend: str) -> Process:
        """The process of a backend, which starts with its first job."""
        if backend not in self._processes:
            self._processes[backend] = Process(self.folder(f"loomlm-{backend}"))
        return self._processes[backend]

    def made(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What `make` gives, which is kept until as many others as KEPT are made."""
        if key not in self._made:
            while len(self._made) >= KEPT:
                del self._made[next(iter(self._made))]
            self._made[key] = make()
        return self._made[key]

    def stop(self) -> None:
        """End the processes."""
        for process in self._processes.values():
            process.stop()
