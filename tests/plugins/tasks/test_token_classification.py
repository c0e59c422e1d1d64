"""Tags for words: which token says a word's tag, long texts, and the way back to characters."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.data.columns import ColumnStore
from loomlm.inference.joining import Joining
from loomlm.plugin import DataError, Example, Joins, Ragged
from loomlm_tasks.config import TokenClassificationConfig
from loomlm_tasks.token_classification import TokenClassification
from loomlm_tasks.words import words_of_text
from loomlm_tokenizers.config import CharacterConfig, WordConfig
from loomlm_tokenizers.tokenizer import Character, Word

TEXTS = ["Ada lives in New York .", "Bob's dog ran ."]
TAGS = [("B-PER", "O", "O", "B-LOC", "I-LOC", "O"), ("B-PER", "O", "O", "O")]
EXAMPLES = [Example(*pair, place=f"a:{i}") for i, pair in enumerate(zip(TEXTS, TAGS, strict=True))]
WORDS, LETTERS = Word.train(WordConfig(), TEXTS), Character.train(CharacterConfig(), TEXTS)


def task(**keys: Any) -> TokenClassification:
    return TokenClassification(TokenClassificationConfig(**keys))


def joined(of: TokenClassification, columns: Any, facts: Any, tags: list[Any]) -> Joining:
    """What comes of logits that say the tags of each text at the first tokens of its words."""
    store, joining = ColumnStore.of(columns), Joining(of, facts)
    for row in range(len(store)):
        one = store.take(np.array([row]))
        tokens, places, words = one["tokens"], one["places"], one["words"]
        assert isinstance(tokens, Ragged)
        assert isinstance(places, Ragged)
        assert isinstance(words, Ragged)
        logits = np.zeros((1, len(tokens[0]), len(facts["labels"])), np.float32)
        of_text = tags[int(np.asarray(one["example"])[0])]
        for place, word in zip(places[0], words[0], strict=True):
            logits[0, place, facts["labels"].index(of_text[word])] = 20
        joining.add(np.array([row]), one, logits)
    return joining


def test_the_first_token_of_a_word_has_its_tag():
    facts = task().fit(EXAMPLES, LETTERS)
    assert isinstance(task(), Joins)
    assert facts == {"labels": ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"], "common": 4}

    columns = task().encode(EXAMPLES, LETTERS, facts, True)
    batch = task().collate(columns, {"batch": 3, "time": 24}, facts)

    starts = [match.start() for match in re.finditer(r"\S+", TEXTS[0])]
    assert np.flatnonzero(batch["weight"][0]).tolist() == starts
    tags = [facts["labels"].index(tag) for tag in TAGS[0]]
    assert batch["label"][0][starts].tolist() == tags
    assert not batch["weight"][2].any()


@given(st.integers(4, 30), st.data())
def test_every_word_counts_once_whatever_the_rows(max_tokens, data):
    stride = data.draw(st.integers(1, max_tokens))
    of, facts = task(max_tokens=max_tokens, stride=stride), task().fit(EXAMPLES, LETTERS)

    columns = of.encode(EXAMPLES, LETTERS, facts, True)

    ((_, outcome),) = joined(of, columns, facts, TAGS).outcomes()
    wanted = [[facts["labels"].index(tag) for tag in tags] for tags in TAGS]
    assert [list(tags) for tags in outcome.references] == wanted
    assert [list(tags) for tags in outcome.predictions] == wanted
    words = columns["words"]
    assert isinstance(words, Ragged)
    assert len(words.values) == sum(map(len, TAGS))


def test_a_word_counts_where_it_has_more_around_it():
    of, facts = task(max_tokens=8, stride=4), task().fit(EXAMPLES, LETTERS)
    text = "a b c d e f g"

    columns = of.encode([Example(text, ("O",) * 7)], LETTERS, facts, True)

    words = columns["words"]
    assert isinstance(words, Ragged)
    assert [words[row].tolist() for row in range(len(words))] == [[0, 1, 2], [3, 4], [5, 6]]


def test_what_is_predicted_has_words_tags_and_entities_with_their_places():
    of, facts = task(max_tokens=8, stride=4), task().fit(EXAMPLES, LETTERS)
    text = "  Ada lives\nin New York."
    columns = of.encode([Example(text)], LETTERS, facts, False)

    (answer,) = joined(of, columns, facts, [TAGS[0]]).answers()

    assert [(word["word"], word["tag"]) for word in answer["words"]] == list(
        zip(("Ada", "lives", "in", "New", "York", "."), TAGS[0], strict=True)
    )
    assert [(one["text"], one["type"]) for one in answer["entities"]] == [
        ("Ada", "PER"),
        ("New York", "LOC"),
    ]
    for one in (*answer["words"], *answer["entities"]):
        assert text[one["start"] : one["end"]] == one.get("word", one.get("text"))
        assert one["score"] > 0.99


def test_tags_without_types_make_no_entities():
    given = [Example("a b", ("DET", "NOUN"))]
    facts = task().fit(given, WORDS)
    columns = task().encode([Example("a b")], WORDS, facts, False)

    (answer,) = joined(task(), columns, facts, [("DET", "NOUN")]).answers()

    assert list(answer) == ["words"]


def test_a_word_without_a_token_gets_the_common_tag():
    facts = task().fit(EXAMPLES, WORDS)
    columns = task().encode([Example("Ada \u200b ran", ("B-PER", "O", "O"))], WORDS, facts, True)

    ((_, outcome),) = joined(task(), columns, facts, [("B-PER", "B-LOC", "O")]).outcomes()

    assert [facts["labels"][tag] for tag in outcome.predictions[0]] == ["B-PER", "O", "O"]


def test_an_empty_text_has_no_words():
    facts = task().fit(EXAMPLES, WORDS)
    columns = task().encode([Example(" "), Example("Ada")], WORDS, facts, False)

    answers = joined(task(), columns, facts, [(), ("B-PER",)]).answers()

    assert answers[0] == {"words": [], "entities": []}
    assert answers[1]["entities"][0]["text"] == "Ada"


@pytest.mark.parametrize(
    ("text", "marks", "wanted"),
    [
        ("(Ada's dog, in New York.)", True, "( Ada 's dog , in New York . )"),
        ("the U.S. and U.K., e.g. here...", True, "the U.S. and U.K. , e.g. here ..."),
        ("well-known A/B \u201cquoted\u201d --", True, "well-known A/B \u201c quoted \u201d --"),
        ("York. (a)", False, "York. (a)"),
    ],
)
def test_words_of_a_text(text, marks, wanted):
    spans = words_of_text(text, marks)
    shown = [text[a:b] for a, b in spans]

    assert shown == wanted.split(" ")


@given(st.text(max_size=40))
def test_words_cover_all_but_white_space(text):
    spans = words_of_text(text, True).tolist()

    assert "".join(text[a:b] for a, b in spans) == "".join(text.split())
    assert all(a < b for a, b in spans)


def test_data_of_another_kind_is_told_apart():
    with pytest.raises(DataError, match="p: the example has no list of tags"):
        task().fit([Example("a", "b", place="p")], WORDS)
    with pytest.raises(DataError, match="p: there are 2 words, and 1 tags. A cleaning step"):
        task().fit([Example("a b", ("O",), place="p")], WORDS)
    with pytest.raises(DataError, match="at least two tags; the training examples have O"):
        task().fit([Example("a b", ("O", "O"), place="p")], WORDS)
    with pytest.raises(DataError, match="p: the tag 'B-PERS' is not one of those.*'B-PER'"):
        facts = task().fit(EXAMPLES, WORDS)
        task().encode([Example("a", ("B-PERS",), place="p")], WORDS, facts, True)
