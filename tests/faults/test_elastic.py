"""Proof 8: a run on one process and on several gives one model, whichever it goes on with."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from attrs import frozen

from .harness import Job, Server, until

pytestmark = pytest.mark.one_backend("torch")

RELATIVE = 1e-5

RECORD = """
import json, os, zlib
import numpy as np
from loomlm.inference.scoring import Recipe
from loomlm_torch.engine import TorchEngine

rank = os.environ.get("RANK", "0")
batch, train_step = Recipe.batch, TorchEngine.train_step

def recorded_batch(self, split, rows, shape, *seed_and_step, **more):
    if os.environ["RECORD"] != "no":
        with open(os.environ["RECORD"] + "-ids-" + rank, "a") as file:
            file.write(json.dumps(np.asarray(rows).tolist()) + "\\n")
    return batch(self, split, rows, shape, *seed_and_step, **more)

def recorded_step(self, microbatches, context):
    places = range(len(microbatches)) if context.share is None else context.share
    with open(os.environ["RECORD"] + "-trained-" + rank, "a") as file:
        for place in places:
            arrays = microbatches[place].arrays
            digest = zlib.crc32(b"".join(arrays[name].tobytes() for name in sorted(arrays)))
            file.write(json.dumps([context.step, place, digest]) + "\\n")
    return train_step(self, microbatches, context)

Recipe.batch, TorchEngine.train_step = recorded_batch, recorded_step
"""
"""What each process makes batches of, and what it trains on, in files of its own."""


@frozen
class Together:
    """The processes of a run, forked: the first leads."""

    jobs: list[Job]

    def send(self, number: signal.Signals) -> None:
        """As torchrun does: to all of them."""
        for job in self.jobs:
            job.send(number)

    def wait(self) -> list[int]:
        return [job.wait() for job in self.jobs]


@pytest.fixture
def start(server: Server, tmp_path: Path) -> Callable[..., Together]:
    """Starts `loomlm WORDS` on so many processes."""

    def begin(count: int, *words: object, before: str = "", record: str = "no") -> Together:
        meeting = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1"}
        if sys.platform == "linux":
            meeting["GLOO_SOCKET_IFNAME"] = "lo"
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            meeting["MASTER_PORT"] = str(one.getsockname()[1])
        return Together(
            [
                server.start(
                    words,
                    tmp_path,
                    {**meeting, "RANK": str(rank), "RECORD": record},
                    before,
                )
                for rank in range(count)
            ]
        )

    return begin


@pytest.fixture
def configs(config_file, lm_config) -> Mapping[str, Callable[..., Path]]:
    """Dropout in both; one has tables of which only the rows of a batch learn."""
    return {"small": config_file, "lm": lm_config}


STAGES = {"small": "finetune", "lm": "pretrain"}


def losses(run: Path, name: str) -> dict[tuple[str, int], float]:
    """By split and step; each stands there once."""
    found: dict[tuple[str, int], float] = {}
    for line in (run / STAGES[name] / "metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        assert (entry["split"], entry["step"]) not in found
        found[entry["split"], entry["step"]] = entry["loss"]
    return found


def assert_alike(found: Mapping[object, float], expected: Mapping[object, float]) -> None:
    assert found.keys() == expected.keys()
    for key, loss in expected.items():
        assert abs(found[key] - loss) <= RELATIVE * abs(loss), key


def lines(path: Path) -> list[list[int]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", ["small", "lm"])
def test_one_process_and_several_train_on_the_same_batches_and_get_the_same_losses(
    start, configs, tmp_path, name
):
    path = configs[name](name, steps="24", accumulate="4", checkpoint_every="12")
    trained, ids, found = {}, {}, {}
    # Three cannot share four microbatches evenly.
    counts = (1, 2, 3) if name == "lm" else (1, 2)
    for count in counts:
        runs, record = tmp_path / f"on{count}", str(tmp_path / f"record{count}")
        done = start(count, "run", path, "--runs", runs, before=RECORD, record=record)
        assert done.wait() == [0] * count, done.jobs[0].err
        by_place = {}
        for rank in range(count):
            for step, place, digest in lines(Path(f"{record}-trained-{rank}")):
                assert (step, place) not in by_place  # Each microbatch is one process's.
                by_place[step, place] = digest
            # Every process makes the same global batches, in the same order; the leader evaluates.
            made = lines(Path(f"{record}-ids-{rank}"))
            ids[count, rank] = made[:24]
        trained[count] = by_place
        found[count] = losses(runs / name, name)

    assert len(ids[1, 0]) == 24
    assert all(one == ids[1, 0] for one in ids.values())
    for count in counts:
        assert trained[count] == trained[1]
        assert_alike(found[count], found[1])


def reached(run: Path, name: str, step: int) -> Callable[[], bool]:
    """Whether an update is noted in a run's log."""

    def so() -> bool:
        path = run / STAGES[name] / "metrics.jsonl"
        return path.exists() and f'{{"step": {step}, "split": "train"' in path.read_text()

    return so


