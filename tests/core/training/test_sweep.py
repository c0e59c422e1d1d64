"""Searches: trials are proposed, run, scored, stopped and gone on with. What runs is a stand-in."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

import loomlm
from loomlm.plugin import ConfigError, LoomlmError, UsageError
from loomlm.training.interrupts import StoppedError
from loomlm.training.sweep import sweep
from loomlm.training.sweep_trials import Command

pytestmark = pytest.mark.one_backend

FOLDER = Path("runs/small")

RUN = """
import json, pathlib, sys, time
folder, name, assignments, behaviour = json.loads(sys.argv[1])
folder = pathlib.Path(folder) / name
stage = folder / "finetune"
stage.mkdir(parents=True, exist_ok=True)
starts = folder / "starts"
starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
values = dict(one.split("=", 1) for one in assignments)
(folder / "config.toml").write_text("name = 'x'\\nseed = 3\\n")
score = 1 - abs(float(values["backbone.dropout"]) - 0.25)
if behaviour == "broken" and values["backbone.width"] == "8":
    print("Error: Eight is too\\n  wide.", file=sys.stderr)
    sys.exit(2)
if behaviour == "slow":
    with (stage / "metrics.jsonl").open("a") as lines:
        for step in range(1, 30 if name in ("trial-0", "trial-1", "trial-2", "trial-3") else 600):
            now = 0.9 if int(name[6:]) < 4 else 0.1
            lines.write(json.dumps({"step": step, "split": "validation", "accuracy": now}) + "\\n")
            lines.flush()
            time.sleep(0.01)
if behaviour == "hangs" and starts.read_text() == "x" and name != "trial-0":
    time.sleep(60)
scores = {"accuracy": score, "loss": 1 - score} if behaviour != "nothing" else {}
evaluation = {"finetune": {"validation": scores}}
(folder / "evaluation.json").write_text(json.dumps(evaluation))
"""


@pytest.fixture
def config(config_file, tmp_path) -> Path:
    path = config_file(steps="3")
    text = path.read_text().replace(
        'label = "label" }', 'label = "label", split.validation = 0.2 }'
    )
    path.write_text(
        f"""{text}
[sweep]
trials = 8

[sweep.search]
"backbone.dropout" = {{ low = 0, high = 0.9 }}
"backbone.width" = {{ choices = [8, 16] }}
"""
    )
    return path


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Has another program run in place of `loomlm run`, which behaves in some way."""
    program = tmp_path / "run.py"
    program.write_text(RUN)

    def behave(how: str = "") -> None:
        def words(self: Command, name: str, assignments: list[str]) -> list[str]:
            given = json.dumps([str(self.folder), name, list(assignments), how])
            return [sys.executable, "-S", str(program), given]

        monkeypatch.setattr(Command, "words", words)

    behave()
    return behave


def starts() -> dict[str, int]:
    return {path.parent.name: len(path.read_text()) for path in FOLDER.glob("trial-*/starts")}


def test_the_best_comes_first_and_all_is_written(config, stand_in):
    said: list[str] = []
    done = sweep(config, processes=3, say=said.append)
    assert len(done.trials) == 8 and len(starts()) == 8
    scores = [trial.score for trial in done.trials]
    assert scores == sorted(scores, reverse=True)
    assert done.metric == "accuracy" and done.best.score == scores[0] > 0.8
    kept = json.loads((FOLDER / "sweep.json").read_text())
    assert [one["name"] for one in kept["trials"]] == [one.name for one in done.trials]
    assert kept["direction"] == "maximize"
    best = (FOLDER / "best.toml").read_text()
    assert best.startswith(f"# {done.best.name}: accuracy {scores[0]:.4f}")
    assert 'name = "small-best"' in best and "seed = 3" in best
    titles = ElementTree.fromstring((FOLDER / "sweep.svg").read_bytes())
    assert "svg" in titles.tag
    assert sum("the best so far" in sentence for sentence in said) >= 1


def test_a_loss_is_to_be_small(config, stand_in):
    done = sweep(config, set=["sweep.metric=loss", "sweep.sampler=random"])
    scores = [trial.score for trial in done.trials]
    assert scores == sorted(scores) and done.metric == "loss"
    assert json.loads((FOLDER / "sweep.json").read_text())["direction"] == "minimize"


def test_a_trial_that_fails_is_told_and_the_others_go_on(config, stand_in):
    stand_in("broken")
    said: list[str] = []
    done = sweep(config, say=said.append)
    failed = [trial for trial in done.trials if trial.state == "failed"]
    assert failed and len(done.trials) == 8
    assert done.trials[-len(failed) :] == tuple(failed)
    assert {trial.said for trial in failed} == {"Eight is too wide."}
    assert f"{failed[0].name} failed: Eight is too wide." in said


