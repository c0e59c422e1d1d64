"""Signals in every phase of a run, and the lock of its folder.

A run that was stopped goes on by the command that it printed, to the bytes of an unbroken one.
"""

from __future__ import annotations

import os
import random
import shlex
import shutil
import signal
import socket
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from attrs import frozen

from loomlm.storage.commit import LEFT_OVER

from .harness import PATIENCE, Job, Server, until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")

WATCHED = (Path(__file__).parent / "phases.py").read_text(encoding="utf-8")
ENGINES = {
    "torch": "loomlm_torch.engine:TorchEngine",
    "tensorflow": "loomlm_tensorflow.engine:TensorFlowEngine",
}
FIRST = next((name for name in ENGINES if find_spec(name)), "")
BOTH = (signal.SIGTERM, signal.SIGINT)
TROUBLE = ("Traceback", "Exception ignored", "Error:")
UNTRAINED = ("start", "read", "tokenizer", "encode")
PHASES = (
    *UNTRAINED,
    "build",
    "compile",
    "step",
    "evaluation",
    "save",
    "final-evaluation",
    "export",
)
LONGEST = 0.12
"""Seconds into a phase at which a signal comes at the latest."""


@pytest.fixture
def stopped_config(config_file: Callable[..., Path]) -> Path:
    """A config whose run saves, scores and watches its scores often."""
    path = config_file(
        steps="24",
        evaluate_every="6",
        checkpoint_every="4",
        keep_best='"accuracy"',
        early_stopping='{ patience = 9, metric = "accuracy" }',
        evaluation_batch_size="8",
    )
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace('label = "label" }', 'label = "label", split = { validation = 0.25 } }'),
        encoding="utf-8",
    )
    return path


@frozen
class Place:
    """Where one run goes: its own folders, and the environment that says so."""

    folder: Path
    backend: str

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "small"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def env(self) -> dict[str, str]:
        (self.folder / "marks").mkdir(parents=True, exist_ok=True)
        return {
            "LOOMLM_RUNS": str(self.folder / "runs"),
            "LOOMLM_CACHE": str(self.cache),
            "MARKS": str(self.folder / "marks"),
            "ENGINE": ENGINES[self.backend],
        }

    def kept(self) -> dict[str, int]:
        """The folders of the cache that are complete, by the number of their inode."""
        return {
            path.parent.relative_to(self.cache).as_posix(): path.parent.stat().st_ino
            for path in self.cache.glob("[!.]*/[!.]*/manifest.json")
        }

    def results(self) -> dict[str, bytes]:
        """What an unbroken run and one that went on must have in common, byte by byte."""
        files = [self.run / "evaluation.json", self.run / "finetune" / "metrics.jsonl"]
        files += [path for path in (self.run / "model").rglob("*") if path.is_file()]
        return {path.relative_to(self.run).as_posix(): path.read_bytes() for path in files}

    def left_over(self) -> list[Path]:
        return [p for p in self.folder.rglob(".*") if LEFT_OVER.fullmatch(p.name)]


def stopped(
    server: Server,
    config: Path,
    place: Place,
    phase: str,
    number: signal.Signals,
    late: float,
    ends: bool = True,
) -> Job:
    """A run that got a signal some seconds after a phase began, and has ended if that is asked."""
    job = server.start(["run", config], config.parent, place.env, WATCHED)
    mark = place.folder / "marks" / phase
    assert until(lambda: mark.exists() or job.ended, PATIENCE)
    assert mark.exists(), job.err
    until(lambda: job.ended, late)
    job.send(number)
    if ends:
        job.wait()
    return job


def go_on(server: Server, config: Path, place: Place, job: Job) -> None:
    """Carry out the command that a stopped run has printed."""
    said, _, command = job.err.partition(" Go on with:\n  ")
    assert "Stopped" in said, job.err
    words = shlex.split(command)
    assert words[0] == "loomlm"
    resumed = server.start(words[1:], config.parent, place.env)
    assert resumed.wait() == 0, resumed.err


@pytest.fixture
def unbroken(server: Server, stopped_config: Path, backend: str, tmp_path: Path) -> Place:
    place = Place(tmp_path / "unbroken", backend)
    job = server.start(["run", stopped_config], tmp_path, place.env)
    assert job.wait() == 0, job.err
    return place


def tries(times: Callable[[int], int], backend: str) -> list[tuple[str, signal.Signals]]:
    """Phases and signals: each signal as often as promised; in the short form, one or the other,
    and what comes before training on one backend.
    """
    promised = times(20)
    if promised == 20:
        return [(p, n) for p in PHASES for n in BOTH for _ in range(promised)]
    phases = PHASES if backend == FIRST else PHASES[len(UNTRAINED) :]
    return [(phase, BOTH[index % 2]) for index, phase in enumerate(phases)]


def test_a_run_that_a_signal_stopped_goes_on_to_the_same_bytes(
    server, backend, stopped_config, unbroken, times, tmp_path
):
    draw = random.Random(f"signals {backend}")
    wanted, late = tries(times, backend), 0
    for index, (phase, number) in enumerate(wanted):
        place = Place(tmp_path / f"{index}-{phase}-{number.name}", backend)
        job = stopped(server, stopped_config, place, phase, number, draw.uniform(0, LONGEST))
        code, about = job.wait(), f"{place.folder.name}\n{job.err}"
        assert not any(word in job.err for word in TROUBLE), about
        assert not place.left_over(), about
        if code == 0:
            late += 1
        else:
            assert code == 128 + number, about
            assert place.run.exists() or phase in UNTRAINED, about
            kept = place.kept()
            go_on(server, stopped_config, place, job)
            assert kept.items() <= place.kept().items(), about
        assert place.results() == unbroken.results(), about
        assert not place.left_over(), about
        shutil.rmtree(place.folder)
    assert late <= len(wanted) // 5


