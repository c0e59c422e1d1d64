"""What `config show` writes reads back; what the schema says is what the reader takes."""

from __future__ import annotations

import json
import tomllib

import attrs
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loomlm
from loomlm.config.schema import config_schema
from loomlm.config.settings import RunConfig, StageConfig, TrainerConfig
from loomlm.config.show import to_toml
from loomlm.registry import Registry


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
        ("width = 16", "wide = 16"),
        ("width = 16", 'width = "16"'),
        ("width = 16", "width = 0"),
        ('type = "mlp"', 'type = "mpl"'),
        ("batch_size = 16", "batch_size = 1.5"),
        ('task = "classification"', "task = { type = 'classification', labels = 3 }"),
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


def test_every_key_is_documented():
    classes = [RunConfig, StageConfig, TrainerConfig]
    classes += [entry.component.config for entry in Registry.load().entries]
    for cls in classes:
        for field in attrs.fields(cls):
            assert field.metadata.get("doc"), f"{cls.__name__}.{field.name}"
