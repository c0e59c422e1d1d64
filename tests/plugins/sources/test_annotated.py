"""SQuAD's JSON and CoNLL's columns, and what is wrong with files that are nearly such."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from loomlm.plugin import Example
from loomlm_sources.config import FilesConfig

from .conftest import kept, read, refused, write

CONTEXT = "Ada was born in London."


def question(**changes: Any) -> dict[str, Any]:
    answers = [{"text": "London", "answer_start": 16}]
    given = {"id": "a1", "question": "Where?", "answers": answers, **changes}
    return {name: value for name, value in given.items() if value is not None}


def squad(*questions: dict[str, Any], name: str = "train.json") -> Any:
    paragraphs = [{"context": CONTEXT, "qas": list(questions)}]
    whole = {"version": "1.1", "data": [{"title": "Ada", "paragraphs": paragraphs}]}
    content = json.dumps(whole).encode()
    return write(name, gzip.compress(content) if name.endswith(".gz") else content)


def test_rows_may_hold_answers_as_the_hub_has_them():
    row = {"context": CONTEXT, "q": "Where?", "a": {"text": ["London"], "answer_start": [16]}}
    wrong = {**row, "a": {"text": ["London"], "answer_start": []}}
    keys = {"text": "context", "fields": {"question": "q", "answers": "a"}}
    path = write("train.jsonl", json.dumps(row).encode())

    (example,) = read(train=path, **keys)

    assert example.extra == {"question": "Where?"}
    assert json.loads(example.meta["answers"]) == [{"text": "London", "start": 16}]
    (labelled,) = read(train=path, label="q", **keys)
    assert (labelled.label, labelled.meta) == ("Where?", example.meta)
    said = refused(train=write("bad.jsonl", json.dumps(wrong).encode()), **keys)
    assert "bad.jsonl:1" in said and "no 'answer_start' for each 'text'" in said


@pytest.mark.parametrize("name", ["train.json", "train.json.gz"])
def test_a_question_is_an_example(name):
    path = squad(question(), question(id=2, question="Who?", answers=[]), name=name)

    first, second = read(train=path, format="squad")

    assert first == Example(
        CONTEXT,
        extra={"question": "Where?"},
        place=f"{name}:1",
        meta={"answers": '[{"text": "London", "start": 16}]', "id": "a1"},
    )
    assert second.meta == {"answers": "[]", "id": "2"}


def test_an_impossible_question_of_squad_2_has_no_answer():
    plausible = [{"text": "Ada", "answer_start": 0}]
    path = squad(question(is_impossible=True, answers=[], plausible_answers=plausible))

    (example,) = read(train=path, format="squad")

    assert example.meta["answers"] == "[]"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"question": None}, "a question has no 'question'"),
        ({"id": None}, "the question 'Where?' has no 'id'"),
        ({"answers": None}, "the question a1 has no list of 'answers'"),
        ({"is_impossible": "no"}, "is_impossible of the question a1 is 'no', not true or false"),
        ({"answers": [{"text": "London"}]}, "lacks 'text' or 'answer_start'"),
        (
            {"answers": [{"text": "London", "answer_start": 15}]},
            "the answer 'London' is not at character 15, but it stands at 16",
        ),
        (
            {"answers": [{"text": "Rome", "answer_start": 1}]},
            "the answer 'Rome' is not at character 1, but it is nowhere",
        ),
    ],
)
def test_a_question_that_is_wrong(changes, reason):
    path = squad(question(), question(**changes), question(id="a3"))

    message = refused(train=path, format="squad")

    assert message.startswith("train.json:2: ")
    assert reason in message
    assert "(in 'Ada')" in message
    assert len(kept(train=path, format="squad")[0]) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "train.json is no JSON: "),
        ("[]", "is not in the form of SQuAD: an object whose `data` is a list"),
        ('{"data": [{}]}', "article 1 has no list of `paragraphs`"),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', "a paragraph of article 1 has no 'context'"),
        ('{"data": []}', "train.json has no example"),
    ],
)
def test_a_file_that_is_not_squad(content, reason):
    assert reason in refused(train=write("train.json", content), format="squad")


CONLL = """\
-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

Peter NNP B-NP B-PER
\t
Blackburn\tNNP  B-NP I-PER"""


def test_sentences_of_conll():
    found = read(train=write("train.conll", CONLL))

    assert [(e.text, e.label, e.place) for e in found] == [
        ("EU rejects", ("B-ORG", "O"), "train.conll:3"),
        ("Peter", ("B-PER",), "train.conll:6"),
        ("Blackburn", ("I-PER",), "train.conll:8"),
    ]


def test_columns_of_conll_are_chosen():
    path = write("train.txt", "1\tEU\tNNP\n2\tNew York\tNNP\n\n1\tin\u00a0it\tIN\n")
    options = {"format": "conll", "word_column": 1, "tag_column": 2, "delimiter": "\t"}

    assert "train.txt:2: the word 'New York' has a space" in refused(train=path, **options)
    assert kept(train=path, **options)[0] == ["in\u00a0it"]


def test_a_line_without_a_tag_takes_its_sentence_along():
    path = write("train.conll", "a O\nb\nc O\n\nd O\n")

    assert "train.conll:2: 'b' has 1 columns, and a word and a tag" in refused(train=path)
    assert kept(train=path)[0] == ["d"]
    far = refused(train=path, tag_column=4)
    assert far.startswith("train.conll:1: ")


def test_skipped_rows_of_a_shard_are_the_first():
    from loomlm_sources.files import Files

    source = Files(FilesConfig(train=write("train.conll", CONLL)))

    assert [e.text for e in source.shard("train", "train.conll", 2)] == ["Blackburn"]
    assert list(source.shard("train", "train.conll", 3)) == []


def test_lists_of_words_with_lists_of_tags():
    path = write("train.jsonl", '{"tokens": ["New", "York"], "tags": ["B-LOC", "I-LOC"]}')

    (example,) = read(train=path, text="tokens", label="tags")

    assert (example.text, example.label) == ("New York", ("B-LOC", "I-LOC"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"tokens": ["New", "York"], "tags": ["O"]}', "there are 2 words, and 1 tags"),
        ('{"tokens": ["New York"], "tags": ["O"]}', "the word 'New York' is empty, or no text"),
        ('{"tokens": [1], "tags": ["O"]}', "the word 1 is empty, or no text, or has a space"),
        ('{"tokens": [], "tags": []}', "there is no word"),
        ('{"tokens": ["New"], "tags": "O"}', "'tokens' is ['New'], not a text"),
    ],
)
def test_lists_that_do_not_fit(line, reason):
    message = refused(train=write("train.jsonl", line), text="tokens", label="tags")

    assert message.startswith(f"train.jsonl:1: {reason}")


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"format": "squad", "label": "x"}, "label is for other files"),
        ({"format": "conll", "fields": {"a": "b"}}, "fields is for other files"),
        ({"format": "squad", "text": "context"}, "has its own"),
    ],
)
def test_keys_that_such_files_have_no_use_for(keys, reason):
    with pytest.raises(ValueError, match=reason):
        FilesConfig(train=write("a", ""), **keys)
