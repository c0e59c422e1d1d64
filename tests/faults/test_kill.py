"""`kill -9` at any moment: the run goes on to the bytes of one that was never killed.

Moments are drawn from a seed that is printed; `LOOMLM_FAULTS_SEED` repeats them.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable
from itertools import cycle
from random import Random

import pytest
from attrs import frozen

from ..conftest import sentences, write_csv
from .harness import Server
from .kills import KINDS, Aim, Life, Moment, check_same, config_of, earlier, left_overs, moments

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")


@frozen
class Unbroken:
    """A run that was never killed. seconds: what it took."""

    life: Life
    seconds: float

    def again(self, name: str, server: Server) -> Life:
        """The same config, in a run and a cache of its own."""
        folder = self.life.config.parent
        return Life(server, self.life.config, folder / f"runs-{name}", folder / f"cache-{name}")


Make = Callable[[str], Unbroken]


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, servers: Callable[[str], Server]
) -> Callable[[str, str], Unbroken]:
    """The unbroken run of a config on a backend, made once."""
    made: dict[tuple[str, str], Unbroken] = {}

    def make(backend: str, kind: str) -> Unbroken:
        if (backend, kind) not in made:
            folder = tmp_path_factory.mktemp(f"{backend}-{kind}")
            write_csv(folder / "train.csv", sentences(300, 1))
            write_csv(folder / "test.csv", sentences(60, 2))
            words = [text for text, _ in sentences(300, 1)]
            (folder / "corpus.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
            config = folder / "my.toml"
            config.write_text(config_of(kind, backend), encoding="utf-8")
            life = Life(servers(backend), config, folder / "runs", folder / "cache")
            before = time.monotonic()
            life.ended()
            made[backend, kind] = Unbroken(life, time.monotonic() - before)
        return made[backend, kind]

    return make


@pytest.fixture
def unbroken(runs: Callable[[str, str], Unbroken], backend: str) -> Make:
    """The unbroken run of a kind, on the test's backend."""
    return lambda kind: runs(backend, kind)


@pytest.fixture
def random() -> Random:
    """Draws the moments; its seed is printed."""
    seed = os.environ.get("LOOMLM_FAULTS_SEED") or str(secrets.randbits(32))
    print(f"LOOMLM_FAULTS_SEED={seed}")
    return Random(seed)


def check_ended(life: Life, unbroken: Unbroken) -> None:
    """It came to the same bytes, and nothing half written is left."""
    check_same(life.folder, unbroken.life.folder)
    assert not list(left_overs(life.runs)) + list(left_overs(life.cache))
    shutil.rmtree(life.runs)
    shutil.rmtree(life.cache)


def test_a_run_that_is_killed_anywhere_goes_on_to_the_same_bytes(server, unbroken, times, random):
    wanted = times(100) // 2  # of each backend
    left, kinds, struck, number = moments(random, wanted), cycle(KINDS), [], 0
    while left:
        number += 1
        assert number < 4 * wanted, "kills miss their runs"
        whole = unbroken(next(kinds))
        life = whole.again(f"any-{number}", server)
        for turn in range(min(random.randint(2, 5), len(left))):
            # Killed again while it goes on: it has less left to do then.
            hit = life.killed(left[-1], whole.seconds / (1 + turn))
            if hit is None:
                left[-1] = earlier(left[-1])
                break
            struck.append(hit)
            left.pop()
        life.ended()
        check_ended(life, whole)

    aimed = [hit for hit in struck if isinstance(hit.at, Aim)]
    print(
        f"{len(struck)} kills in {number} runs, {len(aimed)} aimed at saves; "
        f"{sum(hit.half_written for hit in struck)} left something half written"
    )


@pytest.mark.one_backend
@pytest.mark.parametrize("what", ["cache", "start"])
def test_a_run_that_is_killed_before_it_trains_begins_again(server, unbroken, times, random, what):
    whole = unbroken("classifies")
    for number in range(times(10)):
        life = whole.again(f"{what}-{number}", server)
        # The first, and one of the later ones.
        struck = [
            life.killed(Aim(what, count, random.uniform(0, 0.005)), whole.seconds)
            for count in (1, random.randint(1, 3))
        ]
        assert struck[0] is not None
        life.ended()
        check_ended(life, whole)


@pytest.mark.one_backend
def test_a_run_that_is_killed_while_it_is_overwritten_is_one_that_goes_on(
    server, unbroken, times, random
):
    whole = unbroken("classifies")
    for number in range(times(10)):
        life = whole.again(f"overwrite-{number}", server)
        shutil.copytree(whole.life.folder, life.folder)
        shutil.copytree(whole.life.cache, life.cache)
        hit = life.killed(Aim("overwrite", 1, random.uniform(0, 0.004)), whole.seconds)
        assert hit is not None
        life.ended()
        check_ended(life, whole)


@pytest.mark.one_backend
def test_a_run_that_is_killed_while_it_exports_does_so_again(server, unbroken, times, random):
    whole = unbroken("classifies")
    for number in range(times(10)):
        life = whole.again(f"export-{number}", server)
        # One that has trained, and has no model yet.
        shutil.copytree(whole.life.folder, life.folder)
        shutil.copytree(whole.life.cache, life.cache)
        shutil.rmtree(life.folder / "model")
        (life.folder / "evaluation.json").unlink()
        hit = life.killed(Aim("export", 1, random.uniform(0, 0.01)), whole.seconds)
        assert hit is not None
        life.ended()
        check_ended(life, whole)


@pytest.mark.one_backend
def test_a_kill_before_there_is_anything_blocks_nothing(server, unbroken):
    whole = unbroken("classifies")
    life = whole.again("at-once", server)
    assert life.killed(Moment(0.0), whole.seconds) is not None
    life.ended()
    check_ended(life, whole)
