"""Evaluation examples that stand in training text are found, and nothing else is."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loomlm.data.inspection import words as reading
from loomlm.data.inspection.contamination import LONGEST, SHORTEST, contamination
from loomlm.data.inspection.words import WordReader

LEXICON = [f"{a}{b}" for a in "bdfgklm" for b in ("a", "e", "io", "un", "ori")]


def words_of(text: str) -> list[str]:
    """The plain rule that the arrays are held against, for texts of ASCII."""
    return re.findall(r"[a-z0-9]+", text.lower())


def expected(evaluated: list[str], training: list[str], n: int) -> set[int]:
    """Rows that stand in the training texts, by sets of runs of words."""

    def runs(words: list[str], length: int) -> set[tuple[str, ...]]:
        return {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}

    listed = [words_of(text) for text in training]
    lines = {tuple(words_of(line)) for text in training for line in [text, *text.split("\n")]}
    found = set()
    for row, text in enumerate(evaluated):
        words = words_of(text)
        if not words:
            continue
        if len(words) < SHORTEST:
            hit = tuple(words) in lines
        else:
            length = min(n, len(words))
            hit = any(runs(words, length) & runs(other, length) for other in listed)
        if hit:
            found.add(row)
    return found


TEXT = st.lists(st.sampled_from([*LEXICON[:6], "x\ny", "One,", "two--three", "..."]), max_size=25)


@settings(max_examples=150)
@given(st.lists(TEXT, min_size=1, max_size=6), st.lists(TEXT, max_size=6))
def test_what_is_found_is_what_sets_of_runs_find(kept_texts, evaluated, training):
    evaluated = [" ".join(words) for words in evaluated]
    training = [" ".join(words) for words in training]

    found = contamination({"test": kept_texts(evaluated)}, {"train": kept_texts(training)})["test"]

    assert {hit.row for hit in found.hits} == expected(evaluated, training, found.n)
    assert all(0 < hit.share <= 1 for hit in found.hits)


@pytest.fixture(scope="module")
def kept_texts(tmp_path_factory):
    """A split of texts, on disk; for tests that are called many times."""
    from loomlm.contracts import Example
    from loomlm.data.examples import keep_examples, open_examples
    from loomlm.storage.commit import staging

    def keep(texts):
        folder = tmp_path_factory.mktemp("texts") / "kept"
        examples = [Example(text, place=f"a.txt:{row}") for row, text in enumerate(texts, 1)]
        with staging(folder) as stage:
            keep_examples([examples])(stage)
        return open_examples(folder)

    return keep


def made_up(count: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(LEXICON, generator.integers(3, 60))) for _ in range(count)]


def test_planted_examples_are_all_found_with_both_places(kept):
    training, test = made_up(300, 1), made_up(100, 2)
    planted = {row: 3 * row for row in range(0, 100, 7)}
    for row, at in planted.items():
        shouted = test[row].upper().replace(" ", ",  ")
        long = len(test[row].split()) >= SHORTEST
        training[at] = f"{training[at]} -- {shouted}! {training[at]}" if long else shouted

    found = contamination({"test": kept(test)}, {"pretrain train": kept(training, "b.txt")})["test"]

    assert [hit.row for hit in found.hits] == sorted(planted)
    for hit in found.hits:
        assert hit.place == f"a.txt:{hit.row + 1}"
        assert hit.training == f"pretrain train b.txt:{planted[hit.row] + 1}"
        assert hit.share == 1
    assert found.mostly == len(planted)


def test_clean_splits_have_none(kept):
    found = contamination({"test": kept(made_up(200, 3))}, {"train": kept(made_up(400, 4))})

    assert found["test"].hits == ()
    assert found["test"].examples == 200


def test_the_share_is_that_of_the_runs_that_were_found(kept):
    text = " ".join(f"w{number}" for number in range(30))
    half = " ".join(text.split()[:21])

    found = contamination({"test": kept([text] * 20)}, {"train": kept([half])})["test"]

    assert found.n == LONGEST
    assert {hit.share for hit in found.hits} == {(21 - 13 + 1) / (30 - 13 + 1)}
    assert found.mostly == 0


def test_the_length_of_a_run_goes_by_the_examples(kept):
    def length(count: int) -> int:
        texts = [" ".join(f"w{row}x{at}" for at in range(count)) for row in range(30)]
        return contamination({"test": kept(texts)}, {})["test"].n

    assert [length(count) for count in (1, 9, 11, 40)] == [SHORTEST, 9, 11, LONGEST]


def test_a_short_example_counts_only_as_a_whole_text_or_line(kept):
    test = kept(["a fine day", "no fine day", "none"])
    training = kept(["It was a fine day", "Weather:\nNo fine day!\nrain"])

    found = contamination({"test": test}, {"train": training})["test"]

    assert [hit.row for hit in found.hits] == [1]


def test_a_run_does_not_go_on_from_one_text_to_the_next(kept):
    text = " ".join(f"w{number}" for number in range(14))
    first, second = text.split()[:7], text.split()[7:]

    found = contamination({"t": kept([text])}, {"train": kept([" ".join(first), " ".join(second)])})

    assert found["t"].hits == ()


@pytest.mark.parametrize(
    "text",
    [
        "Die Stra\u00dfe führt über die große alte Brücke ins Tal",
        "на улице идёт сильный дождь и дует холодный ветер",
        "今天天气很好我们去公园散步吧",
        "\uff26\uff35\uff2c\uff2c width letters are the same as those of half the width",
    ],
)
def test_words_of_other_scripts(kept, text):
    reader = WordReader()
    changed = " -- ".join(text.title().split())

    (words,) = reader.words([text])
    (again,) = reader.words([changed])

    # The same words, with other punctuation and case, are the same numbers.
    assert len(words.numbers) >= SHORTEST
    assert np.array_equal(words.numbers, again.numbers)
    found = contamination({"test": kept([text])}, {"train": kept([f"... {changed} ..."])})
    assert len(found["test"].hits) == 1


def test_texts_longer_than_a_buffer_are_read_whole(kept, monkeypatch):
    monkeypatch.setattr(reading, "BUFFER", 4000)
    texts = made_up(400, 5)
    test = [text for text in texts[::20] if len(text.split()) >= 20]

    found = contamination({"test": kept(test)}, {"train": kept([" . ".join(texts)])})["test"]

    assert len(found.hits) == len(test)


@settings(max_examples=200)
@given(st.lists(st.text(max_size=40), max_size=8))
def test_any_text_has_as_many_words_as_runs_of_letters(texts):
    reader = WordReader()

    counts = reader.count(texts)

    plain = [text for text in texts if text.isascii()]
    assert [n for n, text in zip(counts, texts, strict=True) if text.isascii()] == [
        len(words_of(text)) for text in plain
    ]
    for found in reader.words(texts):
        assert all(a <= b for a, b in pairwise(found.texts.tolist()))
        assert len(found.numbers) == len(found.texts) == len(found.lines)
