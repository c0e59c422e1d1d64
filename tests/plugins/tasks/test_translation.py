"""Translation: what is read and written, what is cut, and what is compared."""

from __future__ import annotations

import numpy as np
import pytest

from loomlm.data.vocabularies import TwoVocabularies
from loomlm.plugin import DataError, Example, Generates, Writes
from loomlm_tasks.config import TranslationConfig
from loomlm_tasks.translation import Translation

from .test_causal_lm import Letters, rows_of

FACTS = {"outputs": 29, "end": 2}


def task(**keys) -> Translation:
    return Translation(TranslationConfig(**{"max_tokens": 6, **keys}))


def encode(pairs: list[tuple[str, str]], tokenizer=None, **keys):
    examples = [Example(text, extra={"target": target}) for text, target in pairs]
    return task(**keys).encode(examples, tokenizer or Letters(), FACTS, True)


def test_a_source_ends_and_a_target_begins_and_ends_with_the_end_token():
    columns = encode([("ab", "c"), ("", "")])

    assert rows_of(columns["source"]) == [[3, 4, 2], [2]]
    assert rows_of(columns["tokens"]) == [[2, 5, 2], [2, 2]]


def test_a_row_is_as_long_as_its_longer_side():
    assert encode([("abcd", "c"), ("a", "bcd")])["length"].tolist() == [5, 4]


def test_both_sides_are_cut_and_still_end():
    columns = encode([("abcdefgh", "hgfedcba")], max_tokens=4)

    assert rows_of(columns["source"]) == [[3, 4, 5, 2]]
    assert rows_of(columns["tokens"]) == [[2, 10, 9, 8, 2]]
    assert columns["length"].tolist() == [4]


def test_a_source_without_an_end_token_has_all_its_room():
    tokenizer = TwoVocabularies(Letters(end_id=None), Letters())

    assert rows_of(encode([("abcdefgh", "a")], tokenizer)["source"]) == [[3, 4, 5, 6, 7, 8]]


def test_each_side_has_its_vocabulary():
    class Shifted(Letters):
        vocab_size = 50

        def encode_many(self, texts):
            rows = super().encode_many(texts)
            return type(rows)(rows.values + 20, rows.offsets)

    both = TwoVocabularies(Letters(), Shifted())

    assert task().fit([], both) == {"outputs": 50, "end": 2}
    columns = encode([("ab", "ab")], both)
    assert rows_of(columns["source"]) == [[3, 4, 2]]
    assert rows_of(columns["tokens"]) == [[2, 23, 24, 2]]


def test_labels_are_the_tokens_one_later_and_padding_counts_nothing():
    batch = task().collate(encode([("a", "bc"), ("abc", "")]), {"batch": 3, "time": 5}, FACTS)

    assert batch["tokens"].tolist() == [[2, 4, 5, 0, 0], [2, 0, 0, 0, 0], [0] * 5]
    assert batch["label"].tolist() == [[4, 5, 2, 0, 0], [2, 0, 0, 0, 0], [0] * 5]
    assert batch["weight"].sum(axis=1).tolist() == [3, 1, 0]
    assert batch["source_length"].tolist() == [2, 4, 0]
    assert batch["length"].tolist() == [3, 1, 0]


def test_bytes_are_those_of_the_targets():
    assert encode([("abc", "é"), ("a", "b")])["bytes"].tolist() == [2, 1]


def test_an_example_without_a_target_is_named():
    with pytest.raises(DataError, match=r"de:3 has no text to be written.*data\.targets"):
        task().encode([Example("ab", place="de:3")], Letters(), FACTS, True)

    columns = task().encode([Example("ab")], Letters(), FACTS, False)
    assert rows_of(columns["source"]) == [[3, 4, 2]]


def test_a_vocabulary_without_an_end_token_cannot_be_written():
    with pytest.raises(DataError, match="end token"):
        task().fit([], Letters(end_id=None))


def test_what_is_asked_of_a_split_is_what_a_prompt_asks():
    texts = ["ab", "c"]
    asked = task().ask(encode([(text, "a") for text in texts]), FACTS)
    prompt = task().prompt(texts, Letters(), FACTS)

    assert isinstance(task(), Generates)
    assert isinstance(task(), Writes)
    for name, array in prompt.arrays.items():
        assert np.array_equal(array, asked[name]), name
    assert prompt["tokens"].tolist() == [[2], [2]]


def test_a_text_of_which_nothing_is_known_is_named():
    with pytest.raises(DataError, match="'xyz'"):
        task().prompt(["ab", "xyz"], Letters(), FACTS)


def test_what_was_written_stands_beside_its_target():
    outcome = task().compare(encode([("a", "grün"), ("b", "c d")]), ["x", "y"], FACTS)

    assert outcome.predictions == ["x", "y"]
    assert outcome.references == [["grün"], ["c d"]]


@pytest.mark.parametrize(("max_new", "longest"), [(None, 6), (3, 3), (9, 6)])
def test_nothing_longer_than_max_tokens_is_written(max_new, longest):
    assert task(max_new=max_new).how()["max_tokens"] == longest


@pytest.mark.parametrize("facts", [{}, {"outputs": 9, "end": 9}, {"outputs": True, "end": 0}])
def test_facts_that_fit_never_gives_are_refused(facts):
    with pytest.raises(ValueError, match="facts"):
        task().check_facts(facts)
