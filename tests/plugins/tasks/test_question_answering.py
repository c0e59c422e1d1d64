"""Question answering: rows, places in them, the best span, and the way back to characters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.data.columns import ColumnStore
from loomlm.inference.joining import Joining
from loomlm.plugin import DataError, Example, Joins, Ragged, UsageError
from loomlm_sources.config import FilesConfig
from loomlm_sources.files import Files
from loomlm_tasks.answers import answers_of
from loomlm_tasks.config import QuestionAnsweringConfig
from loomlm_tasks.question_answering import QuestionAnswering
from loomlm_tasks.spans import best_spans
from loomlm_tokenizers.config import WordConfig
from loomlm_tokenizers.tokenizer import Word

TEXT = "Ada was born in London , and died there too , in Marylebone . "
SQUAD = Path(__file__).parents[3].parent / "shared" / "data" / "squad-v1.1" / "dev-v1.1.json.gz"
SMALL: dict[str, Any] = {"max_tokens": 12, "max_question": 4, "stride": 3}


def task(**keys: Any) -> QuestionAnswering:
    return QuestionAnswering(QuestionAnsweringConfig(**{**SMALL, **keys}))


def example(*answers: str, text: str = TEXT, question: str = "where was Ada born ?") -> Example:
    found = [{"text": answer, "start": text.index(answer)} for answer in answers]
    meta = {"answers": json.dumps(found), "id": "1"}
    return Example(text, extra={"question": question}, place="a.json:1", meta=meta)


TOKENIZER = Word.train(WordConfig(), [TEXT, "where was Ada born ?"])


def answered(
    of: QuestionAnswering, examples: list[Example], facts: Any, tokenizer: Any = TOKENIZER
) -> Joining:
    """What comes of logits that name the labels of each row."""
    store = ColumnStore.of(of.encode(examples, tokenizer, facts, True))
    joining = Joining(of, facts)
    for first in range(0, len(store), 500):
        rows = np.arange(first, min(first + 500, len(store)))
        columns = store.take(rows)
        tokens, label = columns["tokens"], np.asarray(columns["label"])
        assert isinstance(tokens, Ragged)
        logits = np.zeros((len(rows), int(np.diff(tokens.offsets).max()), 2), np.float32)
        for end in (0, 1):
            logits[np.arange(len(rows)), label[:, end], end] = 30
        joining.add(rows, columns, logits)
    return joining


def test_a_row_is_a_mark_the_question_a_mark_and_a_part_of_the_text():
    facts = task().fit([example("London")], TOKENIZER)
    assert facts == {"mark": TOKENIZER.end_id, "unanswerable": False}
    assert isinstance(task(), Joins)

    columns = task().encode([example("London")], TOKENIZER, facts, True)

    tokens = columns["tokens"]
    assert isinstance(tokens, Ragged)
    names = {number: word for word, number in TOKENIZER.vocabulary().items()}
    rows = [[names[token] for token in tokens[row]] for row in range(len(tokens))]
    asked = ["<end>", "where", "was", "ada", "born", "<end>"]
    assert rows[0] == [*asked, "ada", "was", "born", "in", "london", ","]
    assert rows[1] == [*asked, "in", "london", ",", "and", "died", "there"]
    assert [word for row in rows[-1:] for word in row[6:]][-1] == "."
    assert np.asarray(columns["label"])[:2].tolist() == [[10, 10], [7, 7]]
    assert np.asarray(columns["label"])[2:].any() == np.False_
    assert np.asarray(columns["example"]).tolist() == [0] * len(rows)


def test_the_text_and_the_first_place_are_allowed():
    facts = task().fit([example("London")], TOKENIZER)
    columns = task().encode([example("London", text="in London")], TOKENIZER, facts, True)

    batch = task().collate(columns, {"batch": 2, "time": 12}, facts)

    assert batch["allowed"].tolist() == [[1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0], [1] + [0] * 11]
    assert batch["weight"].tolist() == [1, 0]


def test_the_answer_comes_back_through_the_rows_with_all_that_are_right():
    given = [example("London", "in London"), example("Marylebone"), example("died there too")]
    facts = task().fit(given, TOKENIZER)

    joining = answered(task(), given, facts)

    ((_, outcome),) = joining.outcomes()
    assert outcome.predictions == ["London", "Marylebone", "died there too"]
    assert outcome.references[0] == ("London", "in London")
    first = joining.answers()[0]
    assert TEXT[first["start"] : first["end"]] == first["answer"] == "London"
    assert first["score"] == pytest.approx(1)


def test_without_an_answer_the_empty_text_is_said():
    given = [example("London"), example()]
    facts = task().fit(given, TOKENIZER)
    assert facts["unanswerable"]

    ((_, outcome),) = answered(task(), given, facts).outcomes()

    assert (outcome.predictions, outcome.references[1]) == (["London", ""], ())


def test_the_threshold_says_when_there_is_no_answer():
    facts = {"mark": 2, "unanswerable": True}
    gap = answered(task(), [example("London")], facts).answers()[0]["no_answer"]

    assert gap < 0
    low = answered(task(null_threshold=gap - 1), [example("London")], facts).answers()[0]
    assert (low["answer"], low["start"], low["end"]) == ("", 0, 0)
    known = {"mark": 2, "unanswerable": False}
    always = answered(task(null_threshold=gap - 1), [example("London")], known).answers()[0]
    assert always["answer"] == "London"
    assert "no_answer" not in always


def test_longer_answers_than_wanted_are_not_given():
    facts = {"mark": 2, "unanswerable": False}

    (found,) = answered(task(max_answer_tokens=2), [example("died there too")], facts).answers()

    assert len(found["answer"].split()) <= 2


def test_several_answers_are_given_once_each_the_likeliest_first():
    facts = {"mark": 2, "unanswerable": False}

    (found,) = answered(task(n_best=5), [example("London")], facts).answers()

    assert found["answers"][0]["answer"] == "London"
    assert len({(one["start"], one["end"]) for one in found["answers"]}) == 5
    scores = [one["score"] for one in found["answers"]]
    assert scores == sorted(scores, reverse=True)


def test_a_text_without_a_token_has_no_answer():
    facts = {"mark": 2, "unanswerable": False}
    empty = Example(" ", extra={"question": "where"}, place="p", meta={"answers": "[]"})

    (found,) = answered(task(), [empty], facts).answers()

    assert (found["answer"], found["start"], found["end"]) == ("", 0, 0)


@given(st.integers(0, 9), st.integers(1, 12), st.integers(1, 6), st.integers(0, 99))
def test_the_best_spans_are_those_of_all_pairs(count, longest, best, seed):
    odds = np.random.default_rng(seed).integers(-3, 3, (count, 2)).astype(np.float64)
    pairs = [(a, b) for a in range(count) for b in range(a, min(count, a + longest))]
    pairs.sort(key=lambda pair: -(odds[pair[0], 0] + odds[pair[1], 1]))

    assert best_spans(odds, longest, best) == pairs[:best]


def test_an_answer_that_cleaning_has_moved_is_found():
    moved = Example("b a b", meta={"answers": '[{"text": "b", "start": 5}]'}, place="p")

    assert answers_of(moved)[0].start == 4
    gone = Example("a", meta={"answers": '[{"text": "b", "start": 0}]'}, place="p")
    with pytest.raises(DataError, match="p: the answer 'b' does not stand in the text"):
        answers_of(gone)


def test_data_of_another_kind_is_told_apart():
    with pytest.raises(DataError, match="does not say what its answers are"):
        task().fit([Example("a", extra={"question": "b"}, place="p")], TOKENIZER)
    with pytest.raises(DataError, match="No training example has an answer"):
        task().fit([example()], TOKENIZER)
    with pytest.raises(DataError, match="has no question"):
        task().encode([Example("a", place="p")], TOKENIZER, {"mark": 2}, False)


def test_a_tokenizer_that_knows_no_places_is_refused():
    class Plain:
        end_id = pad_id = 0

    plain: Any = Plain()
    with pytest.raises(UsageError, match="has no encode_spans"):
        task().fit([example("London")], plain)


def test_a_stride_that_would_leave_tokens_out_is_refused():
    with pytest.raises(ValueError, match="some would be in no row"):
        QuestionAnsweringConfig(max_tokens=64, max_question=32, stride=31)


@pytest.mark.skipif(not SQUAD.exists(), reason="the data is not there")
def test_every_answer_of_squad_is_found_back():
    source = Files(FilesConfig(train=SQUAD, format="squad"))
    examples = list(source.examples("train"))[:1500]
    texts = {example.text for example in examples} | {e.extra["question"] for e in examples}
    tokenizer = Word.train(WordConfig(), sorted(texts))
    of = task(max_tokens=96, stride=40, max_question=32, max_answer_tokens=60)
    facts = of.fit(examples, tokenizer)

    found = answered(of, examples, facts, tokenizer).answers()

    wrong = [
        (answers_of(one)[0].text, told["answer"])
        for one, told in zip(examples, found, strict=True)
        if (told["answer"], told["start"]) != (answers_of(one)[0].text, answers_of(one)[0].start)
    ]
    # What the tokenizer does not cut there is a part of a word or of a number.
    assert all(right in answer and right != answer for right, answer in wrong)
    assert len(wrong) == 20
