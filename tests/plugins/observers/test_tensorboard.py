"""TensorBoard reads back what the observer wrote."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from loomlm.plugin import (
    Evaluated,
    RunEnded,
    RunStarted,
    StageStarted,
    StepScalars,
    StepsEnded,
)
from loomlm_observers.config import TensorBoardConfig

pytest.importorskip("tensorboard")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from loomlm_observers.tensorboard import TensorBoard


def start(run: Path, folder: Path | None = None, step: int = 0) -> TensorBoard:
    observer = TensorBoard(TensorBoardConfig(folder))
    observer.loomlm_run_started(RunStarted(folder=str(run), config={}, resumed=step > 0))
    observer.loomlm_stage_started(
        StageStarted(stage="pretrain", step=step, steps=9, parameters=3, folder=str(run))
    )
    return observer


def steps(observer: TensorBoard, losses: dict[int, float], stage: str = "pretrain") -> None:
    scalars = [
        StepScalars(step=step, loss=loss, gradient_norm=2 * loss, finite=True)
        for step, loss in losses.items()
    ]
    event = StepsEnded(
        stage=stage,
        scalars=tuple(scalars),
        learning_rates=tuple(step / 8 for step in losses),
        steps=9,
        examples_per_second=1.0,
        tokens_per_second=1.0,
        seconds_left=1.0,
    )
    observer.loomlm_steps_ended(event)


def end(observer: TensorBoard, run: Path) -> None:
    observer.loomlm_run_ended(RunEnded(folder=str(run), evaluation={}, error=None))


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(scalar.step, scalar.value) for scalar in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_scalars_of_a_stage_come_back(tmp_path):
    observer = start(tmp_path)
    steps(observer, {1: 2.0, 2: 1.5})
    steps(observer, {3: 1.25})
    metrics = {"loss": 1.75, "f1/World": 0.5, "confusion_matrix": [[1]], "done": True, "n": 3}
    observer.loomlm_evaluated(
        Evaluated(
            stage="pretrain",
            step=3,
            split="validation",
            metrics=metrics,
            folder="",
            generate=None,
            say=print,
        )
    )
    end(observer, tmp_path)
    assert read(tmp_path / "tensorboard" / "pretrain") == {
        "train/loss": [(1, 2.0), (2, 1.5), (3, 1.25)],
        "train/learning_rate": [(1, 0.125), (2, 0.25), (3, 0.375)],
        "train/gradient_norm": [(1, 4.0), (2, 3.0), (3, 2.5)],
        "validation/loss": [(3, 1.75)],
        "validation/f1/World": [(3, 0.5)],
        "validation/n": [(3, 3.0)],
    }


def test_scalars_can_be_read_while_the_run_goes_on(tmp_path):
    observer = start(tmp_path)
    steps(observer, {1: 2.0})
    assert read(tmp_path / "tensorboard" / "pretrain")["train/loss"] == [(1, 2.0)]
    end(observer, tmp_path)


def test_each_stage_has_a_curve_of_its_own(tmp_path):
    observer = start(tmp_path)
    steps(observer, {1: 2.0})
    steps(observer, {1: 8.0}, stage="finetune")
    end(observer, tmp_path)
    assert read(tmp_path / "tensorboard" / "pretrain")["train/loss"] == [(1, 2.0)]
    assert read(tmp_path / "tensorboard" / "finetune")["train/loss"] == [(1, 8.0)]


def test_a_resumed_run_replaces_the_steps_that_it_does_again(tmp_path):
    first = start(tmp_path)
    steps(first, {1: 8.0, 2: 7.0, 3: 6.0, 4: 5.0})
    end(first, tmp_path)
    second = start(tmp_path, step=2)
    steps(second, {3: 1.0, 4: 0.5})
    end(second, tmp_path)
    losses = read(tmp_path / "tensorboard" / "pretrain")["train/loss"]
    assert losses == [(1, 8.0), (2, 7.0), (3, 1.0), (4, 0.5)]


def test_a_loss_that_is_not_finite_is_written_as_such(tmp_path):
    observer = start(tmp_path)
    steps(observer, {1: math.nan})
    end(observer, tmp_path)
    ((_, loss),) = read(tmp_path / "tensorboard" / "pretrain")["train/loss"]
    assert math.isnan(loss)


def test_a_folder_of_several_runs_keeps_them_apart(tmp_path):
    for name, loss in (("one", 1.0), ("two", 2.0)):
        observer = start(tmp_path / name, folder=tmp_path / "board")
        steps(observer, {1: loss})
        end(observer, tmp_path / name)
    assert read(tmp_path / "board" / "one" / "pretrain")["train/loss"] == [(1, 1.0)]
    assert read(tmp_path / "board" / "two" / "pretrain")["train/loss"] == [(1, 2.0)]


def test_no_framework_is_imported_even_where_tensorflow_is_installed(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise RuntimeError('tensorflow was imported')\n")
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from pathlib import Path
from loomlm.plugin import RunEnded, RunStarted, Evaluated
from loomlm_observers.config import TensorBoardConfig
from loomlm_observers.tensorboard import TensorBoard
observer = TensorBoard(TensorBoardConfig())
observer.loomlm_run_started(RunStarted(folder={str(tmp_path)!r}, config={{}}, resumed=False))
observer.loomlm_evaluated(Evaluated(
    stage="a", step=1, split="test", metrics={{"loss": 1.0}}, folder="", generate=None, say=print
))
observer.loomlm_run_ended(RunEnded(folder={str(tmp_path)!r}, evaluation={{}}, error=None))
assert not {{"tensorflow", "torch"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert read(tmp_path / "tensorboard" / "a") == {"test/loss": [(1, 1.0)]}
