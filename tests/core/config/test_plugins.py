"""What a config says of plugins: files beside it, broken ones, and keys that only one knows."""

from __future__ import annotations

from pathlib import Path

import pytest

import loomlm
from loomlm.errors import ConfigError, PluginError

pytestmark = pytest.mark.one_backend

CLEANER = """
from loomlm.plugin import Component, hookimpl

def shout(config):
    return str.upper

@hookimpl
def loomlm_cleaners():
    return [Component(kind="cleaner", name="shout", summary="s", target=f"{__name__}:shout")]
"""
SHOUT = ["stages.finetune.data.clean=['shout']"]


def naming(config_file, *plugins: str) -> Path:
    """The small config with `plugins` on its first line."""
    path: Path = config_file()
    path.write_text(f"plugins = {list(plugins)!r}\n{path.read_text()}")
    return path


def test_a_file_beside_the_config_is_found_from_any_folder(config_file, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(CLEANER)
    path = naming(config_file, "mine.py")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    config = loomlm.load_config(path, set=SHOUT)

    assert config.settings.stages[0].data.clean[0].type == "shout"


def test_a_file_can_be_named_by_the_home_folder(config_file, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine.py").write_text(CLEANER)

    assert loomlm.load_config(naming(config_file, "~/mine.py"), set=SHOUT)


def test_plugins_that_do_not_load_are_mistakes_with_their_line(config_file, tmp_path):
    (tmp_path / "mine.py").write_text("raise SystemExit('no licence')")
    path = naming(config_file, "mine.py", "other.py")

    with pytest.raises(ConfigError) as caught:
        loomlm.load_config(path)

    told = str(caught.value)
    assert told.startswith("2 mistakes")
    assert f"{path}:1: plugins.0: The plugin cannot be loaded: SystemExit: no licence." in told
    assert f"{path}:1: plugins.1: The plugin cannot be loaded: FileNotFoundError: there" in told


def test_a_plugin_that_the_config_names_can_be_left_out(config_file, tmp_path):
    (tmp_path / "mine.py").write_text(CLEANER)
    path = naming(config_file, "mine.py")

    assert loomlm.load_config(path, block=["mine.py"])
    with pytest.raises(ConfigError, match=r"no cleaner 'shout'.*mine.py is blocked"):
        loomlm.load_config(path, block=["mine.py"], set=SHOUT)


def test_a_plugin_that_is_given_has_to_load(config_file, tmp_path):
    (tmp_path / "mine.py").write_text("1 / 0")

    with pytest.raises(PluginError, match="mine.py' cannot be loaded: ZeroDivisionError"):
        loomlm.load_config(config_file(), plugins=["mine.py"])


def test_an_installed_plugin_that_is_broken_stops_only_who_needs_it(
    config_file, tmp_path, monkeypatch
):
    info = tmp_path / "site" / "bad-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: bad\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[loomlm]\nmain = bad_plugin_of_a_test\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    path = config_file()

    assert loomlm.load_config(path)
    with pytest.raises(ConfigError) as caught:
        loomlm.load_config(path, set=SHOUT)

    told = str(caught.value)
    assert "There is no cleaner 'shout'." in told
    assert "bad 1.0 (bad_plugin_of_a_test) broke: ModuleNotFoundError" in told


def test_keys_that_only_one_backend_knows_are_checked(config_file):
    path = config_file()

    with pytest.raises(ConfigError) as caught:
        loomlm.load_config(path, set=["backends.torch.fuse=true", "backends.troch.x=1"])

    told = str(caught.value)
    assert "--set: backends.torch.fuse: there is no such key" in told
    assert "--set: backends.troch: there is no backend 'troch'. Did you mean 'torch'?" in told


def test_two_components_of_one_name_are_told_apart_in_the_config(config_file, tmp_path):
    (tmp_path / "mine.py").write_text(CLEANER.replace('name="shout"', 'name="lowercase"'))
    path = naming(config_file, "mine.py")

    with pytest.raises(ConfigError, match=r"Two plugins .*'lowercase'.*loomlm.*mine\.py"):
        loomlm.load_config(path, set=["stages.finetune.data.clean=['lowercase']"])
    assert loomlm.load_config(path, set=["stages.finetune.data.clean=['loomlm/lowercase']"])
