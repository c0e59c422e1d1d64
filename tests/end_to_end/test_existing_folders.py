"""What stands on disk already: runs that go on, and folders that are no runs."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import loomlm
from loomlm.storage.lock import locked

pytestmark = pytest.mark.one_backend


@pytest.mark.parametrize("option", ["--overwrite", "--resume", None])
def test_a_folder_that_is_no_run_is_left_alone(config_file, loomlm_command, option):
    path = config_file()
    Path("runs/small/src").mkdir(parents=True)
    Path("runs/small/src/main.py").write_text("print(1)")

    done = loomlm_command("run", path, *([option] if option else []))

    assert done.code == 2
    assert "runs/small is no run: it has no config.toml, but src" in done.err
    assert Path("runs/small/src/main.py").read_text() == "print(1)"


def test_a_file_of_the_run_s_name_is_left_alone(config_file, loomlm_command):
    path = config_file()
    Path("runs").mkdir()
    Path("runs/small").write_text("mine")

    done = loomlm_command("run", path, "--overwrite")

    assert done.code == 2
    assert "is a file" in done.err
    assert Path("runs/small").read_text() == "mine"


def test_a_run_that_trains_is_not_overwritten(config_file, loomlm_command):
    path = config_file(steps="3")
    assert loomlm_command("run", path).code == 0
    before = Path("runs/small/evaluation.json").read_bytes()

    with locked(Path("runs/small")):
        done = loomlm_command("run", path, "--overwrite")

    assert done.code == 2
    assert "being written by another process" in done.err
    assert Path("runs/small/evaluation.json").read_bytes() == before


def test_a_run_that_came_in_between_is_not_gone_on_with(config_file, monkeypatch):
    """Two processes check that there is no run, and one is quicker."""
    from loomlm.training import run as module

    path = config_file(steps="3")
    make, entered = module.make_folder, []

    def quicker(folder: Path, named: str) -> None:
        if not entered:
            entered.append(True)
            loomlm.run(loomlm.load_config(path, set=["trainer.learning_rate=1e-4"]))
        make(folder, named)

    monkeypatch.setattr(module, "make_folder", quicker)
    with pytest.raises(loomlm.UsageError, match=r"learning_rate: 0\.0001 there, 0\.01 now"):
        loomlm.run(path)


def test_a_resumed_run_keeps_the_reasons_of_its_config(config_file, loomlm_command):
    path = config_file(steps="3")
    assert loomlm_command("run", path).code == 0
    before = Path("runs/small/config.toml").read_text()
    assert "# exact, and as fast here" in before
    Path("runs/small/evaluation.json").unlink()

    assert loomlm_command("run", path, "--resume").code == 0
    assert Path("runs/small/config.toml").read_text() == before


def test_what_a_killed_process_left_half_written_goes(config_file, loomlm_command):
    path = config_file(steps="3")
    assert loomlm_command("run", path).code == 0
    Path("runs/small/evaluation.json").unlink()
    half = Path("runs/small/finetune/checkpoints/.00000002.99-0a1b2c3d")
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")

    assert loomlm_command("run", path, "--resume").code == 0
    assert not half.exists()


def test_a_run_that_has_ended_says_so(config_file, loomlm_command):
    path = config_file(steps="3")
    assert "Going on" not in loomlm_command("run", path, "--resume").err
    assert "It has ended already" in loomlm_command("run", path, "--resume").err


@pytest.mark.parametrize("key", ['keep_best="f1"', "evaluate_every=2", "early_stopping={}"])
def test_scores_of_a_split_that_is_not_there_are_refused_first(config_file, loomlm_command, key):
    path = config_file(steps="3")
    assert loomlm_command("run", path).code == 0

    done = loomlm_command("run", path, "--overwrite", "--set", f"trainer.{key}")

    assert done.code == 2
    assert "needs a validation split" in done.err
    assert "validation = 0.1" in done.err
    assert Path("runs/small/evaluation.json").exists()


@pytest.mark.parametrize("key", ['keep_best="acuracy"', 'early_stopping={metric="acuracy"}'])
def test_unknown_scores_are_refused_first(config_file, loomlm_command, key):
    path = config_file(steps="3")
    assert loomlm_command("run", path).code == 0
    split = "stages.finetune.data.split={validation=0.2}"

    done = loomlm_command("run", path, "--overwrite", "--set", f"trainer.{key}", "--set", split)

    assert done.code == 2
    assert "no score 'acuracy'. Did you mean 'accuracy'?" in done.err
    assert Path("runs/small/evaluation.json").exists()


def test_metrics_that_do_not_fit_the_labels_are_refused_first(config_file, loomlm_command):
    path = config_file(steps="3")
    assert loomlm_command("run", path).code == 0
    metric = 'stages.finetune.metrics=[{type="f1", average="binary", positive="wether"}]'

    done = loomlm_command("run", path, "--overwrite", "--set", metric)

    assert done.code == 2
    assert "weather" in done.err
    assert Path("runs/small/evaluation.json").exists()


@pytest.mark.each_backend
def test_memory_that_is_not_there_is_no_traceback(config_file, loomlm_command):
    done = loomlm_command("run", config_file(), "--set", "backbone.width=1000000000000")

    assert done.code == 1
    assert "There is not enough memory" in done.err
    assert "batch_size" in done.err


def test_bad_input_leaves_the_predictions_of_before(config_file, loomlm_command):
    assert loomlm_command("run", config_file(steps="3")).code == 0
    Path("in.jsonl").write_text('{"text": "rain"}\n' * 5000 + "no JSON\n")
    Path("out.jsonl").write_text("before\n")

    done = loomlm_command("predict", "runs/small", "--file", "in.jsonl", "--output", "out.jsonl")

    assert done.code == 2
    assert Path("out.jsonl").read_text() == "before\n"
    assert not list(Path().glob(".out*"))


def test_predictions_stand_line_by_line_beside_what_was_given(config_file, loomlm_command):
    assert loomlm_command("run", config_file(steps="3")).code == 0
    Path("in.jsonl").write_text('{"text": "rain", "label": "GOLD", "id": 7}\n')
    Path("in.txt").write_text("rain\n\nsoup\n")

    row = json.loads(loomlm_command("predict", "runs/small", "--file", "in.jsonl").out)
    lines = loomlm_command("predict", "runs/small", "--file", "in.txt").out.splitlines()

    assert row["given_label"] == "GOLD"
    assert row["label"] in row["probabilities"]
    assert row["id"] == 7
    assert [json.loads(line)["text"] for line in lines] == ["rain", "", "soup"]


def test_predict_takes_texts_alone(config_file):
    model = loomlm.run(config_file(steps="3")).model()

    assert len(model.predict(text for text in ("rain", "soup"))) == 2
    for wrong in ([None], ["rain", 3], [np.float32(1)]):
        with pytest.raises(loomlm.UsageError, match="predict takes texts"):
            model.predict(wrong)


def test_run_takes_no_other_words(config_file):
    path = config_file(steps="3")
    for how in ({"resume": "please"}, {"resume": "auto", "overwrite": True}):
        with pytest.raises(loomlm.UsageError):
            loomlm.run(path, **how)
    with pytest.raises(loomlm.UsageError, match="a dict, not 3"):
        loomlm.load_config(3)


@pytest.mark.one_backend("torch")
def test_another_backend_may_compute_in_its_own_way_and_change_nothing_else(
    config_file, loomlm_command, request
):
    if find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")
    request.getfixturevalue("tensorflow")
    path = config_file(steps="3", compile='"auto"', threads='"auto"')
    assert loomlm_command("run", path).code == 0
    again = ("run", path, "--resume")

    in_the_config = loomlm_command(*again, "--set", "backend=tensorflow")
    with_more = loomlm_command(*again, "--backend", "tensorflow", "--set", "trainer.batch_size=8")
    named = loomlm_command(*again, "--backend", "tensorflow")

    assert in_the_config.code == 2
    assert "backend: 'torch' there, 'tensorflow' now" in in_the_config.err
    assert with_more.code == 2
    assert "trainer.batch_size: 16 there, 8 now" in with_more.err
    assert "compile" not in with_more.err
    assert named.code == 0
