"""What the tests of faults share. `--faults=long` runs them at their whole length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from loomlm.storage.disk import using

from .disks import Watched
from .harness import Server
from .stored import Job


@pytest.fixture
def times(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """How often something is done: as often as promised with `--faults=long`, else a twentieth."""
    long = request.config.getoption("--faults") == "long"
    return lambda promised: promised if long else max(1, promised // 20)


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether the tests of faults are run at their whole length."""
    return request.config.getoption("--faults") == "long"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """A server for each backend, started when it is first asked for."""
    made: dict[str, Server] = {}

    def server(backend: str) -> Server:
        if backend not in made:
            made[backend] = Server(backend, tmp_path_factory.mktemp(f"jobs-{backend}"))
        return made[backend]

    yield server
    for one in made.values():
        one.stop()


@pytest.fixture
def server(servers: Callable[[str], Server], backend: str) -> Server:
    """Forks runs with the test's backend."""
    return servers(backend)


@pytest.fixture
def fresh(job: Job, tmp_path: Path) -> Callable[[], Path]:
    """Makes a folder with what stands there before the job, again and again."""
    numbers = count()

    def make() -> Path:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        with using(Watched()):
            job.prepare(folder)
        return folder

    return make
