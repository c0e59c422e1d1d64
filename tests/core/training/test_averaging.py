"""The weights that a stage ends with: a moving average, or the mean of checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import loomlm
from loomlm.plugin import ConfigError, LoomlmError, hookimpl

RUN = Path("runs/small")
CHECKPOINTS = RUN / "finetune/checkpoints"
MODEL = RUN / "model/model.safetensors"
EVERY = {"checkpoint_every": "4", "evaluate_every": "4", "keep_last": "1"}


def weights(step: int, part: str = "model") -> dict[str, np.ndarray]:
    return load_file(CHECKPOINTS / f"{step:08d}" / f"{part}.safetensors")


class Stop:
    """Ends a run at a step's evaluation as a fault would."""

    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def loomlm_evaluated(self, event) -> None:
        if event.step == self.step:
            raise LoomlmError("power")


def with_validation(path: Path) -> Path:
    return path_with(path, 'label = "label" }', 'label = "label", split.validation = 0.2 }')


def path_with(path: Path, old: str, new: str) -> Path:
    path.write_text(path.read_text().replace(old, new))
    return path


def test_the_moving_average_is_what_is_scored_and_saved(config_file):
    # What may be gone back to has the weights in front of the first update.
    keys = {"keep_every": "1", "non_finite": '"rollback"'}
    run = loomlm.run(with_validation(config_file(steps="12", ema="0.9", **EVERY, **keys)))
    expected = {name: array.astype(np.float64) for name, array in weights(0).items()}
    for step in range(1, 13):
        decay = min(0.9, (1 + step) / (10 + step))
        for name, array in weights(step).items():
            expected[name] = decay * expected[name] + (1 - decay) * array
    saved = load_file(MODEL)
    for name, array in expected.items():
        np.testing.assert_allclose(saved[name], array, rtol=1e-5, atol=1e-7)
        assert saved[name].dtype == np.float32
    lines = [json.loads(line) for line in (RUN / "finetune/metrics.jsonl").open()]
    last = [line for line in lines if line["split"] == "validation"][-1]
    scores = run.evaluation["finetune"]["validation"]
    assert last["loss"] == scores["loss"]
    assert scores["weights"] == "moving average, 0.9"
    assert not np.array_equal(saved["head.weight"], weights(12)["head.weight"])


def test_a_run_that_was_killed_has_the_same_average(config_file):
    path = with_validation(config_file(steps="12", ema="0.9", **EVERY))
    loomlm.run(path)
    unbroken = MODEL.read_bytes()
    with pytest.raises(LoomlmError, match="power"):
        loomlm.run(path, overwrite=True, observers=[Stop(8)])
    loomlm.run(path, resume="must")
    assert MODEL.read_bytes() == unbroken


@pytest.mark.one_backend
def test_the_best_average_is_taken_from_its_checkpoint(config_file, monkeypatch):
    from loomlm.training import loop

    losses = iter([1.0, 0.0, 0.5])
    monkeypatch.setattr(loop, "_score", lambda *_: next(losses))
    path = with_validation(config_file(steps="12", ema="0.5", **EVERY, keep_best='"loss"'))
    loomlm.run(path)
    saved, best = load_file(MODEL), weights(8, "optimizer")
    assert all(np.array_equal(array, best[f"ema.{name}"]) for name, array in saved.items())


@pytest.mark.one_backend
def test_an_average_can_begin_and_end_where_a_run_goes_on(config_file):
    path = with_validation(config_file(steps="4", **EVERY))
    loomlm.run(path)
    go_on = {"resume": "must", "allow": ["trainer.steps", "trainer.ema"]}
    loomlm.run(loomlm.load_config(path, set=["trainer.steps=8", "trainer.ema=0.5"]), **go_on)
    assert any(name.startswith("ema.") for name in weights(8, "optimizer"))
    loomlm.run(loomlm.load_config(path, set=["trainer.steps=12"]), **go_on)
    assert not any(name.startswith("ema.") for name in weights(12, "optimizer"))
    saved = load_file(MODEL)
    assert all(np.array_equal(array, saved[name]) for name, array in weights(12).items())


def test_the_mean_of_the_last_checkpoints(config_file):
    path = with_validation(config_file(steps="14", average="3", **EVERY))
    run = loomlm.run(path)
    assert sorted(int(one.name) for one in CHECKPOINTS.iterdir()) == [4, 8, 12, 14]
    assert run.evaluation["finetune"]["validation"]["weights"] == "mean of steps 8, 12, 14"
    saved = load_file(MODEL)
    for name, array in saved.items():
        mean = np.mean([weights(step)[name].astype(np.float64) for step in (8, 12, 14)], axis=0)
        np.testing.assert_array_equal(array, mean.astype(np.float32))


@pytest.mark.one_backend
def test_a_run_that_was_stopped_has_the_same_mean(config_file):
    path = with_validation(config_file(steps="20", average="3", **EVERY))
    loomlm.run(path)
    unbroken = MODEL.read_bytes()
    with pytest.raises(LoomlmError, match="power"):
        loomlm.run(path, overwrite=True, observers=[Stop(16)])
    loomlm.run(path, resume="must")
    assert MODEL.read_bytes() == unbroken


@pytest.mark.one_backend
def test_the_mean_from_a_step_on(config_file):
    path = with_validation(config_file(steps="16", average_from="8", **EVERY))
    run = loomlm.run(path)
    assert run.evaluation["finetune"]["validation"]["weights"] == "mean of steps 8, 12, 16"


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"average": "3"}, r"checkpoint_every.*`average` takes the mean.*such as 500"),
        ({"average": "3", "checkpoint_every": "4", "ema": "0.9"}, "`ema` says otherwise"),
        ({"average_from": "3", "checkpoint_every": "4", "keep_best": '"loss"'}, "`keep_best` says"),
        ({"ema": "1.5"}, "must be <= 0.999999"),
    ],
)
def test_keys_that_do_not_go_together(config_file, keys, said):
    with pytest.raises(ConfigError, match=said):
        loomlm.load_config(config_file(**keys))


@pytest.mark.one_backend
def test_a_backend_that_keeps_no_average_is_told():
    from types import SimpleNamespace

    from loomlm.config.settings import TrainerConfig
    from loomlm.plugin import UsageError
    from loomlm.training.averaging import check_average

    engine = SimpleNamespace(state=lambda _: iter([("head.weight.mean", np.zeros(1))]))
    with pytest.raises(UsageError, match="the backend 'other' keeps no moving average"):
        check_average(engine, TrainerConfig(steps=1, ema=0.9), "other")
    check_average(engine, TrainerConfig(steps=1), "other")
