"""Parts of the training data that are held out in turn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loomlm.config.settings import SplitConfig
from loomlm.contracts import Example
from loomlm.data.examples import Split
from loomlm.data.splits import cut_splits
from loomlm.errors import DataError

LABELS = ["common"] * 61 + ["rare"] * 29 + ["rarest"] * 11


@pytest.fixture(scope="module")
def labels() -> list[str]:
    return [str(label) for label in np.random.default_rng(0).permutation(LABELS)]


@pytest.fixture
def train(keep, labels) -> Split:
    return keep([Example(f"text {i}", label) for i, label in enumerate(labels)])


def folds(train: Split, count: int, seed: int = 17, **keys) -> list[dict[str, Split]]:
    return [
        cut_splits({"train": train}, SplitConfig(folds=count, fold=number, **keys), seed)
        for number in range(1, count + 1)
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    st.integers(2, 9),
    st.sampled_from(["random", "position", "hash"]),
    st.booleans(),
    st.sampled_from([None, 0.2]),
)
def test_each_example_is_held_out_once(train, count, by, stratify, test):
    cut = folds(train, count, by=by, stratify=stratify, test=test)
    held = [row for one in cut for row in one["validation"].rows]
    aside = {tuple(one["test"].rows) for one in cut} if test else {()}
    assert len(aside) == 1, "each fold has the same test split"
    assert sorted([*held, *aside.pop()]) == list(range(len(LABELS)))
    for one in cut:
        assert not set(one["validation"].rows) & set(one["train"].rows)
        assert len(one["validation"]) + len(one["train"]) == len(held)
    if by != "hash":
        sizes = [len(one["validation"]) for one in cut]
        assert max(sizes) - min(sizes) <= 1


def test_the_shares_of_the_labels_are_kept(train, labels):
    for one in folds(train, 5):
        counts = Counter(labels[row] for row in one["validation"].rows)
        for label, count in Counter(LABELS).items():
            assert abs(counts[label] - count / 5) < 1


def test_another_seed_holds_out_others(train):
    first, again, other = (
        [tuple(one["validation"].rows) for one in folds(train, 3, seed)] for seed in (1, 1, 2)
    )
    assert first == again != other


def test_by_position_a_fold_is_a_piece_of_each_source(keep):
    sources = [[Example(f"{n}{i}", "x") for i in range(c)] for n, c in (("a", 10), ("b", 20))]
    held = [list(one["validation"].rows) for one in folds(keep(*sources), 2, by="position")]
    assert held == [[*range(5), *range(10, 20)], [*range(5, 10), *range(20, 30)]]


def test_what_cannot_be_cut_is_told(train, keep):
    with pytest.raises(DataError, match="1 training example cannot be cut into 2 folds"):
        folds(keep([Example("a whole book")]), 2, by="position")
    given = {"train": train, "validation": train}
    with pytest.raises(DataError, match="a validation split of its own"):
        cut_splits(given, SplitConfig(folds=2, fold=1), 17)
    same = keep([Example("same", "x") for _ in range(9)])
    with pytest.raises(DataError, match="Fold 1 of 3 would have (all|none) of the 9"):
        folds(same, 3, by="hash")
