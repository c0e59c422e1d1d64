"""`loomlm init` looks at files: finds columns and a missing header, or lists what there is."""

from __future__ import annotations

import gzip
import tomllib
from pathlib import Path

import pytest

from loomlm.plugin import DataError
from loomlm_sources.looking import complete as looked_at


def write(name: str, content: str | bytes) -> str:
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return name


def complete(options: dict) -> dict:
    """The options as `loomlm init classification` completes them."""
    return looked_at(options, labelled=True)


def refused(options: dict) -> str:
    with pytest.raises(DataError) as caught:
        complete(options)
    return str(caught.value)


@pytest.mark.parametrize("text", ["text", "Sentence", "REVIEW", "utterance", "body"])
@pytest.mark.parametrize("label", ["label", "Category", "intent", "Sentiment"])
def test_columns_are_known_by_their_usual_names(text, label):
    path = write("data.csv", f"id,{label},{text}\n1,a,b\n")
    assert complete({"train": path}) == {"train": path, "text": text, "label": label}


def test_all_forms_are_looked_at():
    for name, content in (
        ("a.tsv", "label\ttext\nx\ty\n"),
        ("a.jsonl", '\n{"label": "x", "text": "y"}\n'),
        ("a.csv.gz", gzip.compress(b"\xef\xbb\xbftext,label\nx,y\n")),
    ):
        found = complete({"train": write(name, content)})
        assert (found["text"], found["label"]) == ("text", "label")
    assert complete({"train": write("a.txt", "x\n")}) == {"train": "a.txt"}


def test_parquet_is_looked_at():
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"content": ["x"], "topic": [1]}), "a.parquet")
    found = complete({"train": "a.parquet"})
    assert (found["text"], found["label"]) == ("content", "topic")


def test_what_is_given_stays():
    path = write("data.csv", "a;label;text\n1;2;3\n")
    given = {"train": path, "text": ["a", "text"], "label": "a", "delimiter": ";"}
    assert complete(given) == given
    first = write("no_header.csv", "x,y\n")
    given = {"train": first, "header": False, "columns": ["text", "label"]}
    assert complete(given) == given


def test_columns_that_are_not_known_are_listed():
    path = write("data.csv", "Class Index,Title\n1,x\n")
    assert refused({"train": path}) == (
        "data.csv has the columns Class Index, Title. Say which one with --text."
    )
    assert refused({"train": path, "text": "Title"}).endswith("Say which one with --label.")


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_a_test_file_without_header_is_noticed(form):
    between = {"csv": ",", "tsv": "\t"}[form]
    train = write(f"train.{form}", f"text{between}label\na{between}x\n")
    test = write(f"test.{form}", f"b{between}y\nc{between}x\n")
    assert complete({"train": train, "test": test})["header"] == {"test": False}
    both = complete({"train": train, "validation": test, "test": test})
    assert both["header"] == {"validation": False, "test": False}
    assert "header" not in complete({"train": train, "test": train})
    given = {"train": train, "test": test, "header": True}
    assert complete(given)["header"] is True


def test_a_test_file_of_other_columns_or_form_has_its_own_header():
    train = write("train.csv", "text,label\na,x\n")
    assert "header" not in complete({"train": train, "test": write("t.csv", "id,text,label\n")})
    assert "header" not in complete({"train": train, "test": write("t.jsonl", '{"a": 1}\n')})


def test_bad_files_are_refused_with_their_place():
    assert refused({"train": "gone.csv"}).startswith("There is no file gone.csv.")
    assert refused({"train": write("a.csv", "")}).startswith("a.csv is empty.")
    assert refused({"train": write("a.jsonl", "\n")}) == "a.jsonl has no example."
    assert refused({"train": write("a.jsonl", "[1]\n")}).startswith("a.jsonl:1: a JSON array")
    assert refused({"train": write("b.csv", b"text,l\xe9\n")}).startswith("b.csv:1: bytes that")
    assert refused({"train": write("c.csv", 'text,"label\n')}).startswith("c.csv:1: not csv")
    assert "a.csv.gz is no .gz archive" in refused({"train": write("a.csv.gz", "x")})
    assert refused({"train": write("data", "x")}).startswith("The name of data does not say")


def test_init_writes_what_was_found(topics, command):
    lines = topics[1].read_text().splitlines(keepends=True)
    topics[1].write_text("".join(lines[1:]))
    code, out, err = command("init", "classification", "--train", "train.csv", "--test", "test.csv")
    assert code == 0, err
    data = tomllib.loads(out)["stages"][0]["data"]
    assert data["label"] == "label"
    assert data["header"] == {"test": False}


def test_init_names_what_is_wrong_without_a_traceback(command):
    write("data.csv", "Class Index,Title\n1,x\n")
    code, out, err = command("init", "classification", "--train", "data.csv")
    assert (code, out) == (2, "")
    assert err == (
        "Error: data.csv has the columns Class Index, Title. Say which one with --text.\n"
    )


def test_a_label_is_looked_for_only_where_one_is_wanted():
    Path("texts.jsonl").write_text('{"text": "one"}\n')

    assert "label" not in looked_at({"train": "texts.jsonl"}, labelled=False)
    with pytest.raises(DataError, match="--label"):
        complete({"train": "texts.jsonl"})
