"""A run whose parts come from a file of the user's: its model is used later, and elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import loomlm

pytestmark = pytest.mark.one_backend

MINE = """
from loomlm.plugin import Component, hookimpl

class Always:
    accepts = frozenset({"classes"})
    higher_is_better = True
    def __init__(self, config, context): pass
    def update(self, outcome): pass
    def compute(self): return {"always": 1.0}

def shout(config): return str.upper

@hookimpl
def loomlm_metrics():
    return [Component(kind="metric", name="always", summary="s", target=f"{__name__}:Always")]

@hookimpl
def loomlm_cleaners():
    return [Component(kind="cleaner", name="shout", summary="s", target=f"{__name__}:shout")]
"""
METRIC = ("--set", "stages.finetune.metrics=['always']")
CLEANER = ("--set", "stages.finetune.data.clean=['shout']")


@pytest.fixture
def config(config_file, tmp_path) -> Path:
    """A config that names a plugin beside it."""
    (tmp_path / "mine.py").write_text(MINE)
    path: Path = config_file(steps="20")
    path.write_text(f'plugins = ["mine.py"]\n{path.read_text()}')
    return path


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Call it to work in another folder from then on."""

    def go() -> None:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")

    return go


def test_the_model_loads_from_any_folder(config, tmp_path, elsewhere, loomlm_command):
    assert loomlm_command("run", config, *METRIC, *CLEANER).code == 0
    elsewhere()

    model = loomlm.load_model(tmp_path / "runs" / "small")

    assert model.predict(["rain"]) == model.predict(["RAIN"])


def test_a_run_is_resumed_from_any_folder(config, tmp_path, elsewhere, loomlm_command):
    words = ("run", config, *METRIC, *CLEANER, "--runs", tmp_path / "runs")
    whole = loomlm_command(*words)
    (tmp_path / "runs" / "small" / "evaluation.json").unlink()
    elsewhere()

    resumed = loomlm_command(*words, "--resume=must")

    assert resumed.code == 0, resumed.err
    table = [line for line in whole.out.splitlines() if line.startswith("finetune")]
    assert table
    assert [line for line in resumed.out.splitlines() if line.startswith("finetune")] == table


def test_a_model_folder_names_no_file_to_import_but_takes_one(config, tmp_path, loomlm_command):
    loomlm_command("run", config, *CLEANER)
    described = json.loads(Path("runs/small/model/config.json").read_text())

    bare = loomlm_command("predict", "runs/small/model", "rain")

    assert described["clean"] == [{"type": "shout"}]
    assert bare.code == 2
    assert "There is no cleaner 'shout'." in bare.err
    assert "mine.py" in bare.err
    assert loomlm_command("predict", "runs/small/model", "rain", "-p", "mine.py").code == 0
    model = loomlm.load_model("runs/small/model", plugins=["mine.py"])
    assert model.predict(["rain"])


def test_a_file_that_is_gone_stops_only_who_needs_it(config, tmp_path, loomlm_command):
    loomlm_command("run", config, *METRIC)
    (tmp_path / "mine.py").unlink()

    predicted = loomlm_command("predict", "runs/small", "rain")
    evaluated = loomlm_command("evaluate", "runs/small")

    assert predicted.code == 0
    assert evaluated.code == 2
    assert "There is no metric 'always'." in evaluated.err
    assert f"{tmp_path / 'mine.py'} broke: FileNotFoundError" in evaluated.err


def test_a_file_that_has_moved_is_given_anew(config, tmp_path, loomlm_command):
    loomlm_command("run", config, *METRIC, *CLEANER)
    (tmp_path / "moved").mkdir()
    (tmp_path / "mine.py").rename(tmp_path / "moved" / "mine.py")
    plugin = ("-p", "moved/mine.py")

    assert loomlm_command("predict", "runs/small", "rain", *plugin).code == 0
    evaluated = loomlm_command("evaluate", "runs/small", *plugin)
    assert evaluated.code == 0, evaluated.err
    assert "always" in evaluated.out


def test_a_run_s_own_plugin_can_be_left_out(config, tmp_path, loomlm_command):
    loomlm_command("run", config, *METRIC)
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")

    assert loomlm_command("predict", "runs/small", "rain", "-p", "no:mine.py").code == 0
    assert not (tmp_path / "imported").exists()


def test_what_a_plugin_left_behind_still_ends_before_the_command_does(tmp_path):
    # Nobody holds it, and it holds itself; nothing comes across it by chance.
    (tmp_path / "mine.py").write_text("""
import gc
from pathlib import Path
class Log:
    def __init__(self):
        self.itself = self
    def __del__(self):
        Path("log.txt").write_text("kept")
gc.disable()
Log()
""")
    command = [sys.executable, "-m", "loomlm", "plugins", "-p", "mine.py"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    assert (tmp_path / "log.txt").read_text() == "kept"
