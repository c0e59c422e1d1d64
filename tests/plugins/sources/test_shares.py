"""How files are shared among splits, and which texts stay."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from loomlm_sources.shares import SHARES, assigned, without_copies

NAMES = st.text("abc/_.", min_size=1)


@settings(deadline=None)
@given(st.dictionaries(NAMES, st.integers(1, 500), min_size=3))
def test_three_files_or_more_fill_every_split(sizes):
    splits = assigned(sizes)
    assert splits.keys() == sizes.keys()
    assert set(splits.values()) == set(SHARES)


@settings(deadline=None)
@given(st.dictionaries(NAMES, st.integers(1, 500), min_size=3), st.randoms())
def test_the_order_of_files_does_not_matter(sizes, random):
    names = list(sizes)
    random.shuffle(names)
    assert assigned({name: sizes[name] for name in names}) == assigned(sizes)


@settings(deadline=None)
@given(st.dictionaries(NAMES, st.integers(1, 10), min_size=40))
def test_many_small_files_come_near_the_shares(sizes):
    splits = assigned(sizes)
    for split, share in SHARES.items():
        found = sum(size for name, size in sizes.items() if splits[name] == split)
        assert abs(found / sum(sizes.values()) - share) < 0.1


def kept(**texts: list[str]) -> dict[str, list[str]]:
    found = {"train": [], "validation": [], "test": [], **texts}
    return {split: [found[split][at] for at in at_] for split, at_ in without_copies(found).items()}


def test_a_text_stays_once_in_test_before_validation_before_train():
    assert kept(train=["a b", "c", "d", "d"], validation=["a  b", "c"], test=["a\nb"]) == {
        "train": ["d"],
        "validation": ["c"],
        "test": ["a\nb"],
    }


def test_a_near_copy_stays_within_its_split_alone():
    one = "Return True if the queue is empty, False otherwise (not reliable!)."
    two = "Return True, if the queue is empty; False otherwise."
    other = "Return True if the lock is held by any thread at all."
    assert kept(train=[two, other], test=[one])["train"] == [other]
    assert kept(train=[one, two])["train"] == [one, two]


def test_a_text_with_one_of_the_test_split_inside_is_not_for_training():
    test = "Test whether a path is a mount point"
    longer = f"{test}.\n\nThis is so for a drive's root, which has neither name nor parent."
    assert kept(train=[longer], test=[test])["train"] == []
    # A few words are in many texts.
    assert kept(train=[longer], test=["a path is a"])["train"] == [longer]
