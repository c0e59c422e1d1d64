"""Signals in every phase of a run, and the lock of its folder.

A run that was stopped goes on by the command that it printed, to the bytes of an unbroken one.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
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


def stopped(server: Server, config: Path, place: Place, phase: str, number: int, late: float) -> Job:
    """A run that got a signal some seconds after a phase began, and has ended."""
    job = server.start(["run", config], config.parent, place.env, WATCHED)
    mark = place.folder / "marks" / phase
    assert until(lambda: mark.exists() or job.ended, PATIENCE)
    assert mark.exists(), job.err
    until(lambda: job.ended, late)
    job.send(signal.Signals(number))
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


def code_of(number: int) -> int:
    return 128 + number


@pytest.fixture
def unbroken(server: Server, stopped_config: Path, backend: str, tmp_path: Path) -> Place:
    place = Place(tmp_path / "unbroken", backend)
    job = server.start(["run", stopped_config], tmp_path, place.env)
    assert job.wait() == 0, job.err
    return place


def test_a_run_that_a_signal_stopped_goes_on_to_the_same_bytes(
    server, backend, stopped_config, unbroken, times, tmp_path
):
    draw = random.Random(f"signals {backend}")
    rounds = [(phase, n) for phase in PHASES for n in range(times(20))]
    ended = 0
    for index, (phase, round_) in enumerate(rounds):
        for number in (signal.SIGTERM, signal.SIGINT) if times(20) > 2 else SHORT[index % 2]:
            place = Place(tmp_path / f"{phase}-{round_}-{number}", backend)
            job = stopped(server, stopped_config, place, phase, number, draw.uniform(0, LONGEST))
            code, about = job.wait(), f"{phase} {number}\n{job.err}"
            assert "Traceback" not in job.err and "Exception ignored" not in job.err, about
            if code == 0:  # It came too late.
                ended += 1
            else:
                assert code == code_of(number), about
                assert not place.left_over(), about
                kept = place.kept()
                assert place.run.exists() or phase in UNTRAINED, about
                go_on(server, stopped_config, place, job)
                assert kept.items() <= place.kept().items(), about
            assert place.results() == unbroken.results(), about
            assert not place.left_over(), about
    assert ended <= len(rounds) / 5


SHORT = ((signal.SIGTERM,), (signal.SIGINT,))
