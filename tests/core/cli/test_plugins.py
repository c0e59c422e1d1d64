"""`loomlm plugins`, `show` and `check`: what there is, everything of one, what an author missed."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

import loomlm
from loomlm.cli.plugins.show import PLACES, example
from loomlm.components import KINDS
from loomlm.config.structure import make_converter, structure
from loomlm.errors import PluginError
from loomlm.registry import Registry

from ..written import metric

pytestmark = pytest.mark.one_backend

REGISTRY = Registry.load()
COMPONENTS = [entry.component for entry in REGISTRY.entries]


def block(out: str, plugin: str) -> list[str]:
    """The lines of one plugin."""
    parts = (part.splitlines() for part in out.split("\n\n"))
    return next(lines for lines in parts if lines and lines[0].startswith(f"{plugin}  "))


def test_every_plugin_has_what_it_adds_and_its_state(install, loomlm_command):
    install("foo-kit", "loomlm_api = 1\n" + metric("foo"))

    out = loomlm_command("plugins").out

    assert block(out, "main") == ["main  foo-kit 1.5  loaded", "    metric  foo  s"]
    assert block(out, "tokenizers")[0] == f"tokenizers  loomlm {loomlm.__version__}  loaded"
    assert any("bpe" in line and "byte pairs" in line for line in block(out, "tokenizers"))
    assert any("builder" in line and "backbone mlp" in line for line in block(out, "torch"))


def test_what_cannot_be_used_says_what_to_install(install, loomlm_command):
    more = 'requires=("not_there",), install="pip install not-there"'
    install("foo-kit", metric("foo", more=more))

    out = loomlm_command("plugins").out

    lines = block(out, "main")
    assert lines[0] == "main  foo-kit 1.5  unavailable: pip install not-there"
    assert lines[1].endswith("(needs not_there: pip install not-there)")
    assert "needs not_there: pip install not-there" in loomlm_command("plugins", "show", "foo").out


def test_json_has_all_of_it(install, loomlm_command):
    install("foo-kit", "loomlm_api = (1, 3)\n" + metric("foo"))

    plugin = json.loads(loomlm_command("plugins", "--json").out)[-1]

    assert plugin["distribution"], plugin["version"] == ("foo-kit", "1.5")
    assert plugin["api"] == [1, 3]
    assert plugin["components"][0]["name"] == "foo"


def test_check_tells_the_cost_and_follows_every_target(install, loomlm_command):
    install("foo-kit", metric("foo", target="json:loads"))
    install("bad-kit", metric("bad", target="json:laods"))

    done = loomlm_command("plugins", "--check")

    assert done.code == 1
    bad, good = (part for part in done.out.split("\n\n") if part.startswith("main  "))
    assert "import takes" in good
    assert "1 of 1 targets are there" in good
    assert "json:laods: AttributeError" in bad
    count = sum(line.startswith("    metric ") for line in block(done.out, "metrics"))
    assert f"{count} of {count} targets are there" in "\n".join(block(done.out, "metrics"))


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: f"{c.kind}:{c.name}")
def test_show_has_every_key_and_a_table_to_paste(component, loomlm_command):
    done = loomlm_command("plugins", "show", f"{component.kind}:{component.name}")

    assert done.code == 0
    assert component.summary in done.out
    assert component.target in done.out
    for field in component.config.__attrs_attrs__:
        assert field.name in done.out
        assert field.metadata["doc"] in done.out


@pytest.mark.parametrize(
    "component", [c for c in COMPONENTS if c.kind in PLACES], ids=lambda c: f"{c.kind}:{c.name}"
)
def test_what_is_to_be_pasted_is_right(component):
    node = tomllib.loads(example(component))
    while (isinstance(node, dict) and "type" not in node) or isinstance(node, list):
        node = node[-1] if isinstance(node, list) else list(node.values())[-1]

    assert node.pop("type") == component.name
    mistakes = structure(node, component.config, make_converter(REGISTRY, Path()))[1]
    assert [m for m in mistakes if "required" not in m.message and "missing" not in m.message] == []


def test_show_says_where_a_component_is_from(install, loomlm_command):
    site = install("foo-kit", metric("foo"))

    out = loomlm_command("plugins", "show", "metric:foo").out

    assert "from      foo-kit 1.5, plugin main" in out
    assert f"module    foo_kit_plugin  {site / 'foo_kit_plugin.py'}" in out
    assert "backends  tensorflow, torch" in loomlm_command("plugins", "show", "backbone:mlp").out
    shown = json.loads(loomlm_command("plugins", "show", "metric:foo", "--json").out)
    assert shown[0]["file"] == str(site / "foo_kit_plugin.py")


@pytest.mark.parametrize(
    ("what", "listed"),
    [
        ("tokenizer", {"bpe", "wordpiece", "word"}),
        ("data-source", {"files", "huggingface"}),
        ("cleaning", {"html", "unicode"}),
        ("classification", {"task", "template"}),
        ("foo-kit", {"foo"}),
        ("transformer", {"backbone transformer"}),
        ("data-source:files", {"data_source files"}),
    ],
)
def test_show_takes_a_kind_a_plugin_a_distribution_or_a_name(install, loomlm_command, what, listed):
    install("foo-kit", metric("foo"))

    done = loomlm_command("plugins", "show", what)

    assert done.code == 0
    assert all(name in done.out for name in listed)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "tokeniser:bpe"), "There is no kind 'tokeniser'. Did you mean 'tokenizer'?"),
        (("show", "tokenizer:bpee"), "There is no tokenizer 'bpee'. Did you mean 'bpe'?"),
        (("show", "bpee"), "There is no component, kind or plugin 'bpee'. Did you mean 'bpe'?"),
        (("show", "xyzzy"), "`loomlm plugins` lists what there is."),
        (("shwo",), "There is no command 'shwo'. Did you mean 'show'?"),
        (("check", "tokenizer"), "no plugin or module 'tokenizer'. Did you mean 'tokenizers'?"),
    ],
)
def test_the_nearest_right_name_is_offered(loomlm_command, words, said):
    done = loomlm_command("plugins", *words)

    assert done.code == 2
    assert said in done.err


def test_every_kind_has_its_place_or_another_way():
    assert set(KINDS) - set(PLACES) == {"trainer", "template"}


HEAVY = "import numpy\nimport time\ntime.sleep(0.6)\nprint('hello')\n"
SLOPPY = """
from attrs import frozen
from loomlm.plugin import Component, hookimpl, key

