"""What goes away warns at the line of who uses it, from one table."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from packaging.version import Version

import loomlm
from loomlm import deprecations, plugin
from loomlm.deprecations import ARGUMENTS, HOOKS, KEYS, NAMES, Gone
from loomlm.errors import LoomlmDeprecationWarning
from loomlm.registry import Registry

from .written import metric

pytestmark = pytest.mark.one_backend

GONE = Gone("0.9", "write something else")
OBSERVES = """
from loomlm.plugin import hookimpl

@hookimpl
def loomlm_progress(event):
    pass
"""


def test_nothing_is_overdue():
    here = Version(version("loomlm"))
    listed = [*HOOKS.values(), *ARGUMENTS.values(), *KEYS.values()]
    listed += [gone for gone, _ in NAMES.values()]

    assert [gone for gone in listed if Version(gone.with_version) <= here] == []


@pytest.mark.parametrize(
    ("table", "what", "said"),
    [
        (
            "HOOKS",
            "loomlm_progress",
            "the hook loomlm_progress goes away in loomlm 0.9: wri",
        ),
        ("ARGUMENTS", ("loomlm_progress", "event"), "the argument 'event' of the hook loomlm_prog"),
    ],
)
def test_a_hook_warns_at_the_function_that_implements_it(install, monkeypatch, table, what, said):
    monkeypatch.setitem(getattr(deprecations, table), what, GONE)
    site = install("old-kit", OBSERVES)

    with pytest.warns(LoomlmDeprecationWarning, match=said) as caught:
        Registry.load()

    (warning,) = caught
    assert warning.filename == str(site / "old_kit_plugin.py")
    assert warning.lineno == OBSERVES.splitlines().index("@hookimpl") + 1


@pytest.mark.parametrize(
    ("owner", "key", "line"),
    [
        ("TrainerConfig", "batch_size", "batch_size = 16"),
        ("MlpConfig", "ngrams", "ngrams = 2"),
        ("RunConfig", "name", 'name = "small"'),
        ("StageConfig", "task", 'task = "classification"'),
    ],
)
def test_a_key_warns_at_the_line_of_the_config(
    monkeypatch, config_file, loomlm_command, owner, key, line
):
    monkeypatch.setitem(KEYS, (owner, key), GONE)
    path = config_file()
    number = path.read_text().splitlines().index(line) + 1

    done = loomlm_command("config", "check", path)

    assert done.code == 0
    says = f"the key {key!r} goes away in loomlm 0.9: write something else."
    assert done.err == f"Warning: {path}:{number}: {says}\n"


def test_a_key_that_is_not_given_does_not_warn(monkeypatch, config_file, recwarn):
    monkeypatch.setitem(KEYS, ("TrainerConfig", "log_every"), GONE)

    loomlm.load_config(config_file())

    assert not recwarn.list


def test_a_name_of_the_author_s_page_warns_at_the_line_that_takes_it(install, monkeypatch):
    monkeypatch.setitem(NAMES, "OldComponent", (GONE, plugin.Component))
    source = metric("mcc").replace("import Component", "import OldComponent as Component")
    site = install("old-kit", source)

    with pytest.warns(LoomlmDeprecationWarning, match="loomlm.plugin.OldComponent") as caught:
        registry = Registry.load()

    assert registry.find("metric", "mcc")
    assert caught[0].filename == str(site / "old_kit_plugin.py")
    with pytest.raises(AttributeError, match="has no attribute 'Compnent'"):
        plugin.Compnent  # noqa: B018