def test_a_compilation_is_waited_for(server, backend, stopped_config, times, tmp_path):
    """It is one native call, or other programs that a framework starts."""
    if backend == "torch" and times(20) < 20:
        pytest.skip(
            "PyTorch compiles for a CPU by a C++ compiler, for half a minute: --faults=long"
        )
    draw = random.Random(f"compile {backend}")
    text = stopped_config.read_text(encoding="utf-8")
    stopped_config.write_text(text.replace("compile = false", "compile = true"), encoding="utf-8")
    for index in range(times(20) // 2):
        place = Place(tmp_path / str(index), backend)
        number = BOTH[index % 2]
        job = stopped(server, stopped_config, place, "compile", number, draw.uniform(0, 1))
        assert job.wait() == 128 + number, job.err
        assert "Stopped after step" in job.err and "with a checkpoint" in job.err
        assert not any(word in job.err for word in TROUBLE), job.err
        assert not place.left_over()


def test_a_second_signal_ends_a_run_at_once_and_leaves_its_checkpoints_whole(
    server, backend, stopped_config, unbroken, times, tmp_path
):
    draw = random.Random(f"second {backend}")
    for index in range(times(20)):
        place = Place(tmp_path / str(index), backend)
        phase = ("save", "compile")[index % 2]
        job = stopped(
            server, stopped_config, place, phase, signal.SIGTERM, draw.uniform(0, 0.02), ends=False
        )
        until(lambda job=job: job.ended, draw.uniform(0, 0.02))
        job.send(signal.SIGINT)
        code = job.wait()
        # Between the two, the run may have ended with a checkpoint.
        assert code in (128 + signal.SIGINT, 128 + signal.SIGTERM), job.err
        assert not any(word in job.err for word in TROUBLE), job.err
        assert "Stopped" in job.err
        resumed = server.start(["run", stopped_config, "--resume"], tmp_path, place.env)
        assert resumed.wait() == 0, resumed.err
        assert "damaged" not in resumed.err
        assert place.results() == unbroken.results()


@pytest.mark.one_backend
def test_of_two_runs_that_start_at_once_exactly_one_runs(
    server, backend, stopped_config, unbroken, times, tmp_path
):
    for index in range(times(10)):
        place = Place(tmp_path / str(index), backend)
        jobs = [server.start(["run", stopped_config], tmp_path, place.env) for _ in range(2)]
        codes = [job.wait() for job in jobs]
        assert sorted(codes) == [0, 2], [job.err for job in jobs]
        lost = jobs[codes.index(2)]
        won = jobs[codes.index(0)]
        # The second may also come when the first has ended.
        assert f"pid {won.pid} on " in lost.err or "holds this run already" in lost.err
        assert place.results() == unbroken.results()


@pytest.mark.one_backend
def test_a_second_run_is_refused_and_the_lock_of_a_dead_one_is_taken_over(
    server, backend, stopped_config, unbroken, tmp_path
):
    place = Place(tmp_path / "locked", backend)
    first = server.start(["run", stopped_config], tmp_path, place.env, WATCHED)
    assert until((place.folder / "marks" / "step").exists, PATIENCE)
    first.send(signal.SIGSTOP)

    second = server.start(["run", stopped_config, "--resume"], tmp_path, place.env)
    assert second.wait() == 2
    assert f"another process (pid {first.pid} on {socket.gethostname()}, since 20" in second.err
    assert "Reading" not in second.err

    first.send(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    third = server.start(["run", stopped_config, "--resume"], tmp_path, place.env)
    assert third.wait() == 0, third.err
    assert place.results() == unbroken.results()
    assert not (place.run / ".owner").exists()


@pytest.mark.one_backend
def test_a_closed_terminal_is_a_signal_too_unless_it_is_ignored(
    server, backend, stopped_config, unbroken, tmp_path
):
    place = Place(tmp_path / "closed", backend)
    job = stopped(server, stopped_config, place, "step", signal.SIGHUP, 0)
    assert job.wait() == 128 + signal.SIGHUP
    go_on(server, stopped_config, place, job)
    assert place.results() == unbroken.results()

    kept = Place(tmp_path / "nohup", backend)
    nohup = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    job = server.start(["run", stopped_config], tmp_path, kept.env, nohup + WATCHED)
    assert until((kept.folder / "marks" / "step").exists, PATIENCE)
    job.send(signal.SIGHUP)
    assert job.wait() == 0, job.err


@pytest.mark.one_backend
def test_data_that_is_prepared_alone_is_kept_as_far_as_it_came(
    server, backend, stopped_config, tmp_path
):
    place = Place(tmp_path / "data", backend)
    words = ["data", "prepare", stopped_config]
    job = server.start(words, tmp_path, place.env, WATCHED)
    assert until((place.folder / "marks" / "tokenizer").exists, PATIENCE)
    job.send(signal.SIGTERM)
    assert job.wait() == 128 + signal.SIGTERM, job.err
    assert "Stopped while the data was prepared; what was made is kept." in job.err
    assert not place.left_over()
    kept = place.kept()
    assert any(name.startswith("examples") for name in kept)

    _, _, command = job.err.partition(" Go on with:\n  ")
    done = server.start(shlex.split(command)[1:], tmp_path, place.env)
    assert done.wait() == 0, done.err
    assert kept.items() <= place.kept().items()
