"""The data table: one source, several, or a stream."""

from __future__ import annotations

import pytest

import loomlm
from loomlm.config.show import plain, to_toml
from loomlm.errors import ConfigError

pytestmark = pytest.mark.one_backend

HEAD = """\
name = "mix"
backend = "torch"
tokenizer = "word"
backbone = "mlp"
trainer = { steps = 1 }
[[stages]]
name = "finetune"
task = "classification"
"""

SEVERAL = """\
[stages.data]
clean = ["whitespace"]
[[stages.data.sources]]
train = "a.csv"
label = "label"
weight = 2
clean = ["html"]
[[stages.data.sources]]
type = "files"
train = "b.csv"
label = "label"
weight = 1
"""


def load(tmp_path, data: str):
    path = tmp_path / "my.toml"
    path.write_text(HEAD + data)
    return loomlm.load_config(path).settings.stages[0].data


def mistakes(tmp_path, data: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, data)
    return str(caught.value)


def test_several_sources_have_their_own_keys_weights_and_cleaning(tmp_path):
    data = load(tmp_path, SEVERAL)

    first, second = data.parts
    assert first.source.config.train == tmp_path / "a.csv"
    assert [choice.type for choice in first.clean] == ["html"]
    assert (first.weight, second.weight, second.clean) == (2.0, 1.0, ())
    assert [choice.type for choice in data.clean] == ["whitespace"]


def test_several_sources_are_shown_as_a_config_that_reads_back(tmp_path):
    data = load(tmp_path, SEVERAL)

    shown = to_toml({"stages": [{"data": plain(data)}]}).replace("[[stages]]\n", "", 1)
    assert load(tmp_path, shown) == data


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (SEVERAL.replace("weight = 1\n", ""), ["sources.1", "`weight` is missing"]),
        (SEVERAL.replace("weight = 2", "weight = 0"), ["sources.0.weight", "must be > 0"]),
        (SEVERAL.replace("weight = 2", "wait = 2"), [":14: ", "'weight'"]),
        (SEVERAL.replace('"html"', '"htmll"'), ["'html'"]),
        (
            SEVERAL.replace("clean = [", 'train = "c.csv"\nclean = [', 1),
            ["'train' is a key of one source"],
        ),
        (SEVERAL.replace("clean = [", "streaming = true\nclean = [", 1), ["a stream has one"]),
        ('data = { train = "a", streaming = true, split = { test = 0.1 } }', ["cut off"]),
        (
            'data = { train = "a", streaming = true, shuffle_window = 1 }',
            ["none would have the 32"],
        ),
        ('data = { train = "a", shuffle_window = 0 }', ["shuffle_window", ">= 1"]),
    ],
)
def test_mistakes_name_their_key(tmp_path, data, told):
    message = mistakes(tmp_path, data)

    assert [part for part in told if part not in message] == []
