"""What `loomlm plugins new` writes installs, works, passes its own tests and is lint-free."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import tomli_w
from attrs import frozen

from loomlm.cli import main

pytestmark = pytest.mark.one_backend

ROOT = Path(__file__).parents[2]
SCAFFOLDS = ROOT / "core" / "loomlm" / "scaffolds"
KINDS = sorted(path.stem.replace("_", "-") for path in SCAFFOLDS.glob("*.toml"))
ON_TORCH = ("data-source", "metric", "tokenizer")
"""Kinds whose own tests run a model, on the backend that their test requirements name."""

BASE = {
    "name": "any",
    "backend": "torch",
    "tokenizer": "word",
    "backbone": "mlp",
    "stages": [
        {
            "name": "finetune",
            "task": "classification",
            "data": {"train": "train.csv", "label": "label"},
            "trainer": {"epochs": 1},
        }
    ],
}


@frozen
class Project:
    """A generated distribution, installed: its folder, its environment's interpreter."""

    kind: str
    folder: Path
    python: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A module of Python, in the project's folder."""
        command = [str(self.python), "-m", *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)


def write(kind: str, folder: Path) -> Path:
    main(["plugins", "new", kind, f"my-{kind}", "--into", str(folder)])
    return folder


@pytest.fixture(scope="module", params=KINDS)
def project(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    environment: Callable[[Path], Path],
) -> Project:
    folder = write(request.param, tmp_path_factory.mktemp("new") / "project")
    return Project(request.param, folder, environment(folder))


def test_every_kind_that_the_kit_checks_has_a_scaffold():
    assert KINDS == ["backbone", "data-source", "metric", "tokenizer", "trainer"]


def test_its_own_tests_pass(project: Project):
    if project.kind in ON_TORCH and find_spec("torch") is None:
        pytest.skip("its tests run on PyTorch")

    done = project.run("pytest", "-q", "-p", "no:cacheprovider")

    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 3


def test_it_is_listed_and_ready(project: Project):
    listed = json.loads(project.run("loomlm", "plugins", "--json").stdout)

    (plugin,) = [found for found in listed if found["distribution"] == f"my-{project.kind}"]
    assert plugin["state"] == "loaded"
    kind = project.kind.replace("-", "_")
    (component,) = [found for found in plugin["components"] if found["kind"] == kind]
    assert component["name"] == f"my_{kind}"
    assert component["state"] == "ready"


def test_nothing_is_wrong_with_it_before_it_is_published(project: Project):
    checked = project.run("loomlm", "plugins", "check", f"my-{project.kind}")

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "pass" in checked.stdout
    kind = project.kind.replace("-", "_")
    assert project.run("loomlm", "plugins", "show", f"{kind}:my_{kind}").returncode == 0


def test_the_config_of_its_readme_is_right(project: Project, tmp_path: Path):
    (block,) = re.findall(r"```toml\n(.*?)```", (project.folder / "README.md").read_text(), re.S)
    given = tomllib.loads(block)
    path = tmp_path / "my.toml"
    path.write_text(tomli_w.dumps({**BASE, **given}))

    done = project.run("loomlm", "config", "check", str(path))

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"my_{project.kind.replace('-', '_')}" in block


def test_its_metadata_is_ours_where_it_must_be(project: Project):
    written = tomllib.loads((project.folder / "pyproject.toml").read_text())["project"]
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert written["requires-python"] == ours["requires-python"]
    versions = [name for name in ours["classifiers"] if ":: 3." in name]
    assert [name for name in written["classifiers"] if ":: 3." in name] == versions
    workflow = (project.folder / ".github" / "workflows" / "test.yml").read_text()
    assert all(f'"{name.rpartition(" ")[2]}"' in workflow for name in versions)
    assert "${{ matrix.python }}" in workflow
    (floor,) = [name for name in written["dependencies"] if name.startswith("loomlm")]
    assert floor.startswith(f"loomlm>={ours['version']},<")
    extras = {name for found in written["optional-dependencies"]["test"] for name in _extras(found)}
    assert extras <= set(ours["optional-dependencies"])


def _extras(requirement: str) -> list[str]:
    found = re.match(r"loomlm\[(.*)\]", requirement)
    return found[1].split(",") if found else []


def test_nothing_is_left_to_be_filled_in(tmp_path: Path):
    names = "distribution package component kind words summary config files requirements test"
    left = re.compile(f"plugin[-_]({'|'.join(names.split())})")
    for kind in KINDS:
        folder = write(kind, tmp_path / kind)
        for file in folder.rglob("*"):
            assert not left.search(str(file.relative_to(folder)))
            assert not (file.is_file() and left.search(file.read_text())), file


def test_a_linter_and_a_type_checker_find_nothing(tmp_path: Path):
    for tool in ("ruff", "pyright"):
        pytest.importorskip(tool, reason=f"{tool} checks what is written")
    folders = [write(kind, tmp_path / kind) for kind in KINDS]
    lint = ("ruff", "check", "--isolated", "--select=E,F,I,UP,B,RET,SIM")
    for folder in folders:
        for words in (lint, ("ruff", "format", "--isolated", "--check")):
            done = call(*words, folder=folder)
            assert done.returncode == 0, done.stdout
    sources = [f"{kind}/src" for kind in KINDS]
    settings = {"include": sources, "extraPaths": sources}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = call("pyright", "--pythonpath", sys.executable, folder=tmp_path)
    assert done.returncode == 0, done.stdout


def call(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A module of this interpreter."""
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_they_are_in_our_wheel(tmp_path: Path):
    pytest.importorskip("hatchling", reason="it builds the wheel")
    pip = ("pip", "wheel", "-q", "--no-deps", "--no-build-isolation")
    done = call(*pip, str(ROOT), folder=tmp_path)
    assert done.returncode == 0, done.stderr

    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if "/scaffolds/" in name}
    ours = {
        f"loomlm/scaffolds/{path.relative_to(SCAFFOLDS).as_posix()}"
        for path in SCAFFOLDS.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == ours
