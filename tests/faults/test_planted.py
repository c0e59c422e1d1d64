"""Faults that a run plants for itself: a loss that is no number, and memory that is not there.

They are caught at their step, and each policy does what it says, also where the run is killed.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .harness import Job, until

FAULTY = Path(__file__).parents[1] / "local_plugins" / "faulty.py"


@pytest.fixture
def planted(config_file: Callable[..., Path]) -> Callable[..., list[object]]:
    """The words of a run with a planted fault; keyword arguments are trainer keys, as TOML."""

    def words(extension: str, **trainer: str) -> list[object]:
        keys = {"steps": "60", "checkpoint_every": "10", **trainer}
        path = config_file(**keys)
        sets = [f'plugins=["{FAULTY.as_posix()}"]', f"stages.finetune.extensions=[{extension}]"]
        return ["run", path, *(word for one in sets for word in ("--set", one))]

    return words


def lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl."""
    text = (folder / "finetune" / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def outcome(folder: Path) -> tuple[Any, ...]:
    """What has to be the same, whatever happened on the way: lines, weights, what was left out."""
    last = max((folder / "finetune" / "checkpoints").iterdir())
    state = json.loads((last / "state.json").read_text())["progress"]
    weights = (last / "model.safetensors").read_bytes()
    return lines(folder), weights, state["left_out"], state["step"]


NAN = '{type = "nan", steps = [23]}'


def test_a_run_stops_at_a_loss_that_is_no_number_and_goes_on_without_it(server, planted, tmp_path):
    skip = ["--set", "stages.finetune.trainer.non_finite=skip"]
    folder = tmp_path / "runs" / "small"

    job = server.start(planted(NAN), tmp_path)

    assert job.wait() == 1
    assert "The loss was no finite number but nan at step 23 of stage 'finetune'" in job.err
    assert "that of step 22 was " in job.err
    assert job.err.count("train.csv:") == 8
    assert "and 8 more" in job.err
    assert (
        "go on from the last checkpoint without this update: --resume --set " + skip[1] in job.err
    )
    assert "Traceback" not in job.err
    assert lines(folder)[22]["loss"] is None
    assert max(p.name for p in (folder / "finetune" / "checkpoints").iterdir()) == "00000020"

    job = server.start([*planted(NAN), "--resume", *skip], tmp_path)

    assert job.wait() == 0, job.err
    assert "It goes on without this update, 1 of 10." in job.err
    assert "finetune went without an update of 60" in job.err
    whole = server.start([*planted(NAN), *skip, "--runs", "whole"], tmp_path)
    assert whole.wait() == 0, whole.err
    assert outcome(folder) == outcome(tmp_path / "whole" / "small")
    assert outcome(folder)[2] == [[22, 23]]


STEPS = [23, 37, 38, 39]
LEFT_OUT = {
    "skip": [[step - 1, step] for step in STEPS],
    # Lost once more before the next checkpoint: back to the one before.
    "rollback": [[20, 23], [30, 37], [20, 38], [10, 39]],
}


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_a_killed_run_leaves_out_the_same_updates(server, planted, tmp_path, policy, times):
    words = planted(f'{{type = "nan", steps = {STEPS}}}', non_finite=f'"{policy}"', keep_last="4")
    whole = server.start([*words, "--runs", "whole"], tmp_path)
    assert whole.wait() == 0, whole.err
    expected = outcome(tmp_path / "whole" / "small")
    assert expected[2:] == (LEFT_OUT[policy], 60)
    if policy == "rollback":
        assert "It goes back to step 20, and on behind step 23" in whole.err
        assert "finetune went without 29 updates of 60" in whole.err
        steps = [line["step"] for line in expected[0]]
        assert steps == [*range(1, 11), 39, *range(40, 61)]
        gone_back = {"step": 39, "split": "train", "loss": None, "gone_back_to": 10}
        assert expected[0][10] == gone_back
    killed, count = 0, times(10)
    for number in range(count):
        runs = tmp_path / f"runs{number}"
        job = server.start([*words, "--runs", runs], tmp_path)
        lines_wanted = 25 + 25 * number // count
        _wait_for(job, runs / "small" / "finetune" / "metrics.jsonl", lines_wanted)
        job.send(signal.SIGKILL)
        killed += job.wait() == -signal.SIGKILL
        again = server.start([*words, "--runs", runs, "--resume"], tmp_path)
        assert again.wait() == 0, again.err
        assert outcome(runs / "small") == expected
    print(f"{policy}: {killed} of {count} killed while they trained, all the same in the end")


def _wait_for(job: Job, log: Path, count: int) -> None:
    until(lambda: job.ended or (log.exists() and log.read_bytes().count(b"\n") >= count), 60)


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_what_happens_too_often_stops_the_run(server, planted, tmp_path, policy):
    words = planted('{type = "nan", every = 7}', non_finite=f'"{policy}"', max_skips="3")

    job = server.start(words, tmp_path)

    assert job.wait() == 1
    assert "at step 28 of stage 'finetune'" in job.err
    assert "max_skips = 3: it was so at step 7, 14, 21 before" in job.err


SAYS = {
    ("torch", "framework"): "Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.11 GiB",
    ("torch", "allocator"): "DefaultCPUAllocator: can't allocate memory",
    ("tensorflow", "framework"): "OOM when allocating tensor with shape[64,512,768]",
}


@pytest.mark.parametrize("error", ["framework", "allocator", "python", "real"])
def test_memory_that_runs_out_in_training(loomlm_command, planted, backend, error):
    plant = f'{{type = "hungry", rows = 16, after = 2, error = "{error}"}}'

    done = loomlm_command(*planted(plant, steps="5"))

    assert done.code == 1
    assert "There is not enough memory: " in done.err
    assert SAYS.get((backend, error), "") in done.err
    assert "Step 3 of stage 'finetune', on cpu, had a batch of 16 rows x 8 tokens" in done.err
    assert "stages.finetune.trainer.accumulate to 2" in done.err
    assert 'stages.finetune.trainer.batch_size to 8, or to "auto"' in done.err


def test_memory_that_runs_out_elsewhere(loomlm_command, planted):
    words = planted('{type = "hungry", rows = 17}', steps="2")

    done = loomlm_command(*words)

    assert done.code == 1
    assert "To score test of finetune, a batch had 100 rows x 8 tokens." in done.err
    assert "Lower trainer.evaluation_batch_size" in done.err

    small = ["--overwrite", "--set", "stages.finetune.trainer.evaluation_batch_size=16"]
    assert loomlm_command(*words, *small).code == 0
    plugin, texts = ("-p", FAULTY), ["rain"] * 20
    done = loomlm_command("evaluate", "runs/small", *plugin, "--batch-size", "50")
    assert (done.code, "To score test, a batch had 50 rows" in done.err) == (1, True)
    assert loomlm_command("evaluate", "runs/small", *plugin).code == 0
    done = loomlm_command("predict", "runs/small", *texts, *plugin)
    assert (done.code, "A batch to predict had 20 rows" in done.err) == (1, True)
    done = loomlm_command("predict", "runs/small", *texts, *plugin, "--batch-size", "8")
    assert (done.code, done.out.count("\n")) == (0, 20)


@pytest.mark.one_backend("torch")
def test_memory_that_runs_out_for_real(server, config_file, tmp_path):
    # Address space for the program and 1 GiB more; weights of this width want more.
    limit = (
        "import resource\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30),) * 2)"
    )
    path = config_file(batch_size="400", steps="3")
    words = ["run", path, "--set", "backbone.width=300000", "--set", "backbone.buckets=1"]

    job = server.start(words, tmp_path, before=limit)

    assert job.wait() == 1
    assert "There is not enough memory: " in job.err
    assert "GiB of main memory are free). Step 1 of stage 'finetune', on cpu, had a" in job.err
    assert "Traceback" not in job.err


def test_the_largest_batch_that_fits_is_found_once(loomlm_command, planted, backend):
    words = planted(
        '{type = "hungry", rows = 20, error = "framework"}',
        batch_size='"auto"',
        steps="12",
        evaluation_batch_size="8",
    )

    done = loomlm_command(*words)

    assert done.code == 0, done.err
    assert "finetune: batch_size = 18: the most that fit" in done.err
    config = Path("runs/small/config.toml").read_text()
    assert "batch_size = 18" in config
    assert "the most that fit" in config
    found = outcome(Path("runs/small"))
    assert "Finding" not in loomlm_command(*words, "--resume").err
    given = loomlm_command(*words, "--set", "trainer.batch_size=18", "--runs", "given")
    assert given.code == 0, given.err
    assert found == outcome(Path("given/small"))


def test_where_not_even_one_row_fits_that_is_said(loomlm_command, planted):
    words = planted('{type = "hungry", rows = 1}', batch_size='"auto"', steps="12")

    done = loomlm_command(*words)

    assert done.code == 1
    assert "Not even a batch of 1 rows x 8 tokens fits into memory." in done.err
    assert not Path("runs/small").exists()
