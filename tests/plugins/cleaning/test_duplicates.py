"""What stands earlier, in the split or in one before it, is left out; the first one stays."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from loomlm.plugin import Dropped, Example
from loomlm_cleaning.config import DuplicatesConfig, NearDuplicatesConfig
from loomlm_cleaning.digests import Digests, digest
from loomlm_cleaning.duplicates import duplicates_step, near_duplicates_step

from .carrying_out import carried_out, numbered, reasons_of, texts_of

pytestmark = pytest.mark.one_backend


def test_the_first_of_equal_texts_stays_and_is_named():
    examples = numbered(["A rainy day", "Sun", "a  rainy\nDAY", "sun", "Snow"])
    done = carried_out(duplicates_step(DuplicatesConfig()), examples)

    assert done == [
        *examples[:2],
        Dropped("the same text of an earlier one", "train.csv:1"),
        Dropped("the same text of an earlier one", "train.csv:2"),
        examples[4],
    ]
    exact = carried_out(duplicates_step(DuplicatesConfig(folded=False)), examples)
    assert exact == examples


def test_what_stands_in_another_split_is_left_out_of_training():
    test = numbered(["Sun", "Sun"], "test.csv")
    train = numbered(["sun", "Snow", "snow"])
    done = carried_out(duplicates_step(DuplicatesConfig()), train, test)

    assert done == [
        Dropped("the same text in another split", "test.csv:1"),
        train[1],
        Dropped("the same text of an earlier one", "train.csv:2"),
    ]
    apart = duplicates_step(DuplicatesConfig(across=False))
    assert texts_of(carried_out(apart, train, test)) == ["sun", "Snow"]


@pytest.mark.parametrize("make", [duplicates_step, near_duplicates_step])
def test_pairs_are_compared_as_pairs(make):
    pairs = [
        Example("The man sleeps on the old bench", extra={"hypothesis": hypothesis}, place=place)
        for hypothesis, place in (("A man is awake now", "x:1"), ("He dreams of home", "x:2"))
    ]
    config = DuplicatesConfig() if make is duplicates_step else NearDuplicatesConfig()

    assert carried_out(make(config), pairs) == pairs
    again = [*pairs, evolve(pairs[0], place="x:3", label="other")]
    done = carried_out(make(config), again)
    assert isinstance(done[2], Dropped)
    assert done[2].like == "x:1"


def test_lines_of_earlier_texts_are_taken_out():
    train = numbered(
        ["One\nSubscribe now", "Two\n\nsubscribe NOW\nTwo", "Subscribe now\n", "Of test"]
    )
    done = carried_out(
        duplicates_step(DuplicatesConfig(by="line")), train, numbered(["Of  test"], "test.csv")
    )

    assert texts_of(done) == ["One\nSubscribe now", "Two\n\nTwo"]
    assert reasons_of(done) == ["", "", "nothing left of it", "nothing left of it"]


def test_paragraphs_of_earlier_texts_are_taken_out():
    first, second = "One line\nand another", "Of  its\nown"
    train = numbered([f"{first}\n\n{second}", f"New\n \n{first.upper()}\n\nEnd", second])
    done = carried_out(duplicates_step(DuplicatesConfig(by="paragraph")), train)

    assert texts_of(done) == [f"{first}\n\n{second}", "New\n\nEnd"]
    assert reasons_of(done)[2] == "nothing left of it"


def test_short_lines_can_be_left_alone():
    talk = numbered(["Yes.\nI know that well", "Yes.\nI know that well\nNo"])
    done = carried_out(duplicates_step(DuplicatesConfig(by="line", min_words=3)), talk)

    assert texts_of(done) == ["Yes.\nI know that well", "Yes.\nNo"]


@pytest.mark.parametrize("by", ["document", "paragraph", "line"])
def test_nothing_to_compare(by):
    step = duplicates_step(DuplicatesConfig(by=by))

    assert carried_out(step, []) == []
    blank = numbered(["", "\n\n", "x"])
    assert texts_of(carried_out(step, blank))[-1] == "x"


TEXTS = st.lists(st.lists(st.sampled_from(["a b", "A  b", "c", "", "d e"])).map("\n".join))
STEPS = {
    "document": lambda: duplicates_step(DuplicatesConfig()),
    "line": lambda: duplicates_step(DuplicatesConfig(by="line")),
    "paragraph": lambda: duplicates_step(DuplicatesConfig(by="paragraph")),
    "near": lambda: near_duplicates_step(NearDuplicatesConfig(words=1, threshold=0.6)),
}


@pytest.mark.parametrize("name", STEPS)
@given(TEXTS, TEXTS, st.integers(0, 5))
def test_what_comes_behind_an_example_does_not_matter(name, texts, elsewhere, cut):
    others = numbered(elsewhere, "test.csv")
    whole = carried_out(STEPS[name](), numbered(texts), others)

    assert carried_out(STEPS[name](), numbered(texts)[:cut], others) == whole[:cut]


@pytest.mark.parametrize("name", STEPS)
@given(TEXTS)
def test_a_second_time_leaves_nothing_more_out(name, texts):
    once = [e for e in carried_out(STEPS[name](), numbered(texts)) if isinstance(e, Example)]

    assert carried_out(STEPS[name](), once) == once
    assert [e.place for e in once] == sorted((e.place for e in once), key=lambda p: int(p[10:]))


@pytest.mark.parametrize("name", ["document", "near"])
@given(TEXTS, TEXTS)
def test_what_is_named_is_kept(name, texts, elsewhere):
    examples, others = numbered(texts), numbered(elsewhere, "test.csv")
    done = carried_out(STEPS[name](), examples, others)
    kept = {each.place for each in [*done, *others] if isinstance(each, Example)}

    assert {each.like for each in done if isinstance(each, Dropped)} <= kept


@given(st.lists(st.lists(st.integers(0, 5)), max_size=12), st.integers(1, 3))
def test_digests_are_counted_as_they_are(texts, count):
    """By the definition, of numbers that stand for texts."""
    found = Digests()
    for parts in texts:
        found.add([digest(str(part)) for part in parts])
    flat = [(part, text) for text, parts in enumerate(texts) for part in parts]
    first, own = found.first_texts()

    assert own.tolist() == [text for _, text in flat]
    assert first.tolist() == [min(t for p, t in flat if p == part) for part, _ in flat]
    often = {part for part, _ in flat if sum(p == part for p, _ in flat) >= count}
    assert set(found.in_at_least(count)) == {digest(str(part)) for part in often}
    assert len(found.in_at_least(count)) == len(often)


@given(st.text(), st.text())
def test_digests_tell_texts_apart(one, other):
    assert (digest(one) == digest(other)) == (one == other)
