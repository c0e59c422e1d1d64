"""What is decided of plugins before they are imported: in a config, on the command line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import loomlm
from loomlm.errors import ConfigError, PluginWarning
from loomlm.registry import Control, Registry

from ..written import load_with_fault, metric

pytestmark = pytest.mark.one_backend

Load = Callable[..., Registry]


@pytest.fixture
def load(config_file) -> Load:
    """The registry of the small config with `[plugins]` keys, or other lines, in front of it."""

    def call(head: str) -> Registry:
        path = config_file()
        path.write_text(f"{head}\n{path.read_text()}")
        return loomlm.load_config(path).registry

    return call


def imported(name: str, tmp_path) -> str:
    """The source of a metric that leaves a file when it is imported."""
    return f"open({str(tmp_path / name)!r}, 'w').close()\n{metric(name)}"


@pytest.mark.parametrize("called", ["foo-kit", "foo_kit", "foo_kit_plugin"])
def test_what_a_config_blocks_is_not_imported(install, load, tmp_path, called):
    install("foo-kit", imported("foo", tmp_path))
    install("bar-kit", imported("bar", tmp_path))

    registry = load(f'plugins.block = ["{called}"]')

    assert "foo" not in registry.names("metric")
    assert "bar" in registry.names("metric")
    assert not (tmp_path / "foo").exists()


def test_what_a_config_allows_is_all_that_is_imported_besides_ours(install, load, tmp_path):
    install("foo-kit", imported("foo", tmp_path))
    install("bar-kit", imported("bar", tmp_path))

    registry = load('plugins.allow = ["bar-kit"]')

    assert {"bar", "accuracy"} <= set(registry.names("metric"))
    assert not (tmp_path / "foo").exists()
    assert "accuracy" in Registry.load(control=Control(allow=())).names("metric")
    assert "foo" in Registry.load(["foo-kit"], control=Control(allow=())).names("metric")


def test_what_a_config_orders_comes_first(install, load):
    default = 'default=True, requires=("json",)'
    install("aaa", metric("first", more=default))
    install("bbb", metric("second", more=default))

    assert Registry.load().default("metric") == "first"
    assert load('plugins.order = ["bbb"]').default("metric") == "second"


HEARS = """
from pathlib import Path
from loomlm.plugin import hookimpl

@hookimpl
def loomlm_progress(event):
    with Path("heard.txt").open("a") as file:
        file.write("{name} ")
