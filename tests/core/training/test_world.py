"""What differs between a run and a new command: names, groups, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from loomlm.config.load import load_config
from loomlm.contracts import Device
from loomlm.errors import UsageError
from loomlm.training import environment as module
from loomlm.training.checkpoints import Progress
from loomlm.training.differences import (
    Difference,
    changed_keys,
    check_allow,
    covered,
    of_config,
    refused,
)
from loomlm.training.environment import changes, cpu, environment, of_environment
from loomlm.training.stage import reopens

pytestmark = pytest.mark.one_backend

WORD = st.from_regex(r"[a-z_]{1,6}", fullmatch=True)
NAME = st.lists(WORD, min_size=1, max_size=5).map(".".join)


@given(NAME, NAME)
def test_a_name_allows_itself_and_what_stands_under_it(name, other):
    assert covered(name, [name])
    assert covered(f"{name}.{other}", [name])
    assert not covered(name, [f"{name}.{other}"])
    assert not covered(f"{name}x", [name])
    assert not covered(name, [])


@given(NAME, WORD, WORD)
def test_a_key_of_the_trainer_is_one_of_all_stages(stage, key, other):
    assert covered(f"stages.{stage}.trainer.{key}", [f"trainer.{key}"])
    assert covered(f"stages.{stage}.trainer.{key}.{other}", [f"trainer.{key}"])
    assert not covered(f"stages.{stage}.trainer.{key}x", [f"trainer.{key}"])
    assert not covered(f"trainers.{stage}.trainer.{key}", [f"trainer.{key}"])


@given(st.lists(NAME, min_size=1, max_size=5, unique=True), st.data())
def test_all_is_refused_until_each_is_allowed(names, data):
    found = [Difference(name, 1, 2) for name in names]
    allow = data.draw(st.lists(st.sampled_from(names), unique=True))

    error = refused(Path("runs/x"), found, allow)

    assert (error is None) == all(covered(name, allow) for name in names)
    if error is not None:
        assert all(f"  {name}: 1 there, 2 now" in str(error) for name in names)
        assert all(f"--allow {name}" in str(error) for name in names)
        assert refused(Path("runs/x"), found, names) is None


def test_what_cannot_be_allowed_is_refused_with_its_reason():
    found = [Difference("a", 1, 2, never="it is too wide"), Difference("b", None, 3)]
    said = str(refused(Path("runs/x"), found, ["a", "b"]))

    assert "a: 1 there, 2 now (cannot be allowed: it is too wide)" in said
    assert "b: not set there, 3 now" in said
    assert "--allow" not in said and "--overwrite" in said


def test_what_comes_with_another_needs_no_word():
    found = [Difference("compile", True, False, follows=True)]
    assert refused(Path("runs/x"), found, []) is None


@pytest.mark.parametrize(
    "name", ["library.torch", "data", "trainer.steps", "stages.a.task", "seed"]
)
def test_names_that_may_be_allowed(name):
    check_allow([name])


@pytest.mark.parametrize("name", ["all", "observers", "name", "libraries", ""])
def test_names_that_nothing_has(name):
    with pytest.raises(UsageError, match="no difference has that name"):
        check_allow([name])


def test_keys_that_change_no_number_are_no_difference(config_file):
    path = config_file(steps="3")
    before = load_config(path)
    now = load_config(path, set=["trainer.keep_last=5", "trainer.checkpoint_every=2"])

    assert len(changed_keys(before, now)) == 2
    assert of_config(before, now, [], False) == []


def test_a_backend_brings_how_it_computes(config_file):
    path = config_file(steps="3")
    before = load_config(path)
    settings = before.settings
    stage = settings.stages[0]
    other = evolve(
        settings,
        backend="other",
        stages=(evolve(stage, trainer=evolve(stage.trainer, threads=2, batch_size=8)),),
    )
    now = evolve(before, settings=other)

    for allow, named in (([], True), (["backend"], False)):
        follows = {one.name: one.follows for one in of_config(before, now, allow, named)}
        assert follows == {
            "backend": True,
            "stages.finetune.trainer.threads": True,
            "stages.finetune.trainer.batch_size": False,
        }
    assert not any(one.follows for one in of_config(before, now, [], False))


@pytest.fixture
def known(config_file):
    """A config, and what `environment` says of it."""
    config = load_config(config_file(steps="3"))
    return config, environment(config, config.settings.backend)


def differing(known, **now) -> dict[str, tuple]:
    config, before = known
    found = of_environment(before, {**before, **now}, config.settings, config)
    return {one.name: (one.before, one.now) for one in found}


def test_what_is_as_it_was_is_no_difference(known):
    config, before = known
    assert differing(known) == {}
    # A run that wrote down less is compared by that.
    assert list(of_environment({}, before, config.settings, config)) == []


def test_libraries_that_take_part(known):
    config, before = known
    (framework, *_) = config.registry.find("trainer", config.settings.backend).component.requires
    libraries = {**before["libraries"], framework: "0.1", "safetensors": "0.1"}

    assert differing(known, libraries=libraries) == {
        f"library.{framework}": (before["libraries"][framework], "0.1")
    }
    gone = {name: v for name, v in before["libraries"].items() if name != "numpy"}
    assert differing(known, libraries=gone) == {
        "library.numpy": (before["libraries"]["numpy"], None)
    }


def test_of_python_the_minor_version_counts(known):
    _, before = known
    major, minor, _ = before["python"].split(".")

    assert differing(known, python=f"{major}.{minor}.99") == {}
    assert differing(known, python="3.99.1") == {"library.python": (f"{major}.{minor}", "3.99")}


def with_part(known, part: str, **made: str) -> dict:
    table = known[1]["made_by"]
    return {**table, part: {**table[part], **made}}


def test_plugins_by_version_code_and_component(known):
    config, before = known
    theirs = with_part(known, "backbone:mlp", distribution="mine", version="1", code="aaaa")
    old = (config, {**before, "made_by": theirs})

    for made, said in (
        ({"version": "2"}, ("version 1", "version 2")),
        ({"code": "bbbb"}, ("code aaaa", "code bbbb")),
        ({"component": "9"}, ("backbone mlp 1", "backbone mlp 9")),
    ):
        assert differing(old, made_by=with_part(old, "backbone:mlp", **made)) == {
            "plugin.mine": said
        }
    another = with_part(old, "backbone:mlp", distribution="other")
    assert differing(old, made_by=another) == {"plugin.other": ("mine", "other")}


def test_a_plugin_in_a_file_may_move(known):
    config, before = known
    made = {"version": "", "code": "aaaa"}
    there = with_part(known, "backbone:mlp", distribution="/a/mine.py", **made)
    here = with_part(known, "backbone:mlp", distribution="/b/mine.py", **made)
    edited = with_part(known, "backbone:mlp", **{**made, "distribution": "/b/mine.py", "code": "b"})
    old = (config, {**before, "made_by": there})

    assert differing(old, made_by=here) == {}
    assert differing(old, made_by=edited) == {"plugin.mine.py": ("code aaaa", "code b")}


def test_builders_of_third_parties_count(known):
    config, before = known
    made = {"distribution": "mine", "version": "1", "code": "aaaa"}
    old = (config, {**before, "built_by": {"backbone:mlp:torch": made}})
    now = {"backbone:mlp:torch": {**made, "code": "bbbb"}}

    assert differing(old, built_by=now) == {"plugin.mine": ("code aaaa", "code bbbb")}


def test_observers_are_told_of_and_refuse_nothing(known):
    config, before = known
    made = {"distribution": "mine.py", "version": "", "component": "1", "code": "aaaa"}
    then = {**before, "made_by": {**before["made_by"], "observer:x": made}}
    now = {**before, "made_by": {**before["made_by"], "observer:x": {**made, "code": "bbbb"}}}

    assert list(of_environment(then, now, config.settings, config)) == []
    assert list(changes(then, now)) == ["the code of observer x (mine.py) has changed since"]


def test_the_machine_counts_where_it_computes(known, monkeypatch):
    config, before = known
    assert differing(known, cpu="abacus") == {"machine.cpu": (before["cpu"], "abacus")}

    stage = config.settings.stages[0]
    there = evolve(stage, trainer=evolve(stage.trainer, device="cuda"))
    on_gpu = evolve(config, settings=evolve(config.settings, stages=(there,)))
    found = [Device(name="cuda:0", description="H100"), Device(name="cpu", description="2 cores")]
    target = type("T", (), {"__init__": lambda *_: None, "devices": lambda _: tuple(found)})
    monkeypatch.setattr(type(config.registry), "target", lambda *_: target)
    assert module.devices(on_gpu, config.settings.backend) == {"finetune": "H100"}

    old = (on_gpu, {**before, "devices": {"finetune": "H100"}})
    assert differing(old, cpu="abacus") == {}
    assert differing(old, devices={"finetune": "A100"}) == {"machine.device": ("H100", "A100")}


def test_a_cpu_is_known_by_its_widest_instructions(tmp_path, monkeypatch):
    info = tmp_path / "cpuinfo"
    monkeypatch.setattr(module, "CPUINFO", info)
    assert " " not in cpu()

    info.write_text("model name : a CPU\nflags : fpu sse2 avx avx2\n")
    assert cpu().endswith(" avx2")
    info.write_text("flags : fpu avx avx2 avx512f\n")
    assert cpu().endswith(" avx512f")


@pytest.mark.parametrize(
    ("ended", "step", "patience", "stale", "goes_on"),
    [
        ("", 5, None, 0, False),
        ("done", 5, None, 0, True),
        ("done", 10, None, 0, False),
        ("done; the best weights were lost, these are the last", 5, None, 0, True),
        ("f1 has not improved for 3 evaluations", 5, 3, 3, False),
        ("f1 has not improved for 3 evaluations", 5, 4, 3, True),
        ("f1 has not improved for 3 evaluations", 5, None, 3, True),
    ],
)
def test_when_a_stage_that_has_ended_goes_on(config_file, ended, step, patience, stale, goes_on):
    stopping = [] if patience is None else [f"trainer.early_stopping={{patience={patience}}}"]
    trainer = load_config(config_file(), set=stopping).settings.stages[0].trainer
    progress = Progress(step=step, stale=stale, ended=ended)

    assert reopens(progress, trainer, 10) is goes_on
