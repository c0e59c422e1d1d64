"""Each cleaning step on the characters that matter to it; the order of a config is kept."""

# ruff: noqa: RUF001 - letters that look like others are what the steps are tried on

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import loomlm
from loomlm.data.reading import read_examples
from loomlm.plugin import NoConfig, UsageError
from loomlm_cleaning import loomlm_cleaners
from loomlm_cleaning.config import MaskConfig, UnicodeConfig, WhitespaceConfig
from loomlm_cleaning.mojibake import mojibake_step
from loomlm_cleaning.steps import (
    control_step,
    hyphens_step,
    lowercase_step,
    mask_step,
    unicode_step,
    whitespace_step,
)

pytestmark = pytest.mark.one_backend

STEPS = {
    "NFC": unicode_step(UnicodeConfig("NFC")),
    "NFD": unicode_step(UnicodeConfig("NFD")),
    "NFKC": unicode_step(UnicodeConfig("NFKC")),
    "NFKD": unicode_step(UnicodeConfig("NFKD")),
    "control": control_step(NoConfig()),
    "whitespace": whitespace_step(WhitespaceConfig()),
    "lines": whitespace_step(WhitespaceConfig(keep_lines=True)),
    "lowercase": lowercase_step(NoConfig()),
    "hyphens": hyphens_step(NoConfig()),
    "mask": mask_step(MaskConfig()),
    "mojibake": mojibake_step(NoConfig()),
}
TEXT = st.text()
AWKWARD = st.text(st.sampled_from("\r\n\t \0\x85\xa0\xad\u2028\u200b\ufeff\u0130Σσa\u0301ﬁ"))


@pytest.mark.parametrize("name", STEPS)
@given(TEXT | AWKWARD)
def test_a_second_time_changes_nothing(name, text):
    once = STEPS[name](text)
    assert STEPS[name](once) == once


@pytest.mark.parametrize("name", STEPS)
@given(TEXT | AWKWARD)
def test_the_same_text_gives_the_same_whatever_came_before(name, text):
    first = STEPS[name](text)
    STEPS[name](text[::-1] + "\n<p>")
    assert STEPS[name](text) == first


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("an exam-\nple", "an example"),
        ("an exam- \n  ple of", "an example of"),
        ("Schiff\u2010\nfahrt", "Schifffahrt"),
        ("exam\u00ad\nple", "example"),
        ("Anglo-\nSaxon", "Anglo-\nSaxon"),
        ("1990-\n1995", "1990-\n1995"),
        ("a well-known word", "a well-known word"),
        ("- one\n- two", "- one\n- two"),
        ("a dash -\nand more", "a dash -\nand more"),
        ("two-\n\nparagraphs", "two-\n\nparagraphs"),
        ("im-\npor-\ntant", "important"),
        ("a-\nb-\nc", "abc"),
    ],
)
def test_words_cut_by_a_line_s_end_are_put_together(text, joined):
    assert STEPS["hyphens"](text) == joined


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("see https://example.org/a?b=c#d.", "see [URL]."),
        ("(http://example.org/x_(y))", "([URL]))"),
        ("www.example.org, and HTTP://EXAMPLE.ORG!", "[URL], and [URL]!"),
        ("write to jo.doe+x@mail.example.org.", "write to [EMAIL]."),
        ("a @mention, 3 @ 4, and.so on www.", "a @mention, 3 @ 4, and.so on www."),
        ("\u00fcber http://\u00f6.example/\u00e4", "\u00fcber [URL]"),
    ],
)
def test_urls_and_addresses_are_masked(text, masked):
    assert STEPS["mask"](text) == masked


def test_what_is_not_to_be_masked_stays():
    text = "https://example.org and me@example.org"

    assert mask_step(MaskConfig(url=None))(text) == "https://example.org and [EMAIL]"
    assert mask_step(MaskConfig(url="\\1", email=None))(text) == "\\1 and me@example.org"
    with pytest.raises(UsageError, match="'www.x.y' would be masked itself"):
        MaskConfig(url="www.x.y")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("schÃ¶n", "schön"),
        ("itâ€™s", "it\u2019s"),
        ("doppelt: schÃƒÂ¶n", "doppelt: schön"),
        ("schön, Ångström, naïve", "schön, Ångström, naïve"),
        ("l\u2019\xe9t\xe9 \u2014 \xab oui \xbb", "l\u2019\xe9t\xe9 \u2014 \xab oui \xbb"),
    ],
)
def test_text_that_was_decoded_in_a_wrong_way_is_repaired(text, meant):
    assert STEPS["mojibake"](text) == meant


