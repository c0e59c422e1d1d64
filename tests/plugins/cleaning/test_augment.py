"""Copies of training examples with some words altered."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import loomlm
from loomlm.data.reading import read_examples
from loomlm.plugin import ConfigError, DataError, Example, UsageError
from loomlm_cleaning.augmenting import altered, augment_step
from loomlm_cleaning.config import AugmentConfig

pytestmark = pytest.mark.one_backend

SOME = AugmentConfig(copies=3, delete=0.2, swap=0.2)


@given(st.text(), st.integers(0, 9), st.floats(0, 0.9), st.floats(0.01, 1))
def test_a_copy_has_words_of_the_text_and_nothing_else(text, number, delete, swap):
    config = AugmentConfig(delete=delete, swap=swap)
    copy = altered(text, number, config)
    left = text.split()
    for word in copy.split():
        left.remove(word)
    assert bool(copy.split()) == bool(text.split())
    assert copy == altered(text, number, config)


def test_shares_are_those_of_the_config():
    text = " ".join(map(str, range(10_000)))
    words = altered(text, 0, AugmentConfig(delete=0.3, swap=0.01)).split()
    assert len(words) == pytest.approx(7000, abs=200)
    words = [int(word) for word in altered(text, 0, AugmentConfig(delete=0, swap=0.2)).split()]
    moved = [word - place for place, word in enumerate(words)]
    assert set(moved) == {-1, 0, 1}
    assert moved.count(1) == moved.count(-1) == pytest.approx(10_000 * 0.2 / 1.2, abs=200)


def test_labels_and_places_stay_and_what_is_to_be_written_does_too():
    text = "one two three four five six seven eight nine ten"
    first, *copies = augment_step(SOME).example(
        Example(text, "a", {"pair": text[::-1], "target": text}, "train.csv:3")
    )
    assert first.text == text and len(copies) == 3
    assert len({copy.text for copy in copies}) == 3
    for copy in copies:
        assert (copy.label, copy.place, copy.extra["target"]) == ("a", "train.csv:3", text)
        assert copy.extra["pair"] != text[::-1]


def test_a_copy_that_is_the_same_is_none():
    example = Example("word", "a")
    assert augment_step(SOME).example(example) is example


def test_what_points_into_a_text_is_refused():
    with pytest.raises(UsageError, match=r"a:1: `augment` leaves out and moves words"):
        augment_step(SOME).example(Example("one two", extra={"question": "which?"}, place="a:1"))
    with pytest.raises(UsageError, match="`augment` leaves out"):
        augment_step(SOME).example(Example("one two", meta={"answers": "[]", "id": "7"}))
    assert augment_step(SOME).example(Example("one two three four five", meta={"id": "7"}))


@pytest.fixture
def read(tmp_path, backend):
    lines = [
        {"text": f"{n} {' '.join(f'w{n}x{i}' for i in range(10))}", "label": "ab"[n % 2]}
        for n in range(100)
    ]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")

    def reading(**data):
        table = {"train": str(tmp_path / "train.jsonl"), "label": "label", **data}
        config = loomlm.load_config(
            {
                "name": "small",
                "backend": backend,
                "tokenizer": "word",
                "backbone": "mlp",
                "trainer": {"steps": 1},
                "stages": [{"name": "s", "task": "classification", "data": table}],
            }
        )
        said = []
        stage = config.settings.stages[0]
        return read_examples(stage.data, config.registry, 17, said.append), said

    return reading


def test_no_copy_stands_in_another_split(read):
    augment = {"type": "augment", "copies": 4}
    examples, said = read(clean=["lowercase", augment], split={"validation": 0.2, "test": 0.1})
    words = {
        name: {word.partition("x")[0] for one in split.examples() for word in one.text.split()}
        for name, split in examples.splits.items()
    }
    assert len(examples.splits["validation"]) == 20 and len(examples.splits["test"]) == 10
    assert 300 < len(examples.splits["train"]) <= 350
    assert not words["train"] & (words["validation"] | words["test"])
    (report,) = [one for one in examples.reports["train"] if one["step"] == "augment"]
    assert report["read"] == 70 and report["added"] == len(examples.splits["train"]) - 70
    assert report["samples"]["added"]
    assert f"train: augment added {report['added']} to 70" in said
    plain, _ = read(clean=["lowercase"], split={"validation": 0.2, "test": 0.1})
    assert plain.key != examples.key


def test_it_is_the_same_each_time_and_other_with_other_keys(read, monkeypatch, tmp_path):
    def texts(**keys):
        examples, _ = read(clean=[{"type": "augment", **keys}])
        return [one.text for one in examples.splits["train"].examples()]

    first = texts(copies=2)
    assert texts(copies=2, swap=0.5) != first
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "other"))
    assert texts(copies=2) == first


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"clean": ["augment", "lowercase"]}, "'lowercase' comes behind 'augment'"),
        ({"clean": ["augment"], "streaming": True}, "adds examples to a split, and a stream"),
        ({"clean": [{"type": "augment", "delete": 0, "swap": 0}]}, "would be the example itself"),
    ],
)
def test_what_cannot_be_is_told(read, data, said):
    with pytest.raises((DataError, UsageError, ConfigError), match=said):
        read(**data)