def test_where_none_comes_to_a_score_it_is_an_error(config, stand_in):
    stand_in("nothing")
    with pytest.raises(LoomlmError, match="None of 8 trials came to a score. trial-0: it has no"):
        sweep(config)
    assert json.loads((FOLDER / "sweep.json").read_text())["trials"]
    assert not (FOLDER / "best.toml").exists()


def test_what_is_worse_than_the_median_is_stopped(config, stand_in):
    stand_in("slow")
    done = sweep(config, set=["sweep.trials=6"])
    states = {trial.name: trial.state for trial in done.trials}
    assert [states[f"trial-{n}"] for n in range(4)] == ["done"] * 4
    assert [states[f"trial-{n}"] for n in (4, 5)] == ["pruned"] * 2


def test_more_trials_go_on_with_what_is_known(config, stand_in):
    first = sweep(config, set=["sweep.trials=3"])
    with pytest.raises(UsageError, match="holds a search already. Go on with --resume"):
        sweep(config)
    done = sweep(config, set=["sweep.trials=5"], resume=True)
    assert len(done.trials) == 5 and set(starts().values()) == {1}
    kept = {trial.name: trial.assignments for trial in done.trials}
    assert {trial.name: trial.assignments for trial in first.trials}.items() <= kept.items()
    assert len(set(kept.values())) == 5
    assert sweep(config, set=["sweep.trials=5"], resume=True).trials == done.trials
    with pytest.raises(UsageError, match="holds the search of another config"):
        sweep(config, set=["seed=4"], resume=True)
    assert len(sweep(config, set=["seed=4", "sweep.trials=2"], overwrite=True).trials) == 2
    assert len(starts()) == 2


def test_a_search_that_was_stopped_goes_on_with_its_trials(config, stand_in):
    stand_in("hangs")

    def stop() -> None:
        while len(starts()) < 3:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(StoppedError, match="Stopped with 1 of 4 trials done") as stopped:
        sweep(config, set=["sweep.trials=4"], processes=2)
    thread.join()
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    assert starts() == {"trial-0": 1, "trial-1": 1, "trial-2": 1}
    stand_in()
    done = sweep(config, set=["sweep.trials=4"], processes=2, resume=True)
    assert len(done.trials) == 4 and {trial.state for trial in done.trials} == {"done"}
    assert {name: count for name, count in starts().items() if count > 1} == {
        "trial-1": 2,
        "trial-2": 2,
    }


def test_what_cannot_be_searched_is_told(config, stand_in, config_file):
    with pytest.raises(UsageError, match="has no score 'acuracy'. Did you mean 'accuracy'"):
        sweep(config, set=["sweep.metric=acuracy"])
    with pytest.raises(UsageError, match="no validation split, and a search never looks"):
        sweep(config, set=["stages.finetune.data.split={}"])
    with pytest.raises(ConfigError, match="must be >= 1"):
        sweep(config, set=["sweep.trials=0"])
    assert not FOLDER.exists()
    FOLDER.mkdir(parents=True)
    (FOLDER / "mine.txt").touch()
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="is no search"):
            sweep(config, overwrite=overwrite)
    (FOLDER / "config.toml").touch()
    with pytest.raises(UsageError, match="holds a run"):
        sweep(config, overwrite=True)
    with pytest.raises(UsageError, match=r"has no table \[sweep\]"):
        sweep(config_file(steps="3"))


def test_without_optuna_it_says_what_to_install(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(loomlm.PluginError, match=r'pip install "loomlm\[sweep\]"'):
        sweep(config)


def test_a_trial_is_a_run_that_leaves_the_test_split_alone(config, loomlm_command):
    done = loomlm_command("sweep", config, "--set", "sweep.trials=1", "--set", "trainer.steps=4")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].split() == [
        *("trial", "accuracy", "backbone.dropout", "backbone.width")
    ]
    evaluation = json.loads((FOLDER / "trial-0/evaluation.json").read_text())
    assert set(evaluation["finetune"]) == {"validation"}
    assert "sweep" not in (FOLDER / "trial-0/config.toml").read_text()
    done = loomlm_command("run", FOLDER / "best.toml")
    assert done.code == 0, done.err
    scores = json.loads(Path("runs/small-best/evaluation.json").read_text())["finetune"]
    assert set(scores) == {"validation", "test"}
    assert scores["validation"] == evaluation["finetune"]["validation"]
