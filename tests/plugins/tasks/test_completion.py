"""Requests with answers: how rows are made, what of them is learnt, what is read before."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.data.columns import ColumnStore
from loomlm.data.packing import packed_rows
from loomlm.plugin import DataError, Example, Generates, Predicts, Ragged, Writes
from loomlm_tasks.completion import Completion
from loomlm_tasks.config import CompletionConfig
from loomlm_tasks.rendering import Part, of_chat, of_pair

FACTS = {"outputs": 200, "end": 2}
CHAT = {"system": "{content}\n", "user": "User: {content}\n", "assistant": "Bot: {content}\n"}


class Letters:
    """Each character is a token, by its code; 0 to 2 stand for no text."""

    vocab_size, pad_id, unknown_id, end_id = 200, 0, 1, 2

    def encode_many(self, texts):
        rows = [[ord(c) if ord(c) < 200 else 1 for c in text] for text in texts]
        offsets = np.cumsum([0, *map(len, rows)])
        return Ragged(np.array([i for row in rows for i in row], np.int32), offsets)


def task(**keys) -> Completion:
    return Completion(CompletionConfig(**{"context": 40, "max_new": 8, **keys}))


def shown(ids) -> str:
    """Tokens as text; | is an end token."""
    return "".join("|" if i == 2 else chr(i) for i in ids if i)


def encoded(example: Example, labelled: bool = True, **keys):
    """The row of an example, what of it is learnt, and what stands before its answer."""
    columns = task(**keys).encode([example], Letters(), FACTS, labelled)
    tokens, learnt = columns["tokens"][0], columns["learnt"][0]
    asked = task(**keys).ask(columns, FACTS)
    return (
        shown(tokens),
        shown(tokens[learnt > 0]),
        shown(asked["tokens"][0][: asked["length"][0]]),
    )


PAIR = Example("2+2?", extra={"target": "4"})


def test_the_answer_and_its_end_are_learnt():
    assert encoded(PAIR) == ("|2+2? 4|", " 4|", "|2+2?")


def test_nothing_is_learnt_where_there_is_no_answer_yet():
    assert encoded(Example("2+2?"), labelled=False) == ("|2+2?", "", "|2+2?")


def test_a_template_says_how_a_row_is_written():
    example = Example("Rome is old.", extra={"question": "What is?", "target": "  Rome "})
    template = "{prompt}\nQ: {question} {{1}}\nA: {completion}"

    row, learnt, asked = encoded(example, template=template, context=80)

    assert row == "|Rome is old.\nQ: What is? {1}\nA: Rome|"
    assert (learnt, asked) == (" Rome|", "|Rome is old.\nQ: What is? {1}\nA:")
    assert task(template=template).reads == ("question", "target")


def chat(*contents: str) -> str:
    roles = ["user", "assistant"] * len(contents)
    return json.dumps([{"role": r, "content": c} for r, c in zip(roles, contents, strict=False)])


def test_of_a_chat_every_message_of_the_assistant_is_learnt():
    row, learnt, asked = encoded(
        Example(chat("hi", "yes?", "bye", "ok")), template=CHAT, context=80
    )

    assert row == "|User: hi\nBot: yes?|\nUser: bye\nBot: ok|"
    assert learnt == " yes?| ok|"
    assert asked == "|User: hi\nBot: yes?|\nUser: bye\nBot:"


def test_a_text_that_is_no_chat_is_the_user_s():
    assert encoded(Example("[hm] hi"), False, template=CHAT)[0] == "|User: [hm] hi\nBot:"
    pair = Example("hi", extra={"target": "yes?"})
    assert encoded(pair, template=CHAT)[0] == "|User: hi\nBot: yes?|"


def test_what_a_chat_ends_with_is_answered_anew():
    answered, open_ = Example(chat("hi", "yes?")), Example(chat("hi"))

    assert encoded(answered, False, template=CHAT) == encoded(open_, False, template=CHAT)


def test_a_long_request_loses_its_beginning_and_a_long_answer_its_end():
    long = Example("x" * 30 + "END", extra={"target": "answer"})
    row, learnt, asked = encoded(long, context=16, max_new=6)

    assert row == "xxxxxxEND answer|"
    assert learnt == " answer|"
    # So much room is left that the whole of an answer fits behind it.
    assert asked == "xEND"[-len(asked) :] or asked.endswith("END")
    assert len(asked) <= 16 - 6 + 1
    row, learnt, _ = encoded(Example("ab", extra={"target": "y" * 50}), context=8, max_new=4)
    assert row == "b yyyyyyy"
    assert learnt == " yyyyyyy"


@given(st.text("ab ", max_size=30), st.text("cd ", max_size=30), st.integers(4, 30))
def test_a_row_fits_and_its_answer_is_learnt(request_, answer, context):
    example = Example(request_, extra={"target": answer})
    made = task(context=context, max_new=2)
    columns = made.encode([example], Letters(), FACTS, True)
    tokens, learnt = columns["tokens"][0], columns["learnt"][0]

    assert 2 <= len(tokens) <= context + 1
    assert learnt[0] == 0
    assert learnt.any()
    assert (np.diff(learnt.astype(int)) >= 0).all()
    assert 1 <= made.ask(columns, FACTS)["length"][0] <= context - 1


def test_a_batch_reads_all_and_weighs_answers_alone():
    made = task()
    columns = made.encode([PAIR, Example("a", extra={"target": "bc"})], Letters(), FACTS, True)

    batch = made.collate(columns, {"batch": 3, "time": 8}, FACTS)

    assert [shown(row) for row in batch["tokens"]] == ["|2+2? 4", "|a bc", ""]
    assert batch["length"].tolist() == [7, 5, 0]
    assert [shown(r[w > 0]) for r, w in zip(batch["label"], batch["weight"], strict=True)] == [
        " 4|",
        " bc|",
        "",
    ]
    spec = made.batch_spec(FACTS, [{"batch": 3, "time": 8}])
    assert {field.name for field in spec.fields} == set(batch.arrays)


def test_what_is_written_stands_beside_what_is_right():
    made = task()
    several = json.dumps([{"text": "4", "start": 0}, {"text": "four", "start": 3}, {"text": "4"}])
    examples = [PAIR, Example("q", meta={"answers": several}), Example("q", meta={"answers": "[]"})]
    columns = made.encode(examples, Letters(), FACTS, True)

    outcome = made.compare(columns, ["5", "four", ""], FACTS)

    assert outcome.predictions == ["5", "four", ""]
    assert outcome.references == [["4"], ["4", "four"], []]
    assert shown(columns["tokens"][2]) == "|q |"


def test_an_example_without_an_answer_is_an_error_that_says_where():
    for template, example in (
        ("{prompt} {completion}", Example("q", place="x.csv:3")),
        (CHAT, Example(chat("hi"), place="x.csv:3")),
    ):
        with pytest.raises(DataError, match=r"x\.csv:3 has no answer to learn.*target"):
            task(template=template).encode([example], Letters(), FACTS, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ([{"role": "robot", "content": "hi"}], "a message has the role 'robot'"),
        ([{"role": "user"}], "a message is an object with two texts"),
    ],
)
def test_a_chat_that_cannot_be_is_an_error(text, said):
    with pytest.raises(DataError, match=said):
        task(template=CHAT).encode([Example(json.dumps(text))], Letters(), FACTS, False)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{prompt}", "{completion} 0 times"),
        ("{prompt} {completion} {completion}", "{completion} 2 times"),
        ("{completion} {prompt}", "goes on behind"),
        ("{prompt} {completion}.", "goes on behind"),
        ("{prompt} {} {completion}", "is no name"),
        ("{prompt} { {completion}", "write {{ for a brace"),
        ({"user": "{content}"}, "no role 'assistant'"),
        ({"assistant": "{text}"}, "has {content} once"),
    ],
)
def test_templates_that_cannot_be(template, said):
    with pytest.raises(ValueError, match=said.replace("{", r"\{").replace("}", r"\}")):
        task(template=template)


def test_a_further_text_that_is_lacking_is_named():
    made = task(template="{prompt} {question} {completion}")

    with pytest.raises(DataError, match="the template reads 'question'"):
        made.prompt(["a"], Letters(), FACTS)


def test_a_prompt_of_nothing_known_is_an_error():
    with pytest.raises(DataError, match="no character that the vocabulary knows"):
        task().prompt(["日本"], Letters(), FACTS)


def test_it_writes_as_its_config_says():
    made = task(beams=3, length_penalty=0.5, stop=("\n",))

    assert isinstance(made, Writes)
    assert isinstance(made, Generates)
    assert not isinstance(made, Predicts)
    assert dict(made.how()) == {
        "temperature": 0.0,
        "beams": 3,
        "length_penalty": 0.5,
        "max_tokens": 8,
        "stop": ("\n",),
    }
    with pytest.raises(ValueError, match="leaves no room for a request"):
        task(max_new=40)


def test_the_parts_that_are_read_stand_as_one_text():
    assert of_pair("Say: {prompt}  {completion}", Example("a"), "b") == [
        Part("Say: a"),
        Part("  b", True),
    ]
    messages = [("system", "Be kind."), ("user", "hi")]
    assert of_chat(CHAT, messages) == [Part("Be kind.\nUser: hi\nBot:")]


def test_packed_rows_hold_several_and_weigh_answers_alone():
    made = task(packing="bfd")
    examples = [PAIR, Example("a", extra={"target": "bc"}), Example("d", extra={"target": "e"})]
    columns = made.encode(examples, Letters(), FACTS, True)
    rows = packed_rows("split", columns["tokens"], 40, 0, ColumnStore(dict(columns), 3, {}))

    batch = made.collate(rows.take(np.arange(rows.span)), {"batch": 1, "time": 40}, FACTS)

    assert rows.span == 1
    alone = task().collate(columns, {"batch": 3, "time": 10}, FACTS)
    learnt = batch["label"][batch["weight"] > 0].tolist()
    assert sorted(learnt) == sorted(alone["label"][alone["weight"] > 0].tolist())
    assert sorted(set(batch["segment"][0].tolist())) == [0, 1, 2, 3]
    for number in (1, 2, 3):
        mine = batch["segment"][0] == number
        assert batch["tokens"][0][mine][0] == 2
        assert batch["label"][0][mine][-1] == 2
    spec = made.batch_spec(FACTS, [{"batch": 1, "time": 40}])
    assert {field.name for field in spec.fields} == set(batch.arrays)
