"""Code that is not installed is named before it is loaded, and can be forbidden."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.one_backend

TOUCHES = "import pathlib\npathlib.Path({!r}).touch()\n"


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A file that is there once mine.py has been imported."""
    (tmp_path / "mine.py").write_text(TOUCHES.format(str(tmp_path / "ran")))
    return tmp_path / "ran"


@pytest.fixture
def config(config_file, ran) -> Path:
    path = config_file(steps="2")
    path.write_text(f'plugins = ["mine.py"]\n{path.read_text()}')
    return path


def test_it_is_said_what_is_loaded_from_where(config, ran, loomlm_command):
    done = loomlm_command("config", "check", config)

    assert done.code == 0 and ran.exists()
    assert f"Loading code that the config names: {ran.with_name('mine.py')}" in done.err


@pytest.mark.parametrize("words", [("--no-local-plugins",), ("-p", "no:local"), ()])
def test_it_is_forbidden_by_an_option_and_by_the_environment(
    words, config, ran, loomlm_command, monkeypatch
):
    if not words:
        monkeypatch.setenv("LOOMLM_NO_LOCAL_PLUGINS", "1")
    for command in (("run",), ("config", "check"), ("data", "prepare"), ("explain",)):
        done = loomlm_command(*command, config, *words)
        assert done.code == 2 and "my.toml:1: plugins.0" in done.err
        assert "is forbidden here" in done.err
    assert loomlm_command("plugins", "-p", "mine.py", *words).code == 2
    assert not ran.exists()


def test_a_run_that_names_code_is_used_without_it_where_that_is_forbidden(
    config, ran, loomlm_command
):
    assert loomlm_command("run", config).code == 0
    ran.unlink()

    done = loomlm_command("predict", "runs/small", "rain", "--no-local-plugins")
    assert done.code == 0, done.err
    assert not ran.exists()


@pytest.mark.parametrize("named", ["mine.py", "{run}/mine.py", "../mine.py"])
def test_a_run_brings_no_code_in_its_folder(named, config_file, ran, tmp_path, loomlm_command):
    assert loomlm_command("run", config_file(steps="2")).code == 0
    run = tmp_path / "runs" / "small"
    for folder in (run, run.parent):
        (folder / "mine.py").write_text((tmp_path / "mine.py").read_text())
    stored = run / "config.toml"
    text = stored.read_text().replace("[plugins]\nload = []", f"[plugins]\nload = [{named!r}]")
    stored.write_text(text.replace("{run}", str(run)))
    assert "mine.py" in stored.read_text()

    for command in (("predict", run, "rain"), ("evaluate", run)):
        done = loomlm_command(*command)
        assert done.code == 1 and "which no run has in its folder" in done.err
    assert not ran.exists()
    assert loomlm_command("predict", run / "model", "rain").code == 0
