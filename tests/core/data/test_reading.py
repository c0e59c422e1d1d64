"""Splits as a stage's data table gives them: cleaned in order, counted, mixed, kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import loomlm
from loomlm.data.reading import read_examples
from loomlm.errors import DataError, PluginError

pytestmark = pytest.mark.one_backend

PLUGIN = Path(__file__).parents[2] / "local_plugins" / "cleaning.py"


@pytest.fixture
def read(tmp_path, backend, monkeypatch):
    """Reads a data table, beside files of (text, label) rows that are given by name."""
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache"))

    def reading(data, seed=17, **files):
        for name, rows in files.items():
            lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
            (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
        values = {
            "name": "small",
            "backend": backend,
            "plugins": [str(PLUGIN)],
            "tokenizer": "word",
            "backbone": "mlp",
            "trainer": {"steps": 1},
            "stages": [{"name": "finetune", "task": "classification", "data": data}],
        }
        path = tmp_path / "my.toml"
        path.write_text("")
        config = loomlm.load_config(values)
        said = []
        stage = config.settings.stages[0]
        examples = read_examples(stage.data, config.registry, seed, said.append)
        return examples, said

    return reading


def table(tmp_path, *splits, **keys):
    files = {split: str(tmp_path / f"{split}.jsonl") for split in splits}
    return {"type": "files", **files, "label": "label", **keys}


def texts(examples, split="train"):
    return [example.text for example in examples.splits[split].examples()]


def rows(*words):
    return [(word, "ab"[number % 2]) for number, word in enumerate(words)]


def test_steps_work_in_their_order_and_say_what_they_did(tmp_path, read):
    data = table(tmp_path, "train", clean=["lowercase", "at_least", "once"])
    examples, said = read(data, train=rows("One more", "ONE MORE", "abc", "two of them", "x"))

    assert texts(examples) == ["one more", "two of them"]
    lower, short, once = examples.reports["train"]
    assert (lower["step"], lower["read"], lower["changed"], lower["dropped"]) == (
        "lowercase",
        5,
        2,
        {},
    )
    assert (short["read"], short["dropped"]) == (5, {"shorter than 4 characters": 2})
    assert once["dropped"] == {"seen before": 1}
    (sample,) = once["samples"]["seen before"]
    assert sample["before"] == "one more"
    assert sample["like"].endswith("train.jsonl:1")
    assert sample["place"].endswith("train.jsonl:2")
    assert any("at_least left out 2 of 5 (40.0%): 2 shorter than 4" in line for line in said)


def test_what_was_given_stands_beside_what_is_left(tmp_path, read):
    data = table(tmp_path, "train", clean=["lowercase"])
    examples, _ = read(data, train=rows("One", "Two"))

    (given,) = examples.given["train"]
    assert [example.text for example in given.examples()] == ["One", "Two"]
    assert texts(examples) == ["one", "two"]


def test_training_examples_are_held_against_the_other_splits(tmp_path, read):
    data = table(tmp_path, "train", "validation", "test", clean=["lowercase", "once"])
    examples, _ = read(
        data,
        train=rows("a b", "C D", "e f", "g h"),
        validation=rows("c d", "E F"),
        test=rows("e f", "i j"),
    )

    assert texts(examples, "test") == ["e f", "i j"]
    assert texts(examples, "validation") == ["c d"]
    assert texts(examples) == ["a b", "g h"]


def test_a_step_for_one_split_leaves_the_others_alone(tmp_path, read):
    data = table(tmp_path, "train", "test", clean=["at_least"])
    examples, _ = read(data, train=rows("abcd", "x"), test=rows("y", "z"))

    assert texts(examples) == ["abcd"]
    assert texts(examples, "test") == ["y", "z"]
    assert "test" not in examples.reports


def test_labels_are_repaired(tmp_path, read):
    data = table(tmp_path, "train", clean=["renamed"])
    examples, _ = read(data, train=[("one", "Pos "), ("two", "neg")])

    assert examples.splits["train"].labels() == ["pos", "neg"]
    (sample,) = examples.reports["train"][0]["samples"]["changed"]
    assert (sample["before"], sample["after"]) == ("Pos", "pos")


def test_nothing_is_done_twice_and_nothing_old_is_taken_for_new(tmp_path, read):
    data = table(tmp_path, "train", clean=["lowercase", "once"])
    first, said = read(data, train=rows("A", "B", "a"))
    assert any(line.startswith("Cleaning train") for line in said)

    second, said = read(data)
    assert not [line for line in said if line.startswith(("Reading", "Cleaning"))]
    assert second.reports == first.reports
    assert second.key == first.key

    other, said = read({**data, "clean": ["lowercase"]})
    assert [line for line in said if line.startswith("Reading")] == []
    assert texts(other) == ["a", "b", "a"]
    assert other.key != first.key

    changed, said = read(data, train=rows("A", "C", "a"))
    assert texts(changed) == ["a", "c"]


def test_another_test_split_cleans_training_anew(tmp_path, read):
    data = table(tmp_path, "train", "test", clean=["once"])
    first, _ = read(data, train=rows("a", "b"), test=rows("c"))
    assert texts(first) == ["a", "b"]

    second, _ = read(data, test=rows("b"))
    assert texts(second) == ["a"]


def test_a_step_with_another_key_cleans_anew(tmp_path, read):
    def left(least):
        step = {"type": "length", "min_words": least}
        return texts(read(table(tmp_path, "train", clean=[step]), train=rows("a", "b c"))[0])

    assert (left(1), left(2), left(1)) == (["a", "b c"], ["b c"], ["a", "b c"])


def test_another_cut_or_column_is_another_key(tmp_path, read):
    lines = [json.dumps({"text": f"a{i}", "title": f"b{i}", "label": "x"}) for i in range(10)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines) + "\n")
    given = [
        read(table(tmp_path, "train", **keys), seed)[0]
        for keys, seed in (
            ({}, 17),
            ({"text": "title"}, 17),
            ({"split": {"validation": 0.2}}, 17),
            ({"split": {"validation": 0.3}}, 17),
            ({"split": {"validation": 0.3}}, 18),
        )
    ]

    assert len({examples.key for examples in given}) == 5
    assert texts(given[1])[0] == "b0"


def test_a_stream_has_the_steps_of_training_and_another_key_with_others(tmp_path, read):
    def reading(least, *splits):
        step = {"type": "length", "min_words": least, "splits": list(splits)}
        data = table(tmp_path, "train", "test", clean=[step], streaming=True)
        examples = read(data, train=rows("a", "b c"), test=rows("a", "d e"))[0]
        streamed = [example.text for example in examples.stream.once()]
        return streamed, texts(examples, "test"), examples.key

    tested, trained = reading(2, "test"), reading(2, "test", "train")
    assert tested[:2] == (["a", "b c"], ["d e"])
    assert trained[:2] == (["b c"], ["d e"])
    assert reading(1, "train")[2] != reading(2, "train")[2]


def test_a_step_that_leaves_another_test_split_cleans_training_anew(tmp_path, read):
    def left(least):
        step = {"type": "length", "min_words": least, "splits": ["test"]}
        data = table(tmp_path, "train", "test", clean=[step, "duplicates"])
        return texts(read(data, train=rows("a", "b c"), test=rows("a", "d e"))[0])

    assert (left(1), left(2)) == (["b c"], ["a", "b c"])


def test_cleaning_that_leaves_nothing_says_which_step_did_it(tmp_path, read):
    data = table(tmp_path, "train", clean=[{"type": "at_least", "characters": 9}])

    with pytest.raises(DataError, match="at_least left out those that are shorter than 9"):
        read(data, train=rows("a", "b"))


def test_a_step_that_gives_nonsense_is_told(tmp_path, read):
    with pytest.raises(PluginError, match=r"'broken' gave None for .*train.jsonl:1"):
        read(table(tmp_path, "train", clean=["broken"]), train=rows("a", "b"))


def test_several_sources_are_cleaned_by_themselves_and_then_together(tmp_path, read):
    first = table(tmp_path, "train", "test", clean=["lowercase"], weight=3)
    second = {"type": "files", "train": str(tmp_path / "b.jsonl"), "label": "label", "weight": 1}
    data = {"sources": [first, second], "clean": ["once"]}
    examples, _ = read(data, train=rows("A", "B", "b"), b=rows("a", "C", "D", "D"), test=rows("B"))

    assert texts(examples) == ["a", "C", "D"]
    assert examples.splits["train"].parts == [1, 2]
    assert examples.weights == (3.0, 1.0)
    lower = [report for report in examples.reports["train"] if report["step"] == "lowercase"]
    assert [(report["source"], report["read"]) for report in lower] == [(0, 3)]


def test_sources_stay_apart_behind_several_steps_that_read_all(tmp_path, read):
    first = table(tmp_path, "train", weight=3)
    second = {"type": "files", "train": str(tmp_path / "b.jsonl"), "label": "label", "weight": 1}
    data = {"sources": [first, second], "clean": ["once", "duplicates", "once"]}
    examples, _ = read(data, train=rows("A", "B", "B", "a"), b=rows("C", "D", "D", "A"))

    assert texts(examples) == ["A", "B", "C", "D"]
    assert examples.splits["train"].parts == [2, 2]


def test_a_weight_for_a_source_that_has_nothing_to_train_on_is_told(tmp_path, read, monkeypatch):
    def splits(files):
        return ("train",) if files.config.test is None else ("test",)

    monkeypatch.setattr("loomlm_sources.files.Files.splits", splits)
    sources = [table(tmp_path, "train", weight=1), table(tmp_path, "train", "test", weight=1)]
    data = {"sources": sources}

    with pytest.raises(DataError, match=r"data.sources.1 has no training split, and a weight"):
        read(data, train=rows("a", "b"), test=rows("c"))


def test_second_texts_count_in_the_characters_of_a_report(tmp_path, read):
    lines = [json.dumps({"text": "<b>a</b>", "other": "b  c", "label": "x"})] * 2
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    data = {"train": str(tmp_path / "pairs.jsonl"), "pair": "other", "label": "label"}
    examples, _ = read({**data, "clean": ["html", "whitespace"]})

    reports = examples.reports["train"]
    assert [report["characters"] for report in reports] == [[24, 10], [10, 8]]


def test_sources_stay_apart_behind_a_cut(tmp_path, read):
    sources = [
        {"type": "files", "train": str(tmp_path / f"{name}.jsonl"), "label": "label"}
        for name in ("a", "b")
    ]
    data = {"sources": sources, "split": {"validation": 0.2}}
    given = {name: rows(*(f"{name}{number}" for number in range(10))) for name in ("a", "b")}
    examples, _ = read(data, **given)

    train, validation = (examples.splits[name] for name in ("train", "validation"))
    assert [t[0] for t in texts(examples)] == ["a"] * train.parts[0] + ["b"] * train.parts[1]
    assert sum(train.parts) == 16
    assert sum(validation.parts) == 4
    assert [len(part) for part in train.by_source()] == train.parts
