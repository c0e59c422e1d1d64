"""Length, quality and repetition: each rule leaves out what it is for, and nothing beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.plugin import Dropped, Example, UsageError
from loomlm_cleaning.config import GopherQualityConfig, GopherRepetitionConfig, LengthConfig
from loomlm_cleaning.ratios import gopher_quality_step, gopher_repetition_step, length_step

pytestmark = pytest.mark.one_backend

PROSE = (
    "The keeper of the lighthouse had lived with the sea for thirty years, and he said that a "
    "storm never came to the bay without a warning. On some evenings the water lay flat as a "
    "table, the gulls went inland, and a green light stood over the western rocks; then he lit the "
    "lamp early and sent his son to tell the fishermen. They have often laughed at him."
)


def reason(step, text: str) -> str:
    done = step.example(Example(text, "a", place="x:1"))
    if isinstance(done, Dropped):
        return done.reason
    assert done == Example(text, "a", place="x:1")
    return ""


@pytest.mark.parametrize(
    ("keys", "text", "why"),
    [
        ({}, "", ""),
        ({"min_words": 2}, "one", "fewer than 2 words"),
        ({"min_words": 2}, "one two", ""),
        ({"max_words": 2}, "one two  three", "more than 2 words"),
        ({"max_words": 2}, "one \n two", ""),
        ({"min_characters": 3}, "ab", "fewer than 3 characters"),
        ({"max_characters": 3}, "abcd", "more than 3 characters"),
        ({"min_characters": 3, "max_characters": 3}, "abc", ""),
    ],
)
def test_length(keys, text, why):
    assert reason(length_step(LengthConfig(**keys)), text) == why


def test_bounds_that_no_text_can_meet_are_told():
    with pytest.raises(UsageError, match="at least 5 and at most 4 words"):
        LengthConfig(min_words=5, max_words=4)
    with pytest.raises(UsageError, match="min_stop_words is 2, and stop_words has 1"):
        GopherQualityConfig(stop_words=("der",))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (PROSE, ""),
        (" ".join(PROSE.split()[:49]), "fewer than 50 words"),
        (" ".join(PROSE.split()[:50]), ""),
        (PROSE * 1500, "more than 100000 words"),
        ("a b of the " * 20, "words too short"),
        (PROSE + " incomprehensibilities" * 400, "words too long"),
        (PROSE + " #" * 7, ""),
        (PROSE + " #" * 9, "too many hash symbols"),
        (PROSE + " and ..." * 11, "too many ellipses"),
        (PROSE + " and \u2026" * 11, "too many ellipses"),
        ("\n".join(f"- {PROSE}" for _ in range(3)), "too many lines with a bullet"),
        ("\n".join(f"  \u2022 {PROSE}\n" for _ in range(3)), "too many lines with a bullet"),
        (f"Of these:\n- {PROSE}", ""),
        (f"{PROSE}...\n\n{PROSE}", "too many lines that end with an ellipsis"),
        (f"{PROSE}...\n{PROSE}\n{PROSE}\n{PROSE}", ""),
        (PROSE + " 1,234" * 30, "too few words with a letter"),
        ("Haus Garten Baum Wiese Strand " * 12, "too few stop words"),
        ("Haus Garten Baum Wiese The " * 12, "too few stop words"),
        ("Haus Garten, THE Baum Wiese with. " * 12, ""),
    ],
)
def test_quality(text, why):
    assert reason(gopher_quality_step(GopherQualityConfig()), text) == why


def test_quality_has_its_numbers_from_the_config():
    german = GopherQualityConfig(min_words=3, stop_words=("der", "und"), min_stop_words=1)

    assert reason(gopher_quality_step(german), "Der Garten blüht") == ""
    assert reason(gopher_quality_step(german), "Ein Garten blüht") == "too few stop words"
    none = GopherQualityConfig(min_words=0, min_alphabetic=0, min_word_length=0, min_stop_words=0)
    assert reason(gopher_quality_step(none), "") == ""


OFF = {f"top_{n}": 1.0 for n in (2, 3, 4)} | {f"duplicate_{n}": 1.0 for n in range(5, 11)}
OFF |= {
    f"duplicate_{what}": 1.0
    for what in ("lines", "paragraphs", "line_characters", "paragraph_characters")
}
"""No rule at all."""


def test_the_defaults_are_those_of_table_a1():
    config = GopherRepetitionConfig()

    assert [getattr(config, f"top_{n}") for n in (2, 3, 4)] == [0.2, 0.18, 0.16]
    runs = [getattr(config, f"duplicate_{n}") for n in range(5, 11)]
    assert runs == [0.15, 0.14, 0.13, 0.12, 0.11, 0.1]
    assert (config.duplicate_lines, config.duplicate_line_characters) == (0.3, 0.2)
    assert (config.duplicate_paragraphs, config.duplicate_paragraph_characters) == (0.3, 0.2)


@pytest.mark.parametrize(
    ("rule", "share", "text", "why"),
    [
        ("duplicate_lines", 0.5, "a\nb\n\na \na", "too many lines twice"),
        ("duplicate_paragraphs", 1 / 3, "a\nb\n\nc\n \n\na\nb", "too many paragraphs twice"),
        ("duplicate_line_characters", 0.4, "ab cd\nab cd\nxy", "lines that stand twice"),
        ("duplicate_paragraph_characters", 0.4, "a\nbcd\n\na\nbcd\n\nxy", "paragraphs that"),
        ("top_2", 0.8, "aa bb cc aa bb", "one run of 2 words too often"),
        ("top_2", 0.6, "ha ha ha xx yy", "one run of 2 words too often"),
        ("top_2", 8 / 12, "a b a b ccc d ccc d", "one run of 2 words too often"),
        ("top_3", 0.75, "a b c x a b c y", "one run of 3 words too often"),
        ("top_4", 0.8, "a b c d x a b c d y", "one run of 4 words too often"),
        ("duplicate_5", 0.5, "a b c d e a b c d e", "too much in runs of 5 words"),
        ("duplicate_5", 8 / 15, "a a a a a a a a a b c d e f g", "too much in runs of 5 words"),
    ],
)
def test_a_rule_leaves_out_what_is_above_its_share(rule, share, text, why):
    at, below = (
        gopher_repetition_step(GopherRepetitionConfig(**{**OFF, rule: most}))
        for most in (share, share - 0.001)
    )

    assert reason(at, text) == ""
    assert why in reason(below, text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", False),
        ("one short line", False),
        (PROSE, False),
        (f"{PROSE}\n{PROSE}", True),
        (PROSE + " click here to read more" * 12, True),
    ],
)
def test_repetition(text, found):
    assert bool(reason(gopher_repetition_step(GopherRepetitionConfig()), text)) is found


def naive_share(words: list[str], n: int) -> float:
    """Characters in runs of n words that stand earlier too, by the definition."""
    runs = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
    covered = {
        place for at, run in enumerate(runs) if run in runs[:at] for place in range(at, at + n)
    }
    return sum(len(words[place]) for place in covered) / max(sum(map(len, words)), 1)


@given(st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=60), st.integers(5, 10))
def test_runs_that_repeat_are_counted_as_defined(words, n):
    step = gopher_repetition_step(GopherRepetitionConfig(**{**OFF, f"duplicate_{n}": 0.3}))

    assert bool(reason(step, " ".join(words))) == (naive_share(words, n) > 0.3)


@given(st.text(st.sampled_from("ab \n.#-\u2026\u00e9")))
def test_any_text_is_judged_alike_each_time(text):
    for step in (
        gopher_quality_step(GopherQualityConfig(min_words=2)),
        gopher_repetition_step(GopherRepetitionConfig()),
    ):
        first = reason(step, text)
        reason(step, PROSE)
        assert reason(step, text) == first
