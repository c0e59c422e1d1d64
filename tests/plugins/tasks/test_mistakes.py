"""Labels and keys that cannot be right are said with their place and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.one_backend


def append(path: Path, line: str) -> int:
    """Adds a line to a file, and gives its number."""
    text = path.read_text(encoding="utf-8") + line + "\n"
    path.write_text(text, encoding="utf-8")
    return text.count("\n")


@pytest.fixture
def fails(config_file, loomlm_command):
    """Runs a config that must fail; gives what is said, on one line."""

    def call(**stage: str) -> str:
        settings = [f"--set=stages.finetune.{key}={value}" for key, value in stage.items()]
        done = loomlm_command("run", config_file(), *settings)
        assert done.code == 2, done.out + done.err
        return " ".join(done.err.split())

    return call


def test_an_unknown_label_in_test_is_named_with_its_line(fails, topics):
    number = append(topics[1], "rain again,wether")

    said = fails()

    assert f"test.csv:{number}: the label 'wether' stands in no training example." in said
    assert "Did you mean 'weather'? Mend the label, or add such examples to train." in said


def test_an_unknown_label_of_a_set_is_named_too(fails, topics):
    number = append(topics[1], '"rain, again","weather,foood"')

    said = fails(task='{type="classification", multi_label=true}')

    assert f"test.csv:{number}: the label 'foood' stands in no training example." in said


def test_one_label_is_not_enough(fails, topics):
    topics[0].write_text("text,label\nrain,weather\nwind,weather\n")

    said = fails()

    assert "at least two labels; the training examples have only 'weather'" in said
    assert "Check the label column" in said


def test_data_without_labels(fails, topics):
    topics[0].write_text('{"text": "rain"}\n{"text": "soup"}\n')
    topics[0].rename(topics[0].with_suffix(".jsonl"))

    said = fails(data='{train="train.jsonl"}')

    assert "train.jsonl:1: the example has no label." in said
    assert 'data = { label = "..." }' in said


def test_lists_of_labels_want_multi_label(fails, topics):
    path = topics[0].with_suffix(".jsonl")
    path.write_text('{"text": "rain", "label": ["weather", "food"]}\n' * 3)

    said = fails(data='{train="train.jsonl", label="label"}')

    assert "train.jsonl:1: the example has a list of labels, ['weather', 'food']." in said
    assert "Set task = { multi_label = true }" in said


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('class_weights="balance"', "'none' or 'balanced' or a table, got 'balance'"),
        ("class_weights={wether=2.0}", "class_weights names the label 'wether'"),
        ("class_weights={weather=0}", "class_weights must be above 0, got 0.0 for 'weather'"),
        ("class_weights={weather=-1.0}", "class_weights must be above 0, got -1.0"),
        ("class_weights={weather=inf}", "inf"),
        ('multi_label=true, separator=""', "separator must not be empty"),
        ("label_smoothing=0.6", "must be <= 0.5"),
        ("threshold=0.0", "must be > 0"),
    ],
)
def test_keys_that_cannot_be_right(fails, topics, keys, said):
    assert said in fails(task=f'{{type="classification", {keys}}}')
