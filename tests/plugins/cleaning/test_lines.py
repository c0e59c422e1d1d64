"""C4's rules and boilerplate: which lines go, and when a text goes with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.plugin import Dropped, Example, UsageError
from loomlm_cleaning.config import BoilerplateConfig, C4Config
from loomlm_cleaning.lines import boilerplate_step, c4_step

from .carrying_out import carried_out, numbered, reasons_of, texts_of

pytestmark = pytest.mark.one_backend

ONE, TWO, THREE = (
    "It rained for most of the night.",
    'She asked: "Will the river hold?"',
    "Nobody on the bridge knew that!",
)
PAGE = f"{ONE}\n{TWO}\n{THREE}"


@pytest.mark.parametrize(
    "goes",
    [
        "Home | About | Contact | Archive | Search",
        "Read more about this storm...",
        "And then it stopped\u2026",
        "Too short here.",
        f"A word of {'x' * 1001} stands here for sure.",
        "Please enable JavaScript to read this page.",
        "This site uses cookies to make it better.",
        "By reading this you accept our Terms of Use.",
    ],
)
def test_c4_takes_lines_out(goes):
    assert texts_of([c4_step(C4Config()).example(Example(f"{ONE}\n {goes} \n{TWO}\n{THREE}"))]) == [
        PAGE
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (PAGE, ""),
        (" ".join([ONE, TWO, THREE]), ""),
        (f"{ONE}\n{TWO}\n{TWO[:-2]}", "fewer than 3 sentences"),
        (f"Nobody knew what the U.S. and the U.K. had said. {ONE}", "fewer than 3 sentences"),
        (f"{PAGE}\nLorem Ipsum dolor", "holds 'lorem ipsum'"),
        (f"{PAGE}\nfunction() {{ }}", "holds '{'"),
        ("", "fewer than 3 sentences"),
    ],
)
def test_c4_leaves_pages_out(text, why):
    assert reasons_of([c4_step(C4Config()).example(Example(text))]) == [why]


def test_c4_has_its_numbers_from_the_config():
    loose = C4Config(ends=(), min_words=1, min_sentences=1, line_phrases=(), page_phrases=())
    text = "Menu\n{ JavaScript }\n\nLast line"

    assert texts_of([c4_step(loose).example(Example(text))]) == ["Menu\n{ JavaScript }\nLast line"]


@given(st.lists(st.sampled_from([ONE, TWO, THREE, "Menu", "", "  and more "])))
def test_c4_a_second_time_changes_nothing(lines):
    step = c4_step(C4Config(min_sentences=1))
    once = step.example(Example("\n".join(lines)))
    if isinstance(once, Example):
        assert step.example(once) == once
        assert [line for line in lines if line in (ONE, TWO, THREE)] == once.text.split("\n")


MENU = "Home  |  About | Contact us"
PAGES = [f"{MENU}\nPage {word} begins here\n\nThe end" for word in ("one", "two", "three")]


def test_lines_that_stand_in_many_texts_go():
    pages = [*PAGES, f"{MENU.upper()}\n{MENU}", "Of its own, all of it"]
    done = carried_out(boilerplate_step(BoilerplateConfig(documents=4)), numbered(pages))

    assert texts_of(done) == [
        *(f"Page {word} begins here\n\nThe end" for word in ("one", "two", "three")),
        "Of its own, all of it",
    ]
    assert reasons_of(done) == ["", "", "", "nothing left of it", ""]


def test_a_line_counts_once_for_each_text():
    twice = [f"{MENU}\n{MENU}\nNews of the day", "Something else"]
    done = carried_out(boilerplate_step(BoilerplateConfig(documents=2)), numbered(twice))

    assert texts_of(done) == twice


def test_known_boilerplate_goes_by_its_pattern_alone():
    step = boilerplate_step(BoilerplateConfig(documents=None, patterns=(r"^Sent from my \w+$",)))
    done = carried_out(step, numbered(["Hello\nSent from my phone", "Sent from my heart, you"]))

    assert not hasattr(step, "fit"), "it can be carried out while streaming"
    assert texts_of(done) == ["Hello", "Sent from my heart, you"]
    with pytest.raises(UsageError, match=r"'\(' is no regular expression: .*unterminated"):
        BoilerplateConfig(patterns=("(",))


LINES = st.sampled_from([MENU, "a b c", "d e f", "g", ""])


@given(st.lists(st.lists(LINES).map("\n".join), max_size=8))
def test_boilerplate_a_second_time_changes_nothing(texts):
    step = boilerplate_step(BoilerplateConfig(documents=2))
    examples = numbered(texts)
    once = [e for e in carried_out(step, examples) if isinstance(e, Example)]
    again = [step.example(example) for example in once]

    assert again == once
    assert not any(isinstance(each, Dropped) for each in again)
