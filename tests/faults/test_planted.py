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


def test_a_run_stops_at_a_loss_that_is_no_number_and_says_where(server, planted, tmp_path):
    job = server.start(planted(NAN), tmp_path)

    assert job.wait() == 1
    assert "The loss was no finite number but nan at step 23 of stage 'finetune'" in job.err
    assert "that of step 22 was " in job.err
    assert job.err.count("train.csv:") == 8
    assert "and 8 more" in job.err
    assert "go on from step 20 " in job.err
    assert "Traceback" not in job.err
    folder = tmp_path / "runs" / "small"
    assert lines(folder)[22]["loss"] is None
    assert max(p.name for p in (folder / "finetune" / "checkpoints").iterdir()) == "00000020"

    again = server.start([*planted(NAN), "--resume"], tmp_path)
    assert again.wait() == 1
    assert "at step 23" in again.err


def test_a_run_that_stopped_goes_on_without_the_update(server, planted, tmp_path):
    assert server.start(planted(NAN), tmp_path).wait() == 1
    skip = "stages.finetune.trainer.non_finite=skip"

    job = server.start([*planted(NAN), "--resume", "--set", skip], tmp_path)

    assert job.wait() == 0, job.err
    assert "It goes on without this update, 1 of 10." in job.err
    assert "finetune went without an update of 60" in job.err
    stopped = outcome(tmp_path / "runs" / "small")
    whole = server.start([*planted(NAN), "--set", skip, "--runs", "whole"], tmp_path)
    assert whole.wait() == 0, whole.err
    assert stopped == outcome(tmp_path / "whole" / "small")
    assert stopped[2] == [[22, 23]]


def test_rollback_goes_back_and_on_behind_the_batches_since_then(server, planted, tmp_path):
    job = server.start(planted(NAN, non_finite='"rollback"'), tmp_path)

    assert job.wait() == 0, job.err
    assert "It goes back to step 20, and on behind step 23" in job.err
    assert "finetune went without 3 updates of 60" in job.err
    told, _, left_out, step = outcome(tmp_path / "runs" / "small")
    assert (left_out, step) == ([[20, 23]], 60)
    assert [line["step"] for line in told] == [*range(1, 21), *range(23, 61)]
    assert told[20] == {"step": 23, "split": "train", "loss": None, "gone_back_to": 20}


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_a_killed_run_leaves_out_the_same_updates(server, planted, tmp_path, policy, times):
    words = planted(
        '{type = "nan", steps = [3, 17, 18, 41]}',
        non_finite=f'"{policy}"',
        keep_last="3",
        log_every="1",
    )
    whole = server.start([*words, "--runs", "whole"], tmp_path)
    assert whole.wait() == 0, whole.err
    expected = outcome(tmp_path / "whole" / "small")
    assert [last for _, last in expected[2]] == [3, 17, 18, 41]
    killed = 0
    for number in range(times(20)):
        runs = tmp_path / f"runs{number}"
        job = server.start([*words, "--runs", runs], tmp_path)
        _wait_for(job, runs / "small" / "finetune" / "metrics.jsonl", 5 + 45 * number // times(20))
        job.send(signal.SIGKILL)
        killed += job.wait() == -signal.SIGKILL
        again = server.start([*words, "--runs", runs, "--resume"], tmp_path)
        assert again.wait() == 0, again.err
        assert outcome(runs / "small") == expected
    assert killed


def _wait_for(job: Job, log: Path, steps: int) -> None:
    until(lambda: job.ended or (log.exists() and log.read_bytes().count(b"\n") > steps), 60)


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_what_happens_too_often_stops_the_run(server, planted, tmp_path, policy):
    words = planted('{type = "nan", every = 7}', non_finite=f'"{policy}"', max_skips="3")

    job = server.start(words, tmp_path)

    assert job.wait() == 1
    assert "at step 28 of stage 'finetune'" in job.err
    assert "max_skips = 3: it was so at step 7, 14, 21 before" in job.err
