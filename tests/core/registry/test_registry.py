"""Plugins are found one by one; what one does wrong is said, and harms nobody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from loomlm.errors import PluginError, PluginWarning, UsageError
from loomlm.registry import Registry

from ..written import load_with_fault, metric


def test_an_installed_plugin_adds_its_component(install):
    install("good", metric("mcc"))

    entry = Registry.load().find("metric", "mcc")

    assert entry.plugin.origin == "good 1.5"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import a_module_that_is_not_there", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (metric("x").replace("loomlm_metrics", "loomlm_metric"), "Did you mean 'loomlm_metrics'?"),
        (metric("x").replace('kind="metric"', 'kind="cleaner"'), "returned a cleaner, 'x'"),
        (metric("x").replace("[Component(", "[dict("), "which is not a Component"),
    ],
)
def test_a_broken_plugin_is_reported_and_the_others_load(install, source, said):
    install("broken", source)
    install("good", metric("mcc"))

    registry = load_with_fault()

    broken = next(plugin for plugin in registry.plugins if plugin.distribution == "broken")
    assert broken.state == "broken"
    assert said in broken.error
    assert registry.find("metric", "mcc")
    assert "accuracy" in registry.names("metric")


def test_a_run_that_needs_a_broken_plugin_is_told_which_broke_and_why(install):
    install("broken", "raise RuntimeError('no licence')")

    registry = load_with_fault()

    with pytest.raises(
        PluginError, match=r"no metric 'mcc'.*broken 1.5 \(broken_plugin\) broke: .*no licence"
    ):
        registry.find("metric", "mcc")


def test_a_blocked_plugin_is_not_imported(install, tmp_path):
    install("eager", f"open({str(tmp_path / 'imported')!r}, 'w')")

    registry = Registry.load(block=["eager"])

    assert not (tmp_path / "imported").exists()
    assert next(p for p in registry.plugins if p.distribution == "eager").state == "blocked"


def test_blocking_a_name_that_nobody_has_is_an_error():
    with pytest.raises(UsageError, match="no plugin 'metrix' to block. Did you mean 'metrics'?"):
        Registry.load(block=["metrix"])


def test_autoload_off_leaves_out_other_distributions_only(install, monkeypatch):
    install("good", metric("mcc"))
    monkeypatch.setenv("LOOMLM_DISABLE_PLUGIN_AUTOLOAD", "1")

    names = Registry.load().names("metric")

    assert "mcc" not in names
    assert "accuracy" in names


def test_two_plugins_with_one_name_are_told_apart_by_their_distribution(install):
    install("first-one", metric("mcc"))
    install("second", metric("mcc"))
    registry = Registry.load()

    with pytest.raises(PluginError, match=r'first-one 1.5 and second 1.5.*type = "first-one/mcc"'):
        registry.find("metric", "mcc")
    assert registry.find("metric", "second/mcc").plugin.distribution == "second"
    assert registry.find("metric", "first_one/mcc").plugin.distribution == "first-one"


@pytest.mark.parametrize(
    "source",
    [
        metric("mcc"),
        # What is made for another API may fail in any way when it is imported.
        "from loomlm.plugin import NoLongerThere\n",
        "import loomlm.plugin\nloomlm.plugin.no_longer_there()\n",
    ],
)
@pytest.mark.parametrize(("api", "said"), [("(0, 0)", "plugin API 0;"), ("(2, 3)", "API 2 to 3;")])
def test_a_plugin_for_another_api_is_refused_with_one_line(
    install, loomlm_command, source, api, said
):
    install("old", f"loomlm_api = {api}  # the first\n{source}")

    with pytest.warns(PluginWarning, match="old 1.5 .* is made for plugin API"):
        registry = Registry.load()
    with pytest.raises(PluginError, match=f"{said} this is 1. Install another version of it"):
        registry.find("metric", "mcc")
    lines = [line for line in loomlm_command("plugins").out.splitlines() if "old 1.5" in line]
    assert len(lines) == 1
    assert "incompatible" in lines[0]


@pytest.mark.parametrize("api", ["1", "(1, 1)", "(0, 2)"])
def test_a_plugin_whose_range_holds_this_api_is_loaded(install, api):
    install("good", f"loomlm_api = {api}\n{metric('mcc')}")

    assert Registry.load().find("metric", "mcc")


def test_a_range_that_is_none_is_said(install):
    install("odd", f"loomlm_api = 'one'\n{metric('mcc')}")

    broken = load_with_fault().plugins[-1]

    assert "its loomlm_api is 'one'; expected a number, or (first, last)" in broken.error


def test_what_a_component_requires_is_named_with_how_to_install_it(install):
    install("good", metric("mcc", more='requires=("not_there",), install="pip install it"'))

    with pytest.raises(PluginError, match="needs not_there, which is not installed.*pip install"):
        Registry.load().usable("metric", "mcc")


def test_a_file_can_be_a_plugin(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(metric("mcc", target="{__name__}:Mcc") + "\nclass Mcc: pass\n")
    path.write_text(path.read_text().replace('"{__name__}:Mcc"', 'f"{__name__}:Mcc"'))

    registry = Registry.load([str(path)])

    assert registry.find("metric", "mcc").component.load().__name__ == "Mcc"


def test_a_plugin_that_the_user_names_must_load(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("1 / 0")

    with pytest.raises(PluginError, match=r"mine.py' cannot be loaded: ZeroDivisionError"):
        Registry.load([str(path)])
    with pytest.raises(PluginError, match="there is no file"):
        Registry.load([str(tmp_path / "other.py")])
    with pytest.raises(PluginError, match="No module named 'nobody'"):
        Registry.load(["nobody"])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (metric("x").replace("@hookimpl", ""), "loomlm_metrics is not marked with @hookimpl"),
        (
            metric("x").replace("loomlm_metrics()", "loomlm_metrics(config)"),
            "its function loomlm_metrics has an argument 'config'. It takes none",
        ),
        (metric("x").replace("[Component(", "2 * [Component("), "the metric 'x' twice"),
    ],
)
def test_what_would_have_no_effect_or_two_is_broken(install, source, said):
    install("broken", source)

    broken = next(p for p in load_with_fault().plugins if p.distribution == "broken")

    assert said in broken.error
    assert "\n" not in broken.error


@pytest.mark.parametrize(
    ("file", "content"),
    [("entry_points.txt", "[loomlm]\nmain = good-plugin\n"), ("METADATA", "")],
)
def test_a_distribution_that_is_packed_wrong_harms_nobody(install, file, content):
    site = install("good", metric("mcc"))
    (site / "good-1.5.dist-info" / file).write_text(content)

    assert "accuracy" in Registry.load().names("metric")


def test_a_blocked_plugin_stays_out_when_it_is_named_too(install, tmp_path):
    install("eager", f"open({str(tmp_path / 'imported')!r}, 'w')")
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")

    Registry.load(["eager_plugin"], block=["eager"])
    Registry.load([str(tmp_path / "mine.py")], block=["mine.py", "eager"])

    assert not (tmp_path / "imported").exists()


def test_two_plugins_of_one_distribution_are_told_apart_by_their_module(install):
    site = install("both", metric("mcc"))
    (site / "both_second.py").write_text(metric("mcc"))
    points = "[loomlm]\none = both_plugin\ntwo = both_second\n"
    (site / "both-1.5.dist-info" / "entry_points.txt").write_text(points)
    registry = Registry.load()

    with pytest.raises(PluginError, match='type = "both_plugin/mcc"'):
        registry.find("metric", "mcc")
    assert registry.find("metric", "both_plugin/mcc").plugin.module == "both_plugin"


def test_a_component_of_a_distribution_that_lacks_it_offers_the_right_one(install):
    install("first-one", metric("mcc"))

    with pytest.raises(PluginError, match="no metric 'frist-one/mcc'. Did you mean 'first-one/m"):
        Registry.load().find("metric", "frist-one/mcc")


def test_a_user_s_module_may_be_called_as_a_built_in_plugin_is(install):
    site = install("good", metric("mcc"))
    (site / "cleaning.py").write_text(metric("mine"))

    assert "mine" in Registry.load(["cleaning"]).names("metric")


def test_two_files_of_one_name_are_two_plugins(tmp_path):
    paths = [tmp_path / folder / "mine.py" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        source = metric(path.parent.name).replace('"nowhere:Nothing"', 'f"{__name__}:Score"')
        path.write_text(f"{source}\nclass Score:\n    folder = {path.parent.name!r}\n")

    registry = Registry.load([str(path) for path in paths])

    for name in ("a", "b"):
        assert registry.find("metric", name).component.load().folder == name


def test_a_file_named_without_its_ending_is_pointed_to(tmp_path):
    (tmp_path / "mine.py").write_text(metric("mcc"))

    with pytest.raises(PluginError, match=r"A file is named with its ending: mine.py."):
        Registry.load(["mine"])


def test_builders_are_keyed_by_backend(backend):
    registry = Registry.load()

    assert registry.builder("backbone", "mlp", backend).__module__ == f"loomlm_{backend}.mlp"
    with pytest.raises(PluginError, match="no builder for the backend 'jax'. It has one for: ten"):
        registry.builder("backbone", "mlp", "jax")


def test_the_command_line_takes_and_leaves_out_plugins(install):
    site = install("good", metric("mcc"))
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def plugins(*options: str) -> str:
        command = [sys.executable, "-m", "loomlm", "plugins", *options]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert "mcc" in plugins()
    assert "main  good 1.5  blocked" in plugins("-p", "no:good")


BACKBONE = """
from loomlm.plugin import Builder, Component, hookimpl

