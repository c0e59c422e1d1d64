"""What was prepared with a plugin's code is not used again once that code has changed."""

from __future__ import annotations

import json

import pytest

import loomlm

pytestmark = pytest.mark.one_backend

CLEANER = """
from loomlm.plugin import Component, hookimpl

loomlm_api = (1, 1)

def clean(config):
    return str.{how}

@hookimpl
def loomlm_cleaners():
    return [Component(kind="cleaner", name="mine", summary="s", target=f"{{__name__}}:clean",
                      version="{version}")]
"""


def edit(path, how: str, version: str = "1") -> None:
    path.write_text(CLEANER.format(how=how, version=version))


def vocabulary(config_file, tmp_path) -> set[str]:
    """What a run of the small config learns, with the plugin of the test."""
    path = config_file(steps="1")
    path.write_text(f"plugins = ['mine.py']\n{path.read_text()}")
    settings = ["stages.finetune.data.clean=['mine']", "tokenizer.lowercase=false"]
    run = loomlm.run(loomlm.load_config(path, set=settings), overwrite=True)
    return set(run.model().tokenizer.vocabulary())


def test_an_edited_plugin_prepares_anew(config_file, tmp_path):
    edit(tmp_path / "mine.py", "upper")
    assert "RAIN" in vocabulary(config_file, tmp_path)

    edit(tmp_path / "mine.py", "lower")
    assert "rain" in vocabulary(config_file, tmp_path)


def test_the_same_code_prepares_once(config_file, tmp_path, monkeypatch, loomlm_command):
    edit(tmp_path / "mine.py", "upper")
    vocabulary(config_file, tmp_path)
    (tmp_path / "elsewhere").mkdir()

    done = loomlm_command("run", "runs/small/config.toml", "--overwrite")

    assert done.code == 0
    assert "Reading train" not in done.err


def test_a_model_of_another_version_of_a_part_is_used_with_a_warning(
    config_file, tmp_path, loomlm_command
):
    edit(tmp_path / "mine.py", "upper")
    vocabulary(config_file, tmp_path)
    assert "Warning" not in loomlm_command("predict", "runs/small", "RAIN").err

    edit(tmp_path / "mine.py", "upper", version="2")
    done = loomlm_command("predict", "runs/small", "RAIN")

    assert json.loads(done.out)["label"]
    assert (
        "Warning: The model's results may be others than when it was made: the cleaner 'mine' was "
        "of version 1 then, and is of version 2 now." in done.err
    )


def test_a_model_whose_part_has_other_code_is_used_with_a_warning(
    config_file, tmp_path, loomlm_command
):
    edit(tmp_path / "mine.py", "upper")
    vocabulary(config_file, tmp_path)

    edit(tmp_path / "mine.py", "lower")
    done = loomlm_command("predict", "runs/small", "RAIN")

    assert f"the code of the cleaner 'mine' ({tmp_path / 'mine.py'}) has changed since." in done.err


OBSERVER = """
from loomlm.plugin import Component, hookimpl

loomlm_api = (1, 1)

class Stops:
    def __init__(self, config):
        pass

    @hookimpl
    def loomlm_checkpoint_saved(self, event):
        {does}

@hookimpl
def loomlm_observers():
    return [Component(kind="observer", name="stops", summary="s", target=f"{{__name__}}:Stops")]
"""


def test_a_run_that_goes_on_with_other_code_says_so(config_file, tmp_path, loomlm_command):
    plugin = tmp_path / "mine.py"
    plugin.write_text(OBSERVER.format(does="raise KeyboardInterrupt"))
    path = config_file(steps="10", checkpoint_every="4")
    path.write_text(f"plugins = ['mine.py']\nobservers = ['stops']\n{path.read_text()}")
    assert loomlm_command("run", path).code == 130

    plugin.write_text(OBSERVER.format(does="pass"))
    done = loomlm_command("run", path, "--resume")

    assert done.code == 0
    said = "What follows may not be what an unbroken run would give: the code of observer stops"
    assert said in done.err
