"""What a plugin may do wrong: it is told with its distribution, and harms nobody else."""

from __future__ import annotations

import json
import sys

import pytest

import loomlm
from loomlm import registry as registry_module
from loomlm.plugin import PluginError, hookimpl

from ..written import metric

pytestmark = pytest.mark.one_backend

SLEEPS = "import time\ntime.sleep(0.2)\n"
BROKEN = {
    "raises": ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    "exits": ("import sys\nsys.exit('bye')", "SystemExit: bye"),
    "needs torch": ("import torch_of_a_test", "No module named 'torch_of_a_test'"),
    "config class needs torch": (
        "from torch_of_a_test import Config\n" + metric("x", more="config=Config"),
        "No module named 'torch_of_a_test'",
    ),
    "same name twice": (
        metric("x").replace("[Component(", "2 * [Component("),
        "it registers the metric 'x' twice",
    ),
    "misspelt hook": (
        metric("x").replace("loomlm_metrics", "loomlm_metric"),
        "Did you mean 'loomlm_metrics'?",
    ),
    "unknown argument": (
        metric("x").replace("loomlm_metrics()", "loomlm_metrics(config)"),
        "its function loomlm_metrics has an argument 'config'. It takes none",
    ),
    "a number for a list": (
        metric("x").replace("return [", "return 3 and 5 or ["),
        "loomlm_metrics returned 5, which is no list",
    ),
    "a string for a list": (
        metric("x").replace("return [", "return 'accuracy' or ["),
        "returned 'accuracy', which is no list",
    ),
    "not components": (
        metric("x").replace("return [", "return [None] + ["),
        "returned None, which is not a Component",
    ),
    "a config class that is none": (
        metric("x", more="config=dict"),
        "the config of its metric 'x' is <class 'dict'>, which is no attrs class",
    ),
    "not builders": (
        "from loomlm.plugin import hookimpl\n@hookimpl\ndef loomlm_builders():\n    return ['x']",
        "returned 'x', which is not a Builder",
    ),
    "wraps every run": (
        "from loomlm.plugin import hookimpl\n"
        "@hookimpl(wrapper=True)\ndef loomlm_batch():\n    return (yield)",
        "it implements loomlm_batch itself, and would change every run. Give it to an extension",
    ),
}


@pytest.mark.parametrize(("source", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_told_and_the_others_work(
    install, config_file, loomlm_command, source, said
):
    install("bad-kit", source)
    install("good-kit", metric("mcc"))

    listed = loomlm_command("plugins")
    assert listed.code == 0
    line = next(line for line in listed.out.splitlines() if "bad-kit 1.5" in line)
    assert "  broken: " in line
    assert said in line
    assert "metric  mcc" in listed.out
    assert not listed.err, "the list says it itself"

    check = loomlm_command("config", "check", config_file())
    assert check.code == 0
    (warning,) = check.err.splitlines()
    assert warning.startswith("Warning: The plugin bad-kit 1.5 (bad_kit_plugin) is left out: ")
    assert said in warning
    assert warning.endswith("Leave it out with -p no:bad-kit.")
    assert not loomlm_command("config", "check", config_file(), "-p", "no:bad-kit").err

    doctor = loomlm_command("doctor")
    assert "Broken     bad-kit 1.5 (bad_kit_plugin): " in doctor.out


def test_what_a_plugin_prints_does_not_get_among_a_command_s_output(install, loomlm_command):
    install("loud-kit", f"print('hello', 'world')\n{metric('mcc')}")

    def command(*words: str):
        sys.modules.pop("loud_kit_plugin", None)
        return loomlm_command(*words)

    plugin = json.loads(command("plugins", "--json").out)[-1]
    assert (plugin["state"], plugin["printed"]) == ("loaded", "hello world")
    assert "wrote 'hello world' while it was imported" in command("plugins").out
    done = command("config", "schema")
    assert json.loads(done.out)
    assert "The plugin loud-kit 1.5 (loud_kit_plugin) wrote 'hello world' while" in done.err


def test_a_slow_plugin_is_told(install, config_file, loomlm_command, monkeypatch):
    monkeypatch.setattr(registry_module, "SLOW", 0.1)
    install("slow-kit", SLEEPS + metric("mcc"))

    done = loomlm_command("config", "check", config_file())

    assert done.code == 0
    assert "The plugin slow-kit 1.5 (slow_kit_plugin) took 0.2 s to import. Leave it" in done.err


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nowhere_of_a_test:Nothing", "ModuleNotFoundError: No module named 'nowhere_of_a_test'"),
        ("json:Nothing", "AttributeError: module 'json' has no attribute 'Nothing'"),
        ("json", "ValueError: a target is package.module:object"),
    ],
)
def test_a_target_that_does_not_exist_stops_only_who_needs_it(
    install, config_file, loomlm_command, target, said
):
    install("empty-kit", metric("mcc", target))

    assert loomlm_command("config", "check", config_file()).code == 0
    needs = loomlm_command(
        "config", "check", config_file(), "--set", "stages.finetune.metrics=['mcc']"
    )

    assert needs.code == 2
    assert "metric 'mcc' of empty-kit 1.5 (empty_kit_plugin) cannot be had: its target" in needs.err
    assert said in needs.err
    checked = loomlm_command("plugins", "--check", "-p", "no:torch", "-p", "no:tensorflow")
    assert checked.code == 1
    assert f"{target}: {said}" in checked.out


