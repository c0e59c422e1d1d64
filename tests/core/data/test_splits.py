"""Validation and test splits that are cut off the training examples."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from attrs import evolve
from sklearn.model_selection import train_test_split

from loomlm.config.settings import SplitConfig
from loomlm.contracts import Example
from loomlm.data.examples import Split
from loomlm.data.splits import cut_splits
from loomlm.errors import DataError

LABELS = ["common"] * 13 + ["rare"] * 5 + ["rarest"] * 2


@pytest.fixture
def train(keep) -> Split:
    """500 examples whose labels are 65%, 25% and 10%, mixed."""
    labels = np.random.default_rng(0).permutation(LABELS * 25)
    return keep([Example(f"text {i}", str(label)) for i, label in enumerate(labels)])


def cut(train: Split, run_seed: int = 17, **keys) -> dict[str, Split]:
    return cut_splits({"train": train}, SplitConfig(**keys), run_seed)


def rows(splits: dict[str, Split]) -> dict[str, list[int]]:
    return {name: split.rows.tolist() for name, split in splits.items()}


def assert_every_row_once(splits: dict[str, Split], total: int):
    together = sorted(row for split in rows(splits).values() for row in split)
    assert together == list(range(total))


@pytest.mark.parametrize("by", ["random", "position", "hash"])
@pytest.mark.parametrize("stratify", [True, False])
def test_every_example_is_in_one_split_and_the_same_one_each_time(train, by, stratify):
    keys = {"validation": 0.1, "test": 0.2, "by": by, "stratify": stratify}
    splits = cut(train, **keys)

    assert set(splits) == {"train", "validation", "test"}
    assert_every_row_once(splits, 500)
    assert rows(cut(train, **keys)) == rows(splits)
    assert all(np.all(np.diff(split.rows) > 0) for split in splits.values())


def test_position_takes_the_last_part(train):
    splits = cut(train, validation=0.1, by="position")

    assert rows(splits) == {"train": list(range(450)), "validation": list(range(450, 500))}


@pytest.mark.parametrize("length", [10, 97, 1000])
def test_by_position_a_single_text_is_cut_itself(keep, length):
    text = "".join(chr(0x4E00 + place) for place in range(length))
    train = keep([Example(text, place="a.txt:1")])

    splits = cut(train, validation=0.1, test=0.2, by="position")

    texts = {name: next(split.texts()) for name, split in splits.items()}
    assert texts["train"] + texts["validation"] + texts["test"] == text
    assert len(texts["validation"]) == pytest.approx(length * 0.1, abs=1)
    assert len(texts["test"]) == pytest.approx(length * 0.2, abs=1)


def test_a_single_text_can_be_cut_by_position_alone(keep):
    with pytest.raises(DataError, match='1 in all.*by = "position" cuts a single text itself'):
        cut(keep([Example("a whole book")]), validation=0.1, stratify=False)


def test_by_position_each_source_gives_its_last_part(keep):
    sources = [[Example(f"{name}{i}", "x") for i in range(n)] for name, n in (("a", 10), ("b", 30))]
    splits = cut(keep(*sources), validation=0.1, test=0.1, by="position")

    assert [e.text for e in splits["validation"].examples()] == ["a8", "b24", "b25", "b26"]
    assert [e.text for e in splits["test"].examples()] == ["a9", "b27", "b28", "b29"]


def test_by_position_test_stands_behind_validation(train):
    splits = cut(train, validation=0.1, test=0.2, by="position")

    assert list(splits["test"].rows) == list(range(400, 500))
    assert list(splits["validation"].rows) == list(range(350, 400))


def test_shares_are_of_the_whole(train):
    splits = cut(train, validation=0.1, test=0.2)

    assert {name: len(split) for name, split in splits.items()} == {
        "train": 350,
        "validation": 50,
        "test": 100,
    }


def test_a_random_cut_follows_its_own_seed_or_else_that_of_the_run(train):
    assert rows(cut(train, 17, test=0.2)) != rows(cut(train, 18, test=0.2))
    assert rows(cut(train, 17, test=0.2, seed=5)) == rows(cut(train, 18, test=0.2, seed=5))
    assert rows(cut(train, 5, test=0.2)) == rows(cut(train, 18, test=0.2, seed=5))


@pytest.mark.parametrize("share", [0.1, 0.2, 0.33])
def test_stratified_cuts_keep_each_labels_share_to_within_one_example(train, share):
    splits = cut(train, validation=share, test=share)

    whole = Counter(train.labels())
    for name in ("validation", "test"):
        counts = Counter(splits[name].labels())
        assert all(abs(counts[label] - whole[label] * share) < 1 for label in whole)
        assert len(splits[name]) == round(500 * share)


def test_without_stratification_the_shares_are_left_to_chance(train):
    splits = cut(train, test=0.2, stratify=False)

    assert len(splits["test"]) == 100
    assert Counter(splits["test"].labels()) != {"common": 65, "rare": 25, "rarest": 10}


@pytest.mark.parametrize("total", [500, 485, 43, 40])
def test_a_fifth_is_as_large_and_as_stratified_as_scikit_learns(keep, train, total):
    labels = train.labels()[:total]
    part = keep([Example(str(i), label) for i, label in enumerate(labels)])
    ours = cut(part, test=0.2, seed=42)
    theirs = train_test_split(range(total), test_size=0.2, random_state=42, stratify=labels)

    for name, chosen in zip(("train", "test"), theirs, strict=True):
        assert len(ours[name]) == len(chosen)
        expected = Counter(labels[row] for row in chosen)
        counts = Counter(ours[name].labels())
        assert all(abs(counts[label] - expected[label]) <= 1 for label in expected)


def test_hash_goes_by_the_text_so_that_new_data_moves_nothing(keep):
    texts = [f"text {i}" for i in range(300)]
    before = keep([Example(text) for text in texts])
    after = keep([Example(text) for text in [*(f"new {i}" for i in range(200)), *texts]])
    keys = {"validation": 0.2, "test": 0.1, "by": "hash"}

    old, new = cut(before, **keys), cut(after, **keys)

    for name in old:
        assert set(old[name].texts()) == set(new[name].texts()) & set(texts)
    assert 35 < len(old["validation"]) < 85


def test_hash_keeps_equal_texts_together_and_reads_only_the_text(keep):
    extra = {"context": "more"}
    twice = keep([Example(f"text {i % 50}", extra=extra) for i in range(100)])

    splits = cut(twice, test=0.3, by="hash")

    seen = {name: {example.text for example in split.examples()} for name, split in splits.items()}
    assert not seen["train"] & seen["test"]
    assert_every_row_once(splits, 100)
    plain = keep([Example(f"text {i % 50}") for i in range(100)])
    assert rows(cut(plain, test=0.3, by="hash")) == rows(splits)


def test_splits_that_the_source_has_are_kept(train):
    given = {"train": train, "test": evolve(train, rows=np.arange(3))}

    splits = cut_splits(given, SplitConfig(validation=0.1, test=0.5), 17)

    assert splits["test"] is given["test"]
    assert len(splits["train"]) == 450
    assert cut_splits(given, SplitConfig(), 17) == given


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ({"validation": 0.5, "test": 0.5}, "train"),
        ({"validation": 0.5, "test": 0.5, "by": "position"}, "train"),
        ({"test": 0.001, "by": "hash"}, "test"),
    ],
)
def test_a_split_without_an_example_is_refused(keep, keys, name):
    few = keep([Example(str(i), "a") for i in range(4)])

    with pytest.raises(DataError, match=f"no example for {name}: there are 4 in all.*data.split"):
        cut(few, **keys)


def test_labels_of_one_example_leave_room_for_every_split(keep):
    singles = keep([Example(str(i), f"label {i}") for i in range(10)])

    splits = cut(singles, validation=0.4, test=0.4)

    assert {name: len(split) for name, split in splits.items()} == {
        "train": 2,
        "validation": 4,
        "test": 4,
    }


def test_examples_with_several_labels_or_none_are_cut_too(keep):
    several = keep([Example(str(i), ("a", "b")[: i % 3]) for i in range(30)])
    none = keep([Example(str(i)) for i in range(30)])

    assert len(cut(several, test=0.2)["test"]) == 6
    assert len(cut(none, test=0.2)["test"]) == 6
