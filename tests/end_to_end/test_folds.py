"""`loomlm run --folds`: a run for each part of the training data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from statistics import fmean, stdev

import pytest

import loomlm
from loomlm.plugin import LoomlmError, hookimpl

FOLDER = Path("runs/small")


class Stop:
    """Ends the second fold as a fault would."""

    @hookimpl
    def loomlm_steps_ended(self, event) -> None:
        if "fold-2" in str(self.folder):
            raise LoomlmError("power")

    @hookimpl
    def loomlm_run_started(self, event) -> None:
        self.folder = event.folder


def test_each_part_is_held_out_and_all_are_told(config_file, loomlm_command):
    done = loomlm_command("run", config_file(steps="30"), "--folds", "3")
    assert done.code == 0, done.err
    assert "Fold 3 of 3" in done.err
    found = json.loads((FOLDER / "folds.json").read_text())
    each = [
        json.loads((FOLDER / f"fold-{number}/evaluation.json").read_text())["finetune"]
        for number in (1, 2, 3)
    ]
    for split in ("validation", "test"):
        values = [one[split]["accuracy"] for one in each]
        told = found["scores"]["finetune"][split]["accuracy"]
        assert told == {"mean": fmean(values), "spread": stdev(values), "values": values}
        assert f"{told['mean']:.4f}  {told['spread']:.4f}" in done.out
    vocabularies = {
        b"".join(path.read_bytes() for path in sorted((FOLDER / f"fold-{n}/tokenizer").iterdir()))
        for n in (1, 2, 3)
    }
    assert len(vocabularies) == 3, "each fold has a tokenizer of its own"


@pytest.mark.one_backend
def test_what_has_ended_is_not_done_again(config_file, loomlm_command):
    path = config_file(steps="30", checkpoint_every="5")
    with pytest.raises(LoomlmError, match="power"):
        loomlm.cross_validate(path, 3, observers=[Stop()])
    assert not (FOLDER / "fold-3").exists()
    first = FOLDER / "fold-1/evaluation.json"
    before = first.stat().st_mtime_ns

    refused = loomlm_command("run", path, "--folds", "3")
    assert refused.code == 2 and "fold-1 holds this run already" in refused.err
    done = loomlm_command("run", path, "--folds", "3", "--resume")
    assert done.code == 0, done.err
    assert first.stat().st_mtime_ns == before
    resumed = json.loads((FOLDER / "folds.json").read_text())

    shutil.rmtree(FOLDER)
    assert loomlm_command("run", path, "--folds", "3").code == 0
    assert json.loads((FOLDER / "folds.json").read_text()) == resumed


@pytest.mark.one_backend
def test_what_cannot_be_is_told(config_file, loomlm_command):
    path = config_file(steps="3")
    text = path.read_text()
    path.write_text(text.replace('label = "label" }', 'label = "label", streaming = true }'))
    done = loomlm_command("run", path, "--folds", "3")
    assert done.code == 2 and "nothing can be held out of it" in done.err
    path.write_text(text)
    done = loomlm_command("run", path, "--folds", "3", "--processes", "2")
    assert done.code == 2 and "do not go together" in done.err
    assert loomlm_command("run", path, "--folds", "1").code == 2
    assert loomlm_command("run", path).code == 0
    done = loomlm_command("run", path, "--folds", "3")
    assert done.code == 2 and "the folds need a folder of their own" in done.err
    done = loomlm_command("config", "check", path, "--set", "stages.finetune.data.split.fold=3")
    assert done.code == 2 and "`fold` goes with `folds`" in done.err


@pytest.mark.one_backend
def test_a_choice_by_the_held_out_part_is_told(config_file, loomlm_command):
    path = config_file(steps="4", evaluate_every="2", keep_best='"loss"')
    done = loomlm_command("run", path, "--folds", "2")
    assert done.code == 0 and "keep_best choose by the part that is held out" in done.err
