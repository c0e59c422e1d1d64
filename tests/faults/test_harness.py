"""The harness itself: runs that are forked do what a user's would."""

from __future__ import annotations

import signal

import pytest

from .harness import until


def test_a_forked_run_is_one_of_the_command_line(server, config_file, tmp_path):
    job = server.start(["run", config_file(steps="20")], tmp_path)
    assert job.wait() == 0, job.err
    assert (tmp_path / "runs" / "small" / "model" / "config.json").exists()
    assert "accuracy" in job.out
    assert "Evaluating test" in job.err and "Traceback" not in job.err


def test_a_killed_run_says_by_what(server, config_file, tmp_path):
    job = server.start(["run", config_file(steps="100000")], tmp_path)
    lines = tmp_path / "runs" / "small" / "finetune" / "metrics.jsonl"
    assert until(lines.exists, 60)
    job.send(signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL


def test_a_mistake_is_a_message_and_a_code(server, tmp_path):
    job = server.start(["run", "nothing.toml"], tmp_path)
    assert job.wait() == 2
    assert "nothing.toml" in job.err


def test_a_run_that_hangs_says_where(server, tmp_path):
    job = server.start(["--help"], tmp_path, before="import time\ntime.sleep(600)")
    with pytest.raises(
        AssertionError, match=r"(?s)hangs after 1 seconds.*Fatal Python error: Aborted"
    ):
        job.wait(1)