@frozen
class Config:
    a: int = 3
    b: set[int] = key("some", set)
    c: complex = key("a number", 0j)

@hookimpl
def loomlm_metrics():
    return [
        Component(kind="metric", name="Foo-Bar", summary="", target="json:nothing", config=Config,
                  requires=("json",)),
        Component(kind="metric", name="baz", summary="x" * 200, target="json:loads",
                  trials={"small": {"d": 3}}),
    ]
"""


def test_check_finds_what_an_author_missed(install, loomlm_command):
    install("bad-kit", HEAVY + SLOPPY, needs="numpy")

    done = loomlm_command("plugins", "check", "bad-kit")

    assert done.code == 1
    for said in (
        "it brings numpy: name them in targets, and import them there",
        "s, and every command waits for it",
        "'hello'",
        "write `loomlm_api = (1, 1)` beside the hooks",
        "its dependencies do not name loomlm",
        "metric:Foo-Bar: 'Foo-Bar' is no such name",
        "metric:Foo-Bar: it has none",
        "metric:baz: it has 200 characters",
        "metric:Foo-Bar: `requires` names json, and `install` is empty",
        "metric:Foo-Bar: Config has no docstring",
        "metric:Foo-Bar: the key 'a' has no words",
        "metric:Foo-Bar: the key 'b' has the type set[int], which no config can give; a key may be",
        "metric:Foo-Bar: the key 'c' has the type <class 'complex'>, which no config can give",
        "metric:baz: small: d: ",
        "json:nothing: AttributeError",
    ):
        assert said in done.out, said
    assert "pass" in done.out


def test_check_passes_what_is_right(install, loomlm_command, tmp_path):
    source = "loomlm_api = 1\n" + metric("foo", target="json:loads")
    install("good-kit", source)
    (tmp_path / "mine.py").write_text(source.replace("foo", "mine"))

    for name in ("good-kit", "good_kit_plugin", tmp_path / "mine.py"):
        done = loomlm_command("plugins", "check", name)
        assert (done.code, "FAIL" in done.out) == (0, False), done.out
    assert loomlm_command("plugins", "check", "cleaning", "tasks").code == 0
    plain = json.loads(loomlm_command("plugins", "check", "good-kit", "--json").out)
    assert all(finding["state"] == "pass" for finding in plain["good-kit 1.5 (good_kit_plugin)"])


def test_check_says_why_a_plugin_is_broken(install, loomlm_command):
    install("bad-kit", "import not_there_of_a_test")

    done = loomlm_command("plugins", "check", "bad-kit")

    assert done.code == 1
    assert "ModuleNotFoundError: No module named 'not_there_of_a_test'" in done.out


def test_a_run_says_what_made_each_part(install, config_file, loomlm_command):
    assert loomlm_command("run", config_file(steps="1")).code == 0

    about = json.loads(Path("runs/small/environment.json").read_text())

    made_by = about["made_by"]
    assert made_by["tokenizer:word"]["distribution"] == "loomlm"
    assert {"backbone:mlp", "task:classification", "data_source:files"} <= made_by.keys()
    assert {"optimizer:adamw", "schedule:linear"} <= made_by.keys()
    assert all(made["component"] for made in made_by.values())


CLEANER = """
from loomlm.plugin import Component, hookimpl

loomlm_api = (1, 1)

def clean(config):
    return str.lower

@hookimpl
def loomlm_cleaners():
    return [Component(kind="cleaner", name="low", summary="s", target=f"{__name__}:clean")]
"""


def test_a_model_says_what_to_install_where_a_part_is_missing(
    install, config_file, loomlm_command, monkeypatch
):
    site = install("foo-kit", CLEANER)
    clean = ("--set", "stages.finetune.data.clean=['low']")
    assert loomlm_command("run", config_file(steps="1"), *clean).code == 0

    left_out = loomlm_command("predict", "runs/small", "rain", "-p", "no:foo-kit")
    monkeypatch.setenv("LOOMLM_DISABLE_PLUGIN_AUTOLOAD", "1")
    not_loaded = loomlm_command("predict", "runs/small", "rain")
    named = loomlm_command("predict", "runs/small", "rain", "-p", "foo-kit")
    for path in (site / "foo_kit-1.5.dist-info").iterdir():
        path.unlink()
    (site / "foo_kit-1.5.dist-info").rmdir()

    with pytest.raises(PluginError) as missing:
        loomlm.load_model("runs/small")

    assert "foo-kit 1.5 (foo_kit_plugin) is blocked" in left_out.err
    assert "The model was made with foo-kit 1.5. That is installed, and left out" in not_loaded.err
    assert named.code == 0
    assert "There is no cleaner 'low'." in str(missing.value)
    assert 'made with foo-kit 1.5. Install it: pip install "foo-kit==1.5"' in str(missing.value)