"""


@pytest.mark.parametrize(("order", "heard"), [([], "aaa bbb"), (["bbb"], "bbb aaa")])
def test_plugins_hear_of_a_run_in_their_order(install, tmp_path, order, heard):
    for name in ("aaa", "bbb"):
        install(name, HEARS.replace("{name}", name))

    registry = Registry.load(control=Control(order=tuple(order)))
    registry.manager.hook.loomlm_progress(event=None)

    assert (tmp_path / "heard.txt").read_text().strip() == heard


def test_a_name_of_a_config_that_is_likely_misspelt_is_told(install):
    install("foo-kit", metric("foo"))

    with pytest.warns(PluginWarning, match="names the plugin 'fo-kit', .*mean 'foo-kit'"):
        Registry.load(control=Control(block=("fo-kit",)))


def test_a_name_of_a_config_that_is_not_installed_here_is_no_matter(recwarn):
    Registry.load(control=Control(block=("something-else",), order=("zzz",)))

    assert not recwarn.list


def test_a_list_of_plugins_is_what_to_load(load, tmp_path):
    (tmp_path / "mine.py").write_text(metric("mine"))

    assert "mine" in load('plugins = ["mine.py"]').names("metric")
    assert "mine" in load('plugins = { load = ["mine.py"] }').names("metric")


def test_a_run_keeps_what_was_said_of_plugins(install, config_file, tmp_path, loomlm_command):
    install("foo-kit", imported("foo", tmp_path))
    install("bar-kit", metric("bar"))
    path = config_file(steps="2")
    path.write_text(f'plugins.order = ["bar-kit"]\n{path.read_text()}')

    assert loomlm_command("run", path, "-p", "no:foo-kit").code == 0
    assert loomlm_command("predict", "runs/small", "rain").code == 0

    assert not (tmp_path / "foo").exists()
    kept = loomlm.load_config("runs/small/config.toml").settings.plugins
    assert (kept.block, kept.order) == (("foo-kit",), ("bar-kit",))


@pytest.mark.parametrize(
    ("required", "said"),
    [
        ("foo-kit>=2", "foo-kit 1.5 is installed, and foo-kit>=2 is required. Install it: pip"),
        ("fooo-kit", "fooo-kit is not installed. Did you mean 'foo-kit'? Install it: pip install"),
        (
            "foo kit",
            "expected a distribution, such as loomlm-foo or loomlm-foo>=1.2, got 'fo",
        ),
        ("pluggy", "is installed, and brings no plugin that is loaded"),
        ("broken", "broken is required, and broken 1.5 (broken_plugin) broke: no licence"),
    ],
)
def test_what_a_config_requires_has_to_be_there(install, config_file, required, said):
    install("foo-kit", metric("foo"))
    install("broken", "from loomlm.plugin import UsageError\nraise UsageError('no licence')")
    path = config_file(steps="0")
    path.write_text(f'required_plugins = ["pip", "{required}"]\n{path.read_text()}')

    with pytest.raises(ConfigError) as caught, pytest.warns(PluginWarning):
        loomlm.load_config(path)

    problems = list(map(str, caught.value.problems))
    assert any(said in problem and "my.toml:1: required_plugins" in problem for problem in problems)
    assert any("must be >= 1: 0" in problem for problem in problems), "every mistake at once"


@pytest.mark.parametrize("required", ["foo-kit", "foo_kit>=1.2,<2", "loomlm"])
def test_what_is_there_meets_a_requirement(install, load, required):
    install("foo-kit", metric("foo"))

    assert load(f'required_plugins = ["{required}"]')


def test_a_blocked_plugin_does_not_meet_a_requirement(install, config_file):
    install("foo-kit", metric("foo"))
    path = config_file()
    path.write_text(f'required_plugins = ["foo-kit"]\n{path.read_text()}')

    with pytest.raises(ConfigError, match="foo-kit is required, and foo-kit 1.5 .* is blocked"):
        loomlm.load_config(path, block=["foo-kit"])


def test_one_module_under_two_names_is_one_plugin(install):
    site = install("good", metric("mcc"))
    points = "[loomlm]\nfirst = good_plugin\nsecond = good_plugin\n"
    (site / "good-1.5.dist-info" / "entry_points.txt").write_text(points)

    registry = load_with_fault()

    assert registry.find("metric", "mcc").plugin.name == "first"
    assert "its module is the plugin 'first' already" in registry.plugins[-1].error


@pytest.mark.parametrize("called", ["foo-kit", "foo_kit_plugin"])
def test_without_autoload_a_plugin_is_loaded_by_any_of_its_names(
    install, config_file, monkeypatch, recwarn, called
):
    monkeypatch.setenv("LOOMLM_DISABLE_PLUGIN_AUTOLOAD", "1")
    install("foo-kit", metric("foo"))
    install("bar-kit", metric("bar"))
    path = config_file()
    head = (
        f'plugins = {{ load = ["{called}"], allow = ["foo-kit"] }}\nrequired_plugins = ["foo-kit"]'
    )
    path.write_text(f"{head}\n{path.read_text()}")

    registry = loomlm.load_config(path).registry

    assert registry.find("metric", "foo").plugin.origin == "foo-kit 1.5"
    assert "bar" not in registry.names("metric")
    assert Registry.load([called]).find("metric", "foo")
    assert not recwarn.list
