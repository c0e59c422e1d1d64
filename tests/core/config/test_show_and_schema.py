"""What `config show` writes reads back; what the schema says is what the reader takes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import get_args

import attrs
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loomlm
from loomlm.config.schema import config_schema
from loomlm.config.settings import (
    Choice,
    DataConfig,
    EarlyStopping,
    RunConfig,
    SplitConfig,
    StageConfig,
    TrainerConfig,
)
from loomlm.config.show import to_toml
from loomlm.registry import Registry

pytestmark = pytest.mark.one_backend


def test_show_reads_back_as_the_same_config(config_file, tmp_path, loomlm_command):
    path = config_file()
    shown = loomlm_command("config", "show", path, "--set", "seed=4")
    (tmp_path / "shown.toml").write_text(shown.out)

    before = loomlm.load_config(path, set=["seed=4"]).settings
    assert loomlm.load_config(tmp_path / "shown.toml").settings == before


def test_show_says_where_each_value_came_from(config_file, loomlm_command):
    path = config_file()

    shown = loomlm_command("config", "show", path, "--set", "seed=4").out

    assert "seed = 4  # --set" in shown
    assert f"width = 16  # {path}:9" in shown
    assert f"batch_size = 16  # {path}:" in shown
    assert 'weighting = "none"  # default' in shown
    assert f'type = "word"  # {path}:5' in shown
    assert f'type = "classification"  # {path}:' in shown
    assert 'type = "adamw"  # default' in shown


def test_show_of_a_component_that_was_set_keeps_the_origin_of_its_name(config_file, loomlm_command):
    path = config_file()

    shown = loomlm_command(
        "config", "show", path, "--set", "stages.finetune.task.multi_label=true"
    ).out

    assert f'type = "classification"  # {path}:' in shown
    assert "multi_label = true  # --set" in shown


def test_show_of_everything_that_can_be_named_is_right(config_file, tmp_path, loomlm_command):
    path = config_file()
    sets = (
        'stages.finetune.metrics=["accuracy", {type="f1", average="micro"}]',
        'stages.finetune.data.clean=["html", {type="lowercase"}]',
        "stages.finetune.data.split.validation=0.25",
        "stages.finetune.data.text=['a b', 'c']",
        "trainer.early_stopping.patience=2",
        "trainer.schedule.warmup=10",
        "backends.torch={}",
        "observers=['tensorboard']",
    )
    words = [word for assignment in sets for word in ("--set", assignment)]
    (tmp_path / "shown.toml").write_text(loomlm_command("config", "show", path, *words).out)

    checked = loomlm_command("config", "check", "shown.toml")

    assert checked.code == 0, checked.err
    before = loomlm.load_config(path, set=sets).settings
    assert loomlm.load_config("shown.toml").settings == before


VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.dictionaries(st.text(min_size=1), VALUES, max_size=5))
def test_what_is_written_reads_back(values):
    assert tomllib.loads(to_toml(values)) == values


def as_json(path) -> object:
    return tomllib.loads(path.read_text())


def test_the_schema_takes_what_the_reader_takes(config_file):
    schema = config_schema(Registry.load())
    jsonschema.Draft202012Validator.check_schema(schema)

    jsonschema.validate(as_json(config_file()), schema)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('[tokenizer]\ntype = "word"', 'tokenizer = "word"'),
        ('type = "word"', 'type = "loomlm/word"'),
        ("[trainer]", "[trainer]\noptimizer = 'sgd'"),
        ("[trainer]", "[trainer]\noptimizer = { type = 'loomlm/sgd' }"),
        ("[trainer]", "[trainer]\ngradient_clip = 'off'\nprecision = 'auto'"),
        ("[trainer]", "[trainer]\nearly_stopping = {}"),
        ("[trainer]", "[backends.torch]\n[trainer]"),
        ("label =", "clean = ['html', { type = 'lowercase' }], label ="),
        ("label =", "text = ['a', 'b'], split = { by = 'hash', test = 0.5 }, label ="),
        ('"classification"\n', '"classification"\nmetrics = ["f1", { type = "accuracy" }]\n'),
    ],
)
def test_the_schema_takes_every_way_of_writing(config_file, old, new):
    path = config_file()
    text = path.read_text()
    if new.startswith("tokenizer ="):
        text = f"{new}\n{text}".replace(f"\n{old}\n", "\n", 1)
    else:
        text = text.replace(old, new)
    path.write_text(text)

    loomlm.load_config(path)
    jsonschema.validate(as_json(path), config_schema(Registry.load()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("width = 16", "wide = 16"),
        ("width = 16", 'width = "16"'),
        ("width = 16", "width = 0"),
        ('type = "mlp"', 'type = "mpl"'),
        ("batch_size = 16", "batch_size = 1.5"),
        ('task = "classification"', "task = { type = 'classification', labels = 3 }"),
        ("[trainer]", "[backends.torch]\nfuse = true\n[trainer]"),
        ("[trainer]", "[backends.troch]\n[trainer]"),
        ("[trainer]", "[trainer]\nprecision = 'bf61'"),
        ("[trainer]", "[trainer]\ngradient_clip = 0"),
        ("[trainer]", "[trainer]\nkeep_last = true"),
        ("[trainer]", "[trainr]"),
        ("label =", "splt = {}, label ="),
        ("label =", "split = { by = 'time' }, label ="),
        ("label =", "clean = 'html', label ="),
        ('name = "finetune"', ""),
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(config_file, old, new):
    path = config_file()
    path.write_text(path.read_text().replace(old, new))

    with pytest.raises(loomlm.ConfigError):
        loomlm.load_config(path)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(as_json(path), config_schema(Registry.load()))


def test_the_schema_has_the_keys_of_a_plugin(tmp_path, loomlm_command):
    (tmp_path / "mine.py").write_text(
        "from attrs import frozen\n"
        "from loomlm.plugin import Component, hookimpl, key\n"
        "@frozen\nclass Config:\n    depth: int = key('how deep', 3)\n"
        "@hookimpl\ndef loomlm_backbones():\n"
        "    return [Component(kind='backbone', name='mine', summary='s', target='x:X',"
        " config=Config)]\n"
    )
    shown = loomlm_command("config", "schema", "-p", "mine.py")

    assert "how deep" in shown.out
    assert json.loads(shown.out)["$schema"]


def config_classes(hint) -> Iterator[type]:
    """A config class, and those that its keys hold."""
    if isinstance(hint, type) and attrs.has(hint):
        yield hint
        for field in attrs.fields(attrs.resolve_types(hint, include_extras=True)):
            # A source's keys stand in the data table itself; a choice's target is another choice.
            if field.name != "source" and hint is not Choice:
                yield from config_classes(field.type)
    else:
        for inner in get_args(hint):
            yield from config_classes(inner)


def test_every_key_is_documented():
    classes = set(config_classes(RunConfig)) - {Choice}
    for entry in Registry.load().entries:
        classes.update(config_classes(entry.component.config))

    assert {StageConfig, TrainerConfig, EarlyStopping, SplitConfig} <= classes
    for cls in classes:
        for field in attrs.fields(cls):
            if (cls, field.name) != (DataConfig, "source"):
                assert field.metadata.get("doc"), f"{cls.__name__}.{field.name}"