def test_unicode_forms():
    text = "e\u0301 ﬁ ½ Å"
    assert STEPS["NFC"](text) == "é ﬁ ½ Å"
    assert STEPS["NFKC"](text) == "é fi 1⁄2 Å"
    assert STEPS["NFD"](text) == "e\u0301 ﬁ ½ A\u030a"
    assert STEPS["NFKD"](text) == "e\u0301 fi 1⁄2 A\u030a"
    assert UnicodeConfig().form == "NFC"


@given(TEXT)
def test_nfc_means_the_same_characters(text):
    assert unicodedata.normalize("NFD", STEPS["NFC"](text)) == unicodedata.normalize("NFD", text)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\0b\x07c\x1b[0m\x7f\x9fd", "abc[0md"),
        ("a\tb\nc\x85d\u2028e", "a\tb\nc\x85d\u2028e"),
        ("co\xadop\u200bera\u2060tion\ufeff", "cooperation"),
        (
            "\u200eleft\u200f \u202aembedded\u202c \u2066isolate\u2069 \u061cmark",
            "left embedded isolate mark",
        ),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d💻 ❤\ufe0f", "👩\u200d💻 ❤\ufe0f"),
        ("one\r\ntwo\r\r\nthree\r\0\nfour\rfive", "one\ntwo\nthree\nfour\rfive"),
    ],
)
def test_control_drops_what_nobody_sees_and_no_writing_needs(text, cleaned):
    assert STEPS["control"](text) == cleaned


@pytest.mark.parametrize(
    ("text", "spaces", "lines"),
    [
        ("  a \t b  ", "a b", "a b"),
        ("a\n\n \t\nb\r\nc", "a b c", "a\nb\nc"),
        ("a\xa0\u3000b\u2003c", "a b c", "a b c"),
        ("a\u200bb", "a\u200bb", "a\u200bb"),
        ("\n a\n", "a", "a"),
        (" \t\n\r\x0b\x85 ", "", ""),
    ],
)
def test_whitespace(text, spaces, lines):
    assert STEPS["whitespace"](text) == spaces
    assert STEPS["lines"](text) == lines


@given(TEXT | AWKWARD)
def test_whitespace_keeps_the_words(text):
    assert STEPS["whitespace"](text).split(" ") == (text.split() or [""])
    assert STEPS["lines"](text).split() == text.split()


def test_lowercase():
    assert STEPS["lowercase"]("ÄRGER ΟΔΥΣΣΕΥΣ STRASSE Ünï") == "ärger οδυσσευς strasse ünï"
    assert STEPS["lowercase"]("İ") == "i\u0307"


def steps_of(config: Any) -> list[str]:
    """The training texts as the run's data path cleans them."""
    data = config.settings.stages[0].data
    examples = read_examples(data, config.registry, config.settings.seed, lambda message: None)
    return list(examples.splits["train"].texts())


@pytest.mark.parametrize(
    ("steps", "cleaned"),
    [
        ('"html", "whitespace"', "One < TWO"),
        ('"whitespace", "html"', "One\n < TWO"),
        ('"html", { type = "whitespace", keep_lines = true }', "One\n< TWO"),
        ('"html", "html", "whitespace"', "One < TWO"),
        ('"lowercase", "html", "whitespace"', "one < two"),
        ("", " One<br/> &lt; TWO "),
    ],
)
def test_the_order_given_is_the_order_done(config_file, tmp_path, steps, cleaned):
    (tmp_path / "train.csv").write_text('text,label\n" One<br/> &lt; TWO ",a\n')
    config = loomlm.load_config(config_file(), set=[f"stages.finetune.data.clean=[{steps}]"])
    assert steps_of(config) == [cleaned]


def test_a_step_that_nobody_knows_names_the_nearest(config_file):
    with pytest.raises(loomlm.UsageError, match="Did you mean 'whitespace'"):
        loomlm.load_config(config_file(), set=['stages.finetune.data.clean=["witespace"]'])


def test_every_step_is_there_to_load():
    names = [component.name for component in loomlm_cleaners()]
    assert len(names) == len(set(names)) == 20
    for component in loomlm_cleaners():
        step = component.load()(
            component.config(**({"examples": 5} if component.name == "sample" else {}))
        )
        if hasattr(step, "example"):
            assert set(step.splits) <= {"train", "validation", "test"}
        else:
            assert step("a b") == "a b"