@hookimpl
def loomlm_backbones():
    return [Component(kind="backbone", name="mlp", summary="s", target="json:loads")]

@hookimpl
def loomlm_builders():
    return [Builder(kind="backbone", name="mlp", backend="torch", target="json:dumps")]
"""
BUILDER = """
from loomlm.plugin import Builder, hookimpl

@hookimpl
def loomlm_builders():
    return [Builder(kind="backbone", name="mlp", backend="jax", target="json:loads")]
"""


@pytest.mark.one_backend("torch")
def test_of_two_backbones_with_one_name_each_has_its_own_builders(install, backend):
    install("other-kit", BACKBONE)
    registry = Registry.load()

    with pytest.raises(PluginError, match=r'type = "loomlm/mlp"'):
        registry.builder("backbone", "mlp", "torch")
    assert registry.builder("backbone", "other-kit/mlp", "torch") is json.dumps
    assert registry.builder("backbone", "loomlm/mlp", "torch").__module__ == "loomlm_torch.mlp"
    with pytest.raises(
        PluginError, match="'mlp' has no builder .* 'tensorflow'. It has one for: t"
    ):
        registry.builder("backbone", "other-kit/mlp", "tensorflow")


def test_a_third_party_builds_our_backbone_unless_two_do(install):
    install("jax-kit", BUILDER)
    assert Registry.load().builder("backbone", "mlp", "jax") is json.loads

    install("xla-kit", BUILDER)
    said = "Two plugins build the backbone 'mlp' for 'jax': jax-kit 1.5 .* and xla-kit 1.5 .*no:xla"
    with pytest.raises(PluginError, match=said):
        Registry.load().builder("backbone", "mlp", "jax")
    assert Registry.load(block=["xla-kit"]).builder("backbone", "mlp", "jax") is json.loads
