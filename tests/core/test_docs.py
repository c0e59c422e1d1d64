"""What the docs show works: configs pass their check, every hook is told, commands exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import loomlm
from loomlm import hookspecs

pytestmark = pytest.mark.one_backend

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def test_the_config_of_the_readme_is_right(tmp_path, backend):
    (config,) = blocks(ROOT / "README.md", "toml")
    (tmp_path / "my.toml").write_text(config)

    checked = loomlm.load_config(tmp_path / "my.toml", set=[f"backend={backend}"])

    assert checked.settings.stages[0].data.source.config.text == ("title", "description")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_are_valid_in_their_language(page):
    for block in blocks(page, "toml"):
        tomllib.loads(block)
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")


def test_every_hook_is_told():
    told = (ROOT / "docs" / "write-a-plugin.md").read_text()
    hooks = [name for name in vars(hookspecs) if name.startswith("loomlm_")]

    assert [name for name in hooks if f"`{name}`" not in told] == []


def test_the_plugin_of_the_tutorial_works(tmp_path, config_file, loomlm_command):
    source = blocks(ROOT / "docs" / "write-a-plugin.md", "python")[0]
    (tmp_path / "mine.py").write_text(source)
    path = config_file(steps="3")
    path.write_text(f'plugins = ["mine.py"]\n{path.read_text()}')

    done = loomlm_command("run", path, "--set", 'stages.finetune.data.clean=["shout"]')

    assert done.code == 0
    assert loomlm_command("predict", "runs/small", "rain").code == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_the_options_that_the_docs_give_them(page, loomlm_command):
    for block in blocks(page, ""):
        for command in block.replace("\\\n", " ").splitlines():
            words = command.split()
            if words[:1] != ["loomlm"]:
                continue
            helped = loomlm_command(*words[1 : 3 if words[1] == "config" else 2], "--help").out
            options = [word.split("=")[0] for word in words if word.startswith("--")]
            assert [option for option in options if option not in helped] == []


def test_links_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page}: {link}"
