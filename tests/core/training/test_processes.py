"""What a process is told by its environment, and which runs several can share."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from loomlm.config.load import load_config
from loomlm.errors import UsageError
from loomlm.training import launching
from loomlm.training.launching import Launch, launch
from loomlm.training.processes import Place, check, place

TWO = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


@pytest.mark.parametrize("environment", [{}, {"WORLD_SIZE": "1", "RANK": "0"}])
def test_one_process_is_alone(environment):
    assert place(environment) is None


def test_the_environment_says_which_of_several_a_process_is():
    assert place(TWO) == Place(rank=1, size=2, local=1)
    assert place({**TWO, "LOCAL_RANK": "0"}) == Place(rank=1, size=2, local=0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"MASTER_PORT": ""}, "MASTER_PORT is not set"),
        ({"RANK": "2"}, "RANK is 2: of 2 processes, the last is 1"),
        ({"RANK": "first"}, "RANK in the environment is 'first'"),
        ({"WORLD_SIZE": "-2"}, "WORLD_SIZE in the environment is '-2'"),
    ],
)
def test_an_environment_that_makes_no_sense_is_told(changed, message):
    with pytest.raises(UsageError, match=message):
        place({**TWO, **changed})


@pytest.mark.one_backend("torch")
def test_a_batch_has_a_microbatch_for_each_process(config_file):
    config = load_config(config_file(accumulate="2"))

    check(config, "torch", 2)
    with pytest.raises(UsageError, match=r"accumulate is 2.*Set trainer.accumulate = 3"):
        check(config, "torch", 3)


@pytest.mark.one_backend("tensorflow")
def test_a_backend_that_cannot_says_which_can(config_file):
    config = load_config(config_file(accumulate="2"))

    with pytest.raises(UsageError, match="The backend tensorflow trains in one process"):
        check(config, "tensorflow", 2)


def test_a_mistake_that_all_find_is_told_once(capfd, tmp_path):
    assert launch(["run", str(tmp_path / "nothing.toml")], 2) == 2
    assert capfd.readouterr().err.count("nothing.toml") == 1


def test_what_all_do_well_is_told_once(capfd):
    assert launch(["--version"], 3) == 0
    assert capfd.readouterr().out.count("loomlm") == 1


@pytest.fixture
def programs(monkeypatch):
    """Has `launch` start a Python program with these words, instead of the command line."""

    def instead(code: str) -> None:
        started = launching.subprocess.Popen
        monkeypatch.setattr(
            launching.subprocess,
            "Popen",
            lambda words, **keys: started([sys.executable, "-c", code], **keys),
        )

    return instead


def test_one_that_fails_is_told_in_its_own_words(programs, capfd, monkeypatch):
    monkeypatch.setattr(launching, "GRACE", 0.2)
    programs(
        "import os, sys, time\n"
        "if os.environ['RANK'] == '1':\n"
        "    sys.exit('what happened to it')\n"
        "time.sleep(600)"
    )

    assert launch([], 2) == 1
    said = capfd.readouterr().err
    assert "what happened to it" in said
    assert "Process 1 of 2 ended with exit code 1, and the run ended with it." in said


def test_who_does_not_end_with_the_leader_is_ended(programs, monkeypatch):
    monkeypatch.setattr(launching, "GRACE", 0.2)
    programs("import os, time\nif os.environ['RANK'] == '1': time.sleep(600)")

    assert launch([], 2) == 0


def test_the_leader_s_exit_code_is_the_run_s(programs):
    programs("import os, sys\nsys.exit(143 if os.environ['RANK'] == '0' else 0)")

    assert launch([], 2) == 143


def test_a_signal_that_comes_while_they_start_is_passed_on(programs):
    programs("import time\ntime.sleep(600)")
    run = Launch([])
    run.pass_on(signal.SIGTERM)
    try:
        run.start(1)
        assert run.wait() == 128 + signal.SIGTERM
    finally:
        run.kill()


def test_they_end_when_the_launcher_is_gone(tmp_path):
    """The launcher is killed: its process is told to stop, and does what a signal would have."""
    from subprocess import DEVNULL, Popen

    child = (
        "import signal, sys, time\n"
        "from pathlib import Path\n"
        "from loomlm.training.launching import end_with_launcher\n"
        f"place = Path({str(tmp_path)!r})\n"
        "def stop(*_):\n"
        "    (place / 'stopped').touch()\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "end_with_launcher()\n"
        "(place / 'started').touch()\n"
        "time.sleep(600)"
    )
    parent = (
        "import os, subprocess, sys, time\n"
        "env = {**os.environ, 'LOOMLM_LAUNCHER': str(os.getpid())}\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}], env=env)\n"
        "time.sleep(600)"
    )
    launcher = Popen([sys.executable, "-c", parent], stdin=DEVNULL, env={**os.environ})
    _wait_for(tmp_path / "started")
    launcher.kill()
    launcher.wait()
    _wait_for(tmp_path / "stopped")


def _wait_for(path) -> None:
    for _ in range(6000):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{path.name} never came")
