"""A run that is stopped in an evaluation: it is done when the run goes on, and noted once."""

from __future__ import annotations

import os
import signal

import pytest

import loomlm
from loomlm.hookspecs import hookimpl
from loomlm.training import loop
from loomlm.training.interrupts import StoppedError

pytestmark = [
    pytest.mark.one_backend,
    pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX"),
]


@pytest.fixture
def config(config_file):
    """Makes a run of 20 steps with an evaluation at each fourth, and an end after so many alike."""

    def make(patience: int) -> loomlm.Config:
        settings = [
            "stages.finetune.data.split={validation=0.25}",
            f'trainer.early_stopping={{patience={patience}, metric="loss"}}',
        ]
        path = config_file(steps="20", evaluate_every="4", keep_best='"loss"')
        return loomlm.load_config(path, set=settings)

    return make


@pytest.fixture
def stop_in(monkeypatch):
    """Sends a signal when an evaluation begins; no score is ever better than the first."""
    real, left = loop.evaluate, []

    def evaluate(*arguments):
        if left:
            left[0] -= 1
            if left[0] == 0:
                signal.raise_signal(signal.SIGTERM)
        return {**real(*arguments), "loss": 1.0}

    monkeypatch.setattr(loop, "evaluate", evaluate)

    def stop(number: int) -> None:
        left[:] = [number]

    return stop


def results(run: loomlm.Run) -> list[bytes]:
    names = ("evaluation.json", "finetune/metrics.jsonl", "model/model.safetensors")
    return [(run.folder / name).read_bytes() for name in names]


@pytest.mark.parametrize(
    ("patience", "number", "step"),
    [(9, 1, 4), (2, 2, 8), (2, 3, 12), (9, 5, 20)],
    ids=["first", "later", "the one that ends the stage", "last"],
)
def test_an_evaluation_that_was_broken_off_is_done_when_the_run_goes_on(
    config, stop_in, patience, number, step
):
    made = config(patience)
    unbroken = loomlm.run(made, runs="unbroken")
    stop_in(number)
    with pytest.raises(StoppedError, match=f"after step {step} .* evaluation is done when") as end:
        loomlm.run(made, runs="stopped")
    assert end.value.exit_code == 143

    resumed = loomlm.run(made, runs="stopped", resume="must")

    assert results(resumed) == results(unbroken)


def test_an_evaluation_that_was_done_late_and_then_lost_is_noted_once(config, stop_in):
    class Fails:
        @hookimpl
        def loomlm_evaluated(self, event):
            raise ZeroDivisionError

    made = config(9)
    unbroken = loomlm.run(made, runs="unbroken")
    stop_in(2)
    with pytest.raises(StoppedError):
        loomlm.run(made, runs="stopped")
    with pytest.raises(ZeroDivisionError):
        loomlm.run(made, runs="stopped", resume="must", observers=[Fails()])

    assert results(loomlm.run(made, runs="stopped", resume="must")) == results(unbroken)


def test_from_python_ctrl_c_before_training_is_a_keyboard_interrupt(config, monkeypatch):
    from loomlm.training import run

    def stop(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(run, "make_tokenizer", stop)
    with pytest.raises(KeyboardInterrupt):
        loomlm.run(config(9))