@pytest.mark.parametrize("name", ["small", "lm"])
def test_a_run_is_stopped_on_two_goes_on_on_one_and_back(start, configs, tmp_path, times, name):
    steps = 150
    path = configs[name](name, steps=str(steps), accumulate="4", checkpoint_every="40")
    # Slow enough to be stopped in the middle.
    slow = """
import time
from loomlm_torch.engine import TorchEngine
train_step = TorchEngine.train_step
def slowly(self, *given):
    time.sleep(0.01)
    return train_step(self, *given)
TorchEngine.train_step = slowly
"""
    alone = start(1, "run", path, "--runs", tmp_path / "alone")
    assert alone.wait() == [0]
    expected = losses(tmp_path / "alone" / name, name)
    draw = np.random.default_rng(1)
    for number in range(times(10)):
        runs = tmp_path / f"elastic{number}"
        last = 0
        for count in (2, 1, 2):
            going = start(count, "run", path, "--runs", runs, "--resume", before=slow)
            stop = last + int(draw.integers(1, 20))
            assert until(reached(runs / name, name, stop), 120), going.jobs[0].err
            going.send(signal.SIGTERM)
            codes = going.wait()
            assert codes[0] == 143, going.jobs[0].err
            assert "--resume" in going.jobs[0].err
            last = max(step for _, step in losses(runs / name, name))
            assert last < steps
        rest = start(1, "run", path, "--runs", runs, "--resume")
        assert rest.wait() == [0], rest.jobs[0].err
        assert_alike(losses(runs / name, name), expected)


@pytest.mark.parametrize("victim", [0, 1])
def test_where_one_process_is_killed_the_others_end_and_the_run_goes_on(
    start, configs, tmp_path, victim
):
    path = configs["lm"]("lm", steps="300", accumulate="2", checkpoint_every="20")
    alone = start(1, "run", path, "--runs", tmp_path / "alone")
    together = start(2, "run", path, "--runs", tmp_path / "two")
    run = tmp_path / "two" / "lm"
    assert until(lambda: any((run / "pretrain" / "checkpoints").glob("0*")), 120)
    together.jobs[victim].send(signal.SIGKILL)
    survivor = together.jobs[1 - victim]

    assert survivor.wait(60) == 1
    assert "Another process of this run has ended" in survivor.err
    assert "Traceback" not in survivor.err
    assert together.jobs[victim].wait() == -signal.SIGKILL
    last = start(1, "run", path, "--runs", tmp_path / "two", "--resume=must")
    assert [*last.wait(), *alone.wait()] == [0, 0], last.jobs[0].err
    assert_alike(losses(run, "lm"), losses(tmp_path / "alone" / "lm", "lm"))


def test_a_signal_of_one_process_stops_them_all(start, configs, tmp_path):
    path = configs["lm"]("lm", steps="100000", accumulate="2")
    together = start(2, "run", path)
    assert until(reached(tmp_path / "runs" / "lm", "lm", 5), 120)
    together.jobs[1].send(signal.SIGTERM)

    assert together.wait() == [143, 0]
    assert "with a checkpoint" in together.jobs[0].err


FAULTY = Path(__file__).parents[1] / "local_plugins" / "faulty.py"


def test_several_processes_go_back_as_one_does(start, config_file, tmp_path):
    """What the leader does to its weights, the others do too."""
    path = config_file(
        steps="40", accumulate="2", checkpoint_every="10", keep_last="4", non_finite='"rollback"'
    )
    sets = [
        f'plugins=["{FAULTY.as_posix()}"]',
        'stages.finetune.extensions=[{type = "nan", steps = [23]}]',
    ]
    words = ["run", path, *(word for one in sets for word in ("--set", one))]
    found = []
    for count in (1, 2):
        done = start(count, *words, "--runs", tmp_path / f"on{count}")
        assert done.wait() == [0] * count, done.jobs[0].err
        text = (tmp_path / f"on{count}" / "small" / "finetune" / "metrics.jsonl").read_text()
        found.append([json.loads(line) for line in text.splitlines()])

    alone, together = found
    assert any("gone_back_to" in line for line in alone)
    assert [line["step"] for line in together] == [line["step"] for line in alone]
    # What is no finite number is no loss.
    numbers = [[line["loss"] or 0.0 for line in lines] for lines in found]
    assert numbers[1] == pytest.approx(numbers[0], rel=RELATIVE)


def children(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-A", "-o", "ppid=,pid="], capture_output=True, text=True, check=True
    )
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    by_parent = defaultdict(list)
    for parent, child in pairs:
        by_parent[parent].append(child)
    return sorted(by_parent[pid])


def test_the_launcher_passes_a_signal_on_and_ends_where_a_process_is_killed(
    server, configs, tmp_path
):
    path = configs["lm"]("lm", steps="600", accumulate="2", checkpoint_every="100")
    run = tmp_path / "runs" / "lm"
    job = server.start(["run", path, "--processes", "2"], tmp_path)
    assert until(reached(run, "lm", 20), 120), job.err
    job.send(signal.SIGTERM)
    assert job.wait() == 143
    command = next(line for line in job.err.splitlines() if line.startswith("  loomlm run"))
    assert "--processes 2" in command
    stopped = max(step for _, step in losses(run, "lm"))

    again = server.start(shlex.split(command)[1:], tmp_path)
    assert until(reached(run, "lm", stopped + 1), 120), again.err
    assert until(lambda: len(children(again.pid)) == 2, 10)
    os.kill(children(again.pid)[1], signal.SIGKILL)
    assert again.wait(90) == 1
    assert "Process 1 of 2 was killed by SIGKILL" in again.err
    assert "Traceback" not in again.err

    # On one process, by the command without the number of processes.
    words = shlex.split(re.sub(r"--processes \d+", "", command))[1:]
    last = server.start(words, tmp_path)
    assert last.wait() == 0, last.err
    steps = [step for split, step in losses(run, "lm") if split == "train"]
    assert steps == list(range(1, 601))


def test_torchrun_starts_a_run_as_well(configs, tmp_path, request):
    if request.config.getoption("--faults") != "long":
        pytest.skip("three processes that import the framework: with --faults=long")
    path = configs["small"]("small", steps="10", accumulate="2")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*command, "--nproc-per-node", "2", "-m", "loomlm", "run", str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("accuracy") == 1  # One of them speaks.
    assert len(losses(tmp_path / "runs" / "small", "small")) == 10
