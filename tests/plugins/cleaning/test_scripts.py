"""Texts of some scripts and languages are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.plugin import Dropped, Example, UsageError
from loomlm_cleaning.config import LanguageConfig, ScriptConfig
from loomlm_cleaning.languages import language_step
from loomlm_cleaning.scripts import script_step

from .carrying_out import reasons_of

pytestmark = pytest.mark.one_backend


@pytest.mark.parametrize(
    ("scripts", "text", "why"),
    [
        (("Latin",), "Größe, naïveté: 100 %!", ""),
        (("Latin",), "Привет, мир", "too few letters in Latin"),
        (("Latin",), "Greetings to you all, мир", ""),
        (("Latin",), "Hello Привет", "too few letters in Latin"),
        (("Latin", "Cyrillic"), "Hello Привет", ""),
        (("Han", "Hiragana", "Katakana"), "日本語のテキストー", ""),
        (("Han",), "日本語のテキスト", "too few letters in Han"),
        (("Devanagari",), "हिन्दी में", ""),
        (("Latin",), "12 34 !?", "no letters"),
        (("Latin",), "", "no letters"),
    ],
)
def test_script(scripts, text, why):
    assert reasons_of([script_step(ScriptConfig(scripts)).example(Example(text))]) == [why]


def test_the_share_is_of_letters():
    text = "abcd абвг 1234567890"
    of_half = script_step(ScriptConfig(("Cyrillic",), share=0.5))
    of_more = script_step(ScriptConfig(("Cyrillic",), share=0.51))

    assert of_half.example(Example(text)) == Example(text)
    assert isinstance(of_more.example(Example(text)), Dropped)


def test_letters_of_no_script_count_neither_way():
    """The mark of a long vowel stands in hiragana and katakana."""
    long = Example("\u30c6\u30fc")

    assert script_step(ScriptConfig(("Katakana",), share=1.0)).example(long) == long


def test_a_misspelt_script_is_told():
    with pytest.raises(UsageError, match="no script 'Cyrilic'. Did you mean 'Cyrillic'"):
        script_step(ScriptConfig(("Cyrilic",)))
    with pytest.raises(UsageError, match="no script '\\]\\[p'"):
        script_step(ScriptConfig(("][p",)))


@given(
    st.text(st.sampled_from("aZ\u00e9\u0436\u0414\u6f22\u30fc9 !\n")),
    st.sampled_from([0.1, 0.5, 1.0]),
)
def test_shares_are_counted_as_defined(text, share):
    latin = sum(letter in "aZ\u00e9" for letter in text)
    others = sum(letter in "\u0436\u0414\u6f22" for letter in text)
    (why,) = reasons_of([script_step(ScriptConfig(share=share)).example(Example(text))])

    assert (why == "no letters") == (latin + others == 0)
    assert (why == "") == (latin + others > 0 and latin >= share * (latin + others))


ENGLISH = "The weather was cold yesterday, and nobody wanted to walk to the station."
GERMAN = "Gestern war das Wetter kalt, und niemand wollte zu Fuß zum Bahnhof gehen."
FRENCH = "Hier il faisait froid, et personne ne voulait marcher jusqu'à la gare."


def test_languages():
    step = language_step(LanguageConfig(("de", "fr")))
    done = [step.example(Example(text)) for text in (ENGLISH, GERMAN, FRENCH, "", "\ud800")]

    assert reasons_of(done)[:3] == ["language en", "", ""]
    assert all(reasons_of(done)[3:])


def test_a_language_has_to_be_likely_enough():
    sure = language_step(LanguageConfig(probability=0.9))
    short = Example("ok then")

    assert sure.example(Example(ENGLISH)) == Example(ENGLISH)
    assert isinstance(sure.example(short), Dropped)


def test_a_language_that_the_model_does_not_know_is_told():
    with pytest.raises(UsageError, match="no language 'english'"):
        language_step(LanguageConfig(("english",)))
