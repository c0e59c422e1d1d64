"""What the docs show works: configs pass their check, every hook is told, commands exist."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file

import loomlm
from loomlm import hookspecs

pytestmark = pytest.mark.one_backend

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

GROUPS = ("config", "data")
"""Commands that have commands of their own."""


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
    (tmp_path / "mine.py").write_text(plugin_of_the_page("mine.py"))
    path = config_file(steps="3")
    path.write_text(f'plugins = ["mine.py"]\n{path.read_text()}')

    done = loomlm_command("run", path, "--set", 'stages.finetune.data.clean=["shout"]')

    assert done.code == 0
    assert loomlm_command("predict", "runs/small", "rain").code == 0


def plugin_of_the_page(name: str) -> str:
    """The file of a name that stands in the page for authors."""
    sources = blocks(ROOT / "docs" / "write-a-plugin.md", "python")
    return next(source for source in sources if source.startswith(f"# {name}\n"))


@pytest.mark.each_backend
def test_the_optimizer_of_the_page_comes_to_its_rule(tmp_path, config_file, loomlm_command):
    (tmp_path / "heavy_ball.py").write_text(plugin_of_the_page("heavy_ball.py"))
    path = config_file(steps="20")
    path.write_text(f"plugins = ['heavy_ball.py']\n{path.read_text()}")
    losses = {}
    for name, optimizer in {
        "page": "heavy_ball",
        "ours": {"type": "sgd", "momentum": 0.9, "weight_decay": 0.0},
    }.items():
        config = tomllib.loads(path.read_text())
        config["name"], config["trainer"]["optimizer"] = name, optimizer
        run = loomlm.run(config)
        losses[name] = run.evaluation["finetune"]["test"]["loss"]

    assert losses["page"] == pytest.approx(losses["ours"], rel=1e-5)


def test_the_observer_of_the_page_works(tmp_path, config_file, loomlm_command):
    (tmp_path / "pace.py").write_text(plugin_of_the_page("pace.py"))
    path = config_file(steps="3")
    observers = "observers = [{ type = 'pace', file = 'speed.txt' }]"
    path.write_text(f"plugins = ['pace.py']\n{observers}\n{path.read_text()}")

    assert loomlm_command("run", path).code == 0
    assert (tmp_path / "runs" / "small" / "speed.txt").read_text().endswith("examples a second\n")


def test_the_extension_of_the_page_works(tmp_path, config_file, loomlm_command):
    (tmp_path / "words.py").write_text(plugin_of_the_page("words.py"))
    path = config_file(steps="3")
    path.write_text(f"plugins = ['words.py']\n{path.read_text()}")
    extensions = "stages.finetune.extensions=[{ type = 'words', drop = 0.2 }]"

    done = loomlm_command("run", path, "--set", extensions)

    assert done.code == 0
    card = (tmp_path / "runs" / "small" / "model" / "README.md").read_text()
    assert "Trained on 800 examples" in card
    assert loomlm_command("predict", "runs/small", "rain").code == 0


def test_the_cleaning_step_of_the_page_works(tmp_path, config_file, loomlm_command):
    (tmp_path / "polite.py").write_text(plugin_of_the_page("polite.py"))
    path = config_file(steps="3")
    path.write_text(f"plugins = ['polite.py']\n{path.read_text()}")
    rows = (tmp_path / "train.csv").read_text().splitlines()
    (tmp_path / "train.csv").write_text("\n".join([*rows, f"damn {rows[1]}", "", ""]))

    done = loomlm_command("run", path, "--set", 'stages.finetune.data.clean=["polite"]')

    assert done.code == 0
    card = (tmp_path / "runs" / "small" / "model" / "README.md").read_text()
    assert "1 with a word that is not said" in card
    kept = json.loads((tmp_path / "runs" / "small" / "model" / "config.json").read_text())
    assert kept["clean"] == []  # No text that is asked of the model comes to it.
    assert loomlm_command("predict", "runs/small", "damn rain").code == 0


LORA = """
[[stages]]
name = "adapt"
init_from = "pretrain"
task = "classification"
data = { train = "train.csv", test = "test.csv", label = "label" }
extensions = [{ type = "lora", rank = 2 }]
"""


@pytest.mark.parametrize("backbone", ["tiny", "transformer"])
@pytest.mark.one_backend("torch")
def test_the_adapters_of_the_page_work(tmp_path, lm_config, backbone):
    (tmp_path / "lora.py").write_text(plugin_of_the_page("lora.py"))
    path = lm_config(steps="5")
    text = path.read_text().replace("plugins = [", "plugins = ['lora.py', ")
    small = "{ type = 'transformer', layers = 2, width = 16, heads = 2 }"
    path.write_text(text + LORA)
    settings = [f"backbone={small}"] if backbone == "transformer" else []

    run = loomlm.run(loomlm.load_config(path, set=settings))

    before = load_file(run.folder / "pretrain" / "model" / "model.safetensors")
    after = load_file(run.folder / "model" / "model.safetensors")
    kept = [name for name in before if name.startswith("backbone.")]
    assert all(np.array_equal(before[name], after[name]) for name in kept)
    wide = [array for name, array in after.items() if name.endswith(".wide")]
    assert len(wide) == {"tiny": 1, "transformer": 10}[backbone]
    assert all(array.any() for array in wide)
    assert run.model().predict(["rain"])


def test_the_command_of_the_page_works(tmp_path):
    space: dict[str, Any] = {}
    exec(plugin_of_the_page("my_package/count.py"), space)
    (tmp_path / "words.txt").write_text("one two\nthree\n")

    done = CliRunner().invoke(space["command"], ["words.txt"])

    assert done.output == "3\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_the_options_that_the_docs_give_them(page, loomlm_command):
    for block in blocks(page, ""):
        for command in block.replace("\\\n", " ").splitlines():
            words = command.split()
            if words[:1] != ["loomlm"]:
                continue
            depth = 4 if words[1:3] == ["data", "cache"] else 3 if words[1] in GROUPS else 2
            helped = loomlm_command(*words[1:depth], "--help").out
            options = [word.split("=")[0] for word in words if word.startswith("--")]
            assert [option for option in options if option not in helped] == []


def test_links_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page}: {link}"
