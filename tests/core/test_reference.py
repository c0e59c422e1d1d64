"""The reference is what the code says, and the code says it of everything."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

import loomlm.plugin
from loomlm import hookspecs
from loomlm.config.describe import describe_keys
from loomlm.config.settings import RunConfig
from loomlm.registry import Registry

pytestmark = pytest.mark.one_backend

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
HOOKS = [value for name, value in vars(hookspecs).items() if name.startswith("loomlm_")]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}


def test_the_pages_are_what_the_code_says(generate):
    written = generate.pages()

    assert written.keys() == read().keys()
    for name, text in written.items():
        assert text == read()[name], f"{name}: run python docs/reference/generate.py"


def test_a_page_that_is_not_up_to_date_is_found_and_mended(generate, tmp_path, monkeypatch, capsys):
    for name, text in generate.pages().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(generate, "HERE", tmp_path)
    assert generate.main(["--check"]) == 0
    (tmp_path / "metric.md").write_text("of yesterday")
    (tmp_path / "hooks.md").unlink()
    (tmp_path / "widget.md").write_text("of a kind that is gone")

    assert generate.main(["--check"]) == 1
    said = capsys.readouterr().out
    assert [name for name in ("metric.md", "hooks.md", "widget.md") if name not in said] == []
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert not (tmp_path / "widget.md").exists()


def test_no_framework_is_imported_for_it():
    code = (
        "import runpy, sys; "
        f"runpy.run_path({str(FOLDER / 'generate.py')!r}, run_name='reference')['pages'](); "
        "print({'torch', 'tensorflow', 'keras', 'numpy', 'tokenizers'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout.strip() == "set()"


def test_what_else_is_installed_is_not_in_it(generate, tmp_path, monkeypatch):
    info = tmp_path / "site" / "other-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[loomlm]\nother = other_plugin\n")
    (tmp_path / "site" / "other_plugin.py").write_text(
        "from loomlm.plugin import Component, hookimpl\n"
        "@hookimpl\n"
        "def loomlm_metrics():\n"
        "    return [Component(kind='metric', name='odd', summary='odd', target='os:path')]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "other_plugin", raising=False)
    assert "odd" in Registry.load().names("metric")

    assert "## odd" not in generate.pages()["metric.md"]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_a_hook_says_what_it_is_for_and_what_it_is_given(hook, generate):
    """Each argument is told in its docstring, or its type's docstring tells each of its fields."""
    assert len((hook.__doc__ or "").strip()) > 20
    for name, parameter in inspect.signature(hook).parameters.items():
        if tells(hook, name):
            continue
        kind: Any = getattr(loomlm.plugin, str(parameter.annotation), None)
        assert kind is not None and attrs.has(kind), f"{hook.__name__} does not tell {name}"
        untold = [field.name for field in attrs.fields(kind) if not tells(kind, field.name)]
        assert untold == [], f"{kind.__name__}, which {hook.__name__} is given"
    assert f"def {hook.__name__}(" in generate.pages()["hooks.md"]


def tells(thing: Any, name: str) -> bool:
    """Whether a docstring has "name: what it is", alone or with other names."""
    doc = thing.__doc__ or ""
    return re.search(rf"(^|\s)({name}|{name}(, \w+)+|(\w+, )+{name}(, \w+)*): \S", doc) is not None


def test_every_key_says_what_it_is():
    classes = {"run": RunConfig}
    for entry in Registry.load().entries:
        classes[f"{entry.component.kind}:{entry.component.name}"] = entry.component.config

    keys = [(where, key) for where, cls in classes.items() for key in describe_keys(cls)]

    assert len(keys) > 150
    assert [f"{where} {key.name}" for where, key in keys if len(key.doc.strip()) < 4] == []


def test_every_key_and_component_is_on_a_page(generate):
    pages = generate.pages()
    for key in describe_keys(RunConfig, nested=False):
        assert f"| `{key.name}` | " in pages["config.md"]
    for entry in generate.built_in().entries:
        component, page = entry.component, pages[f"{entry.component.kind}.md"]
        section = page.partition(f"## {component.name}\n")[2].partition("\n## ")[0]
        assert f"`{component.target}`" in section
        for key in describe_keys(component.config):
            (row,) = [line for line in section.splitlines() if f"| `{key.name}` |" in line]
            assert key.doc.replace("|", "&#124;") in row
            assert key.bounds in row
            assert ("required" if key.required else key.default_text) in row


@pytest.mark.parametrize("name", loomlm.plugin.__all__)
def test_every_name_of_the_plugin_api_is_told(name, generate):
    page = generate.pages()["plugin-api.md"]

    told = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]

    words = re.sub(r"```python\n.*?```", "", told, flags=re.DOTALL).strip()
    assert len(words) > 10, f"{name} has no docstring"
