"""What a stopped command says, and with which code it ends."""

from __future__ import annotations

import os
import signal

import click
import pytest

from loomlm.cli.stopping import stop_message, stopped_by
from loomlm.errors import PluginError, UsageError
from loomlm.training.interrupts import Interruption, Program, StoppedError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")


def program(number: int = signal.SIGTERM, trained: bool = True) -> Program:
    made = Program()
    made.number, made.trained = number, trained
    return made


@pytest.mark.parametrize(
    ("given", "resumes"),
    [
        ("run my.toml", "run my.toml --resume"),
        ("run my.toml --resume", "run my.toml --resume"),
        ("run --resume=must my.toml --runs there", "run my.toml --runs there --resume"),
        ("run my.toml --overwrite --set seed=3", "run my.toml --set seed=3 --resume"),
        ("run --overwrite -- my.toml", "run --resume -- my.toml"),
        ("demo --overwrite --runs there", "demo --runs there"),
    ],
)
def test_the_command_that_goes_on_is_the_one_that_was_given(given, resumes):
    stopped = StoppedError("Stopped after step 3.", 143)
    said = stop_message(stopped, program(), given.split())
    assert said == f"Stopped after step 3. Go on with:\n  loomlm {resumes}"


def test_before_a_run_has_its_folder_it_is_the_very_same_command():
    early = program(trained=False)
    stopped = Interruption(signal.SIGTERM)
    words = ["run", "my config.toml", "--overwrite"]

    command = " Go on with:\n  loomlm run 'my config.toml' --overwrite"
    assert stop_message(stopped, early, words) == f"Stopped at the start.{command}"
    stopped.where = "while the data was prepared"
    said = stop_message(stopped, early, words)
    assert said == f"Stopped while the data was prepared; what was made is kept.{command}"


def test_a_command_that_keeps_nothing_names_no_command():
    assert stop_message(Interruption(2), program(2, False), ["plugins"]) == "Stopped."
    assert stop_message(Interruption(2), program(2, False), []) == "Stopped."


def test_what_comes_after_a_signal_comes_of_it_until_there_is_something_to_lose():
    early, late, none = program(trained=False), program(), program(0)
    assert stopped_by(PluginError("broken"), early) == signal.SIGTERM
    assert stopped_by(RuntimeError(), early) == signal.SIGTERM
    assert stopped_by(UsageError("the disk is full"), late) == 0
    assert stopped_by(StoppedError("", 15), late) == signal.SIGTERM
    assert stopped_by(RuntimeError(), none) == stopped_by(UsageError(""), none) == 0
    assert stopped_by(KeyboardInterrupt(), none) == stopped_by(click.Abort(), none) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_any_command_with_its_number(number, loomlm_command, monkeypatch):
    from loomlm.cli import plugins

    def stop() -> None:
        signal.raise_signal(number)

    monkeypatch.setattr(plugins, "command", click.command("plugins")(stop))
    done = loomlm_command("plugins")
    assert (done.code, done.out, done.err.strip()) == (128 + number, "", "Stopped.")


def test_a_file_of_predictions_is_there_or_not(tmp_path, monkeypatch, loomlm_command):
    from loomlm.inference import model

    class Stops:
        def predict(self, texts, *_):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(model, "load_model", lambda *_, **__: Stops())
    done = loomlm_command("predict", "run", "a text", "--output", "out.jsonl")
    assert done.code == 143
    assert not list(tmp_path.iterdir())
