"""What is counted, compared and picked out of a split."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from loomlm.contracts import Example, Ragged
from loomlm.data.inspection.copies import near_texts, same_texts
from loomlm.data.inspection.counting import count, percentiles, script
from loomlm.data.inspection.defects import find_defects
from loomlm.data.inspection.facts import facts_of, short_lines, size
from loomlm.data.inspection.gathered import label_sets
from loomlm.data.inspection.odd import longest, oddest


def test_a_split_is_counted(kept):
    split = kept(
        [
            Example("äh, ja", ("a", "b"), {"more": "xy"}, "f.csv:2"),
            Example("  \n", ("b",), {"more": " "}, "f.csv:3"),
        ]
    )

    one = count(split)

    assert one.characters.tolist() == [9, 5]
    assert one.bytes == 10 + 5
    assert dict(one.label_counts) == {"a": 1, "b": 2}
    assert one.blank.tolist() == [1]
    assert one.scripts == {"Latin": 6}
    assert one.codes[ord("ä")] == 1


def test_scripts_go_by_the_names_of_letters():
    assert [script(ord(letter)) for letter in "a\u044f\u03b1中あア\uff41ก1 "] == [
        "Latin",
        "Cyrillic",
        "Greek",
        "Han",
        "Hiragana",
        "Katakana",
        "Latin",
        "Thai",
        "",
        "",
    ]


def test_percentiles_are_lengths_that_occur():
    assert percentiles(np.array([1, 2, 3, 100])) == {"0": 1, "5": 1, "50": 2, "95": 100, "100": 100}
    assert percentiles(np.array([], np.int64)) == {}


def test_the_same_texts_within_and_across_splits(kept):
    splits = {"train": kept(["a", "b", "a", "a"]), "test": kept(["c", "a", "c", "b"])}
    counted = {name: count(split) for name, split in splits.items()}

    found = {(c.split, c.within): (c.rows.tolist(), c.of.tolist()) for c in same_texts(counted)}

    assert found == {
        ("train", "train"): ([2, 3], [0, 0]),
        ("test", "test"): ([2], [0]),
        ("test", "train"): ([1, 3], [0, 1]),
    }


def test_near_copies_are_told_once_and_not_those_that_are_the_same(kept):
    long = " ".join(f"w{number}" for number in range(60))
    splits = {
        "train": kept([long, "another text altogether here", f"{long} more"]),
        "test": kept([long, f"less {long}", "nothing of the kind at all"]),
    }
    counted = {name: count(split) for name, split in splits.items()}

    found = near_texts(splits, counted)

    assert {(c.split, c.within, *c.rows.tolist(), *c.of.tolist()) for c in found} == {
        ("train", "train", 2, 0),
        ("test", "train", 1, 0),
    }


def test_odd_examples_come_first(kept):
    generator = np.random.default_rng(0)
    words = ["the", "rain", "in", "spain", "stays", "mainly", "plain", "a", "cat", "sat", "mat"]
    texts = [" ".join(generator.choice(words, 20)) for _ in range(300)]
    texts[70] = "eJzT0yMAAGTvBe8=QmFzZTY0 ZW5jb2RlZA== QUJDREVGR0g"
    texts[200] = "привет, как дела сегодня утром"
    split = kept(texts)

    odd = oddest(split, sum(map(len, texts)))

    assert {odd[0].row, odd[1].row} == {70, 200}
    assert odd[1].bits > 1.5 * odd[2].bits
    assert len(odd) == 10


def test_a_short_text_is_not_odd_for_being_short(kept):
    texts = ["the rain in spain stays mainly in the plain of spain"] * 50 + ["the", "@#%&~^{}" * 4]

    odd = oddest(kept(texts), sum(map(len, texts)))

    assert odd[0].row == 51


def test_the_longest_come_first():
    assert longest(np.array([3, 9, 1, 9]), 3) == [1, 3, 0]


@pytest.mark.parametrize(
    "text",
    [
        "naïve café — “quoted” text… with €5, 25 °C and Ångström",
        "x < y && y > z, AT&T; R&D",
        "Tabs\tand\nlines\r\nare text",
        "می‌خواهم",  # Persian is written with a joiner.
        "👩‍🔬 and 日本語 한국어 Ελληνικά",
        "À la carte, Ñandú, São Paulo, Ýmir",
    ],
)
def test_text_that_is_as_it_should_be_has_no_defect(kept, text):
    split = kept([text])

    assert find_defects(split, count(split)) == {}


@pytest.mark.parametrize(
    "text", ["naïve", "Zürich", "d\u2019accord", "“ja”", "čeština", "по-русски"]
)
@pytest.mark.parametrize("wrong", ["latin-1", "cp1252"])
def test_text_that_was_read_as_something_else_is_mojibake(kept, text, wrong):
    split = kept([text.encode().decode(wrong, "replace")])

    assert "mojibake" in find_defects(split, count(split))


def test_facts_are_short_and_warn(kept):
    labelled = [Example(f"text {n % 90}", "ab"[n % 2], place=f"t:{n}") for n in range(100)]
    train = kept([*labelled, Example(" ", "once", place="t:100")])
    test = kept([Example(f"text {n}", "a", place=f"e:{n}") for n in range(80, 120)])

    facts = facts_of({"train": train, "test": test})
    lines = short_lines(facts)

    assert facts["splits"]["train"]["examples"] == 101
    assert facts["splits"]["train"]["labels"] == {"a": 50, "b": 50, "once": 1}
    assert lines[0] == "train: 101 examples, 681 bytes, 3 labels"
    said = "\n".join(lines[2:])
    assert "train has 1 text without a character but white space." in said
    assert "test lacks 2 of 3 labels." in said
    assert "train has 1 label of which there is one example." in said
    assert "train has 10 texts (9.9%) that it has before." in said
    assert "test has 10 texts (25.0%) that train has too." in said


def test_facts_of_clean_data_have_no_warning(kept):
    facts = facts_of({"train": kept(["one", "two"]), "test": kept(["three"])})

    assert [line for line in short_lines(facts) if "Warning" in line] == []


def test_sizes_as_people_read_them():
    assert [size(n) for n in (0, 999, 1000, 1_234_567, 5 * 10**12)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "1.2 MB",
        "5000.0 GB",
    ]


def test_labels_that_a_task_reads_from_one_field():
    from loomlm.registry import Registry

    registry = Registry.load()
    component = registry.usable("task", "classification")
    task = registry.target("task", "classification")(component.config(multi_label=True))

    class Nothing:
        """A tokenizer that finds nothing in any text."""

        def encode_many(self, texts):
            return Ragged(np.zeros(0, np.int32), np.zeros(len(texts) + 1, np.int64))

    found = label_sets(task, cast("Any", Nothing()), ["a,b", "b", "c , a"])

    assert {name: set(labels) for name, labels in found.items()} == {
        "a,b": {"a", "b"},
        "b": {"b"},
        "c , a": {"a", "c"},
    }