COMPLEX = """
from attrs import frozen

@frozen
class Config:
    number: complex = 0j
"""


def test_a_key_that_no_config_can_give_is_its_author_s_mistake(
    install, config_file, loomlm_command
):
    install("odd-kit", COMPLEX + metric("odd", "json:loads", "config=Config"))

    assert loomlm_command("config", "check", config_file()).code == 0
    needs = loomlm_command(
        "config", "check", config_file(), "--set", "stages.finetune.metrics=['odd']"
    )

    assert needs.code == 2
    assert "the key 'number', with the type <class 'complex'>, which no config" in needs.err
    assert loomlm_command("config", "schema").code == 0
    assert loomlm_command("plugins", "show", "metric:odd").code == 0


FAILS = """
from loomlm.plugin import Component, hookimpl

class Watcher:
    def __init__(self, config): pass

    @hookimpl
    def loomlm_steps_ended(self, event):
        raise RuntimeError("no more room")

@hookimpl
def loomlm_observers():
    return [Component(kind="observer", name="fails", summary="s", target=f"{__name__}:Watcher")]
"""


def test_an_observer_that_fails_does_not_end_the_run(install, config_file, loomlm_command):
    install("watch-kit", FAILS)

    done = loomlm_command("run", config_file(steps="6"), "--set", "observers=['fails']")

    assert done.code == 0
    assert done.err.count("no more room") == 1
    assert (
        "Warning: observer fails of watch-kit 1.5 (watch_kit_plugin) failed in loomlm_steps_ended "
        "and is not called there again: RuntimeError: no more room" in done.err
    )


HOOKED = """
from loomlm.plugin import Component, hookimpl

class Part:
    def __init__(self, config): pass

    {implementation}

@hookimpl
def loomlm_{kind}s():
    return [Component(kind="{kind}", name="part", summary="s", target=f"{{__name__}}:Part")]
"""


@pytest.mark.parametrize(
    ("kind", "implementation", "said"),
    [
        (
            "extension",
            "@hookimpl(wrapper=True)\n    def loomlm_example(self): return (yield)",
            "it implements the hook 'loomlm_example', which does not exist. Did you mean 'loomlm_",
        ),
        (
            "extension",
            "def loomlm_batch(self): return (yield)",
            "its function loomlm_batch is not marked with @hookimpl",
        ),
        (
            "extension",
            "@hookimpl\n    def loomlm_batch(self, batch): return batch",
            "its function loomlm_batch is not marked with @hookimpl(wrapper=True)",
        ),
        (
            "extension",
            "@hookimpl(wrapper=True)\n    def loomlm_examples(self, splt): return (yield)",
            "its function loomlm_examples has an argument 'splt'. It takes examples, split.",
        ),
        (
            "observer",
            "@hookimpl\n    def loomlm_evaluate(self, event): pass",
            "it implements the hook 'loomlm_evaluate', which does not exist. Did you mean 'loomlm_",
        ),
        (
            "observer",
            "def loomlm_evaluated(self, event): pass",
            "its function loomlm_evaluated is not marked with @hookimpl",
        ),
    ],
)
def test_hooks_of_an_object_that_would_have_no_effect_are_told(
    install, config_file, loomlm_command, kind, implementation, said
):
    install("odd-kit", HOOKED.format(kind=kind, implementation=implementation))
    place = "observers" if kind == "observer" else "stages.finetune.extensions"

    run = loomlm_command("run", config_file(steps="2"), "--set", f"{place}=['part']")
    assert run.code == 2
    assert f"The {kind} 'part' of odd-kit 1.5 (odd_kit_plugin): {said}" in run.err
    check = loomlm_command("plugins", "check", "odd-kit")
    assert check.code == 1
    assert said in check.out


@pytest.mark.parametrize("hook", ["loomlm_steps_ended", "loomlm_run_started"])
def test_an_observer_can_stop_a_run_with_an_error_for_the_user(
    install, config_file, loomlm_command, hook
):
    source = FAILS.replace("RuntimeError", "UsageError").replace("loomlm_steps_ended", hook)
    install("watch-kit", source.replace("import Component", "import UsageError, Component"))

    done = loomlm_command("run", config_file(steps="6"), "--set", "observers=['fails']")

    assert done.code == 2
    assert "Error: no more room" in done.err


class Misspelt:
    @hookimpl
    def loomlm_run_end(self, event):
        pass


def test_an_observer_that_is_handed_over_is_checked_too(config_file):
    with pytest.raises(PluginError, match="The observer Misspelt: .* Did you mean 'loomlm_run_en"):
        loomlm.run(config_file(steps="2"), observers=[Misspelt()])
