"""What a user sees of each command."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from loomlm.config.check import usable_backends
from loomlm.registry import Registry

pytestmark = pytest.mark.one_backend

COMMANDS = ("init", "config", "explain", "run", "evaluate", "predict", "plugins", "doctor")


@pytest.fixture
def run(config_file, loomlm_command) -> Path:
    """The folder of a run that has ended."""
    assert loomlm_command("run", config_file()).code == 0
    return Path("runs/small")


def test_help_lists_the_commands_and_how_to_start(loomlm_command):
    done = loomlm_command("--help")

    assert done.code == 0
    assert "loomlm init classification" in done.out
    for name in COMMANDS:
        assert f"  {name}" in done.out
        assert loomlm_command(name, "--help").code == 0


def test_run_without_a_terminal_prints_plain_lines(config_file, loomlm_command):
    done = loomlm_command("run", config_file())

    assert "\r" not in done.out + done.err
    assert "\x1b" not in done.out + done.err
    assert "Training finetune: " in done.err
    assert "accuracy" in done.out
    assert "Model: " in done.out


@pytest.mark.each_backend
def test_set_and_backend_reach_the_run(config_file, backend, loomlm_command):
    path = config_file()
    path.write_text(path.read_text().replace(f'backend = "{backend}"', 'backend = "auto"'))
    done = loomlm_command("run", path, "--set", "name=other", "--backend", backend)
    unknown = loomlm_command("run", path, "--backend", "pytorch")

    assert done.code == 0
    assert Path("runs/other/model").is_dir()
    assert unknown.code == 2
    assert "There is no backend 'pytorch'. Did you mean 'torch'?" in unknown.err


def test_resume_of_a_run_that_has_ended_changes_nothing(run, config_file, loomlm_command):
    before = (run / "model" / "manifest.json").read_bytes()

    done = loomlm_command("run", config_file(), "--resume")

    assert done.code == 0
    assert (run / "model" / "manifest.json").read_bytes() == before
    assert loomlm_command("run", config_file(), "--resume", "--overwrite").code == 2


def test_resume_must_insists_on_a_run(config_file, loomlm_command):
    done = loomlm_command("run", config_file(), "--resume=must")

    assert done.code == 2
    assert "no run in" in done.err


def test_evaluate_gives_what_the_run_gave(run, loomlm_command):
    done = loomlm_command("evaluate", run, "--json")

    scores = json.loads(done.out)["finetune"]["test"]
    expected = json.loads((run / "evaluation.json").read_text())["finetune"]["test"]
    assert scores.pop("details")["per_class"] == expected.pop("details")["per_class"]
    assert scores == pytest.approx(expected)


def test_evaluate_on_another_backend_gives_the_same(run, loomlm_command):
    expected = json.loads((run / "evaluation.json").read_text())["finetune"]["test"]
    del expected["details"]

    for other in usable_backends(Registry.load()):
        done = loomlm_command("evaluate", run, "--json", "--backend", other)
        scores = json.loads(done.out)["finetune"]["test"]
        del scores["details"]
        assert scores == pytest.approx(expected, rel=1e-4)


def test_evaluate_on_other_data_from_any_folder(run, tmp_path, monkeypatch, loomlm_command):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "more.csv").write_text("text,label\nrain and wind,weather\nsoup,food\n")
    (elsewhere / "more.jsonl").write_text('{"text": "rain and wind", "label": "weather"}\n')
    monkeypatch.chdir(elsewhere)

    for name in ("more.csv", "more.jsonl"):
        done = loomlm_command("evaluate", tmp_path / run, "--data", name)
        assert done.code == 0, done.err
        assert name in done.out
        assert "1.0000" in done.out


def test_evaluate_says_what_is_wrong(run, tmp_path, loomlm_command):
    (tmp_path / "other.csv").write_text("txt,label\na,b\n")

    column = loomlm_command("evaluate", run, "--data", "other.csv")
    split = loomlm_command("evaluate", run, "--split", "tset")
    missing = loomlm_command("evaluate", "runs/smal")

    assert (column.code, split.code, missing.code) == (2, 2, 2)
    assert "other.csv:1" in column.err
    assert "Did you mean 'test'?" in split.err
    assert "runs/smal" in missing.err


def test_predict_takes_arguments_files_and_standard_input(
    run, tmp_path, monkeypatch, loomlm_command
):
    (tmp_path / "in.jsonl").write_text('{"id": 7, "text": "rain and wind"}\n\n{"text": "soup"}\n')
    (tmp_path / "in.txt").write_text("rain and wind\nsoup\n")

    alone = json.loads(loomlm_command("predict", run, "rain and wind").out)
    to_file = loomlm_command("predict", run, "--file", "in.jsonl", "--output", "out.jsonl")
    from_text = loomlm_command("predict", run, "--file", "in.txt").out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"soup\n"), "utf-8"))
    from_input = json.loads(loomlm_command("predict", run).out)

    assert alone["label"] == "weather"
    assert sum(alone["probabilities"].values()) == pytest.approx(1)
    assert to_file.code == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(row.get("id"), row["label"]) for row in rows] == [(7, "weather"), (None, "food")]
    assert len(from_text.splitlines()) == 2
    assert from_input["label"] == "food"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--file", "nothing.jsonl"), "nothing.jsonl"),
        (("--file", "bad.jsonl"), "bad.jsonl:2: not JSON"),
        (("--file", "shape.jsonl"), "shape.jsonl:1"),
        (("--file", "latin.txt"), "latin.txt is not UTF-8"),
        (("--file", "empty.txt"), "empty.txt has no text"),
        (("text", "--output", "no/such/folder/out.jsonl"), "cannot be written"),
        (("text", "--file", "bad.jsonl"), "not both"),
    ],
)
def test_predict_says_what_is_wrong(run, tmp_path, loomlm_command, words, said):
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n{"text"\n')
    (tmp_path / "shape.jsonl").write_text('["a"]\n')
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    (tmp_path / "empty.txt").write_text("")

    done = loomlm_command("predict", run, *words)

    assert done.code == 2
    assert said in done.err


def test_a_model_that_was_changed_is_refused(run, loomlm_command):
    weights = run / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)

    done = loomlm_command("predict", run, "rain")

    assert done.code == 1
    assert "model.safetensors has changed since it was written" in done.err


@pytest.mark.each_backend
def test_explain_names_the_object_and_file_of_each_step(config_file, backend, loomlm_command):
    done = loomlm_command("explain", config_file())

    assert done.code == 0
    for part in (
        "loomlm_sources.files.Files",
        f"loomlm_{backend}.mlp.build",
        "mlp.py:",
        "embedding.weight (50000, 16)  sparse",
        "-> hidden (16, 16)",
        "loomlm.training.loop.train",
        "loomlm_optimization.schedules.linear",
    ):
        assert part in done.out


def test_plugins_as_json(loomlm_command):
    listed = json.loads(loomlm_command("plugins", "--json").out)

    for name in ("torch", "tensorflow"):
        backend = next(plugin for plugin in listed if plugin["module"] == f"loomlm_{name}")
        there = name in usable_backends(Registry.load())
        assert backend["state"] == ("loaded" if there else "unavailable")
        assert backend["components"][0]["install"] == f'pip install "loomlm[{name}]"'


@pytest.mark.each_backend
def test_doctor_names_versions_devices_and_broken_plugins(
    backend, tmp_path, loomlm_command, monkeypatch
):
    site = tmp_path / "site"
    (site / "bad-1.0.dist-info").mkdir(parents=True)
    (site / "bad-1.0.dist-info" / "METADATA").write_text("Name: bad\nVersion: 1.0\n")
    (site / "bad-1.0.dist-info" / "entry_points.txt").write_text("[loomlm]\nx = bad_plugin\n")
    (site / "bad_plugin.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(site))

    done = loomlm_command("doctor")

    assert done.code == 0
    for part in ("Python", f"Backend    {backend}: ", "cpu (", "bad 1.0", "ZeroDivisionError"):
        assert part in done.out


@pytest.mark.parametrize(("load", "said"), [(3.1, True), (1.9, False)])
def test_doctor_says_when_others_take_the_cores(load, said, loomlm_command, monkeypatch):
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 4)

    done = loomlm_command("doctor")

    assert ("other programs took 3.1 of 4 cores in the last minute" in done.out) == said


def test_evaluate_sees_whether_another_file_has_a_header(
    config_file, tmp_path, monkeypatch, loomlm_command
):
    path = config_file()
    test = tmp_path / "test.csv"
    test.write_text("".join(test.read_text().splitlines(keepends=True)[1:]))
    words = ("--set", "stages.finetune.data.header={test=false}")
    assert loomlm_command("run", path, *words).code == 0
    (tmp_path / "with.csv").write_text("label,text\nweather,rain and wind\n")
    (tmp_path / "without.csv").write_text("rain and wind,weather\n")

    for name in ("with.csv", "without.csv"):
        assert "1.0000" in loomlm_command("evaluate", "runs/small", "--data", name).out


@pytest.mark.parametrize("option", ["format=foo", "delimiter=ab", "encoding=5", "colums=3"])
def test_init_with_a_wrong_data_key(topics, loomlm_command, option):
    done = loomlm_command("init", "classification", "--train", "train.csv", "--data", option)

    assert done.code == 2
    assert "cannot be described" in done.err
    assert option.split("=")[0] in done.err
