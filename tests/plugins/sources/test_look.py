"""`loomlm init` looks at files: finds columns and a missing header, or lists what there is."""

from __future__ import annotations

import gzip
import tomllib
from pathlib import Path

import pytest

from loomlm.plugin import DataError
from loomlm_sources.looking import complete as looked_at
from loomlm_sources.looking import with_other_file


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


@pytest.mark.parametrize(("delimiter", "said"), [(";", '";"'), ("\t", '"\\t"')])
def test_another_delimiter_is_told(delimiter, said):
    path = write("data.csv", f"text{delimiter}label\nsome words{delimiter}x\n")
    assert refused({"train": path}).endswith(f"--data 'delimiter={said}'.")


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


def reviews(*labels: str) -> str:
    for split in ("train", "test"):
        for label in labels:
            for number in range(6):
                path = Path("reviews", split, label, f"{number}.txt")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"A review of {label} {split} number {number}.\n\nIts end.")
    return "reviews/train/*/*.txt"


def test_folders_of_text_files_are_classes():
    pattern = reviews("neg", "pos")
    found = {"train": pattern, "documents": "file", "label_from": "folder"}
    assert complete({"train": pattern}) == found
    assert (
        complete({"train": ["reviews/train/neg/*.txt", "reviews/train/pos/*.txt"]})["label_from"]
        == "folder"
    )
    assert complete({"train": pattern, "documents": "line"})["documents"] == "line"
    assert looked_at({"train": pattern}, labelled=False) == {"train": pattern}
    assert complete({"train": "reviews/train/neg/*.txt"}) == {"train": "reviews/train/neg/*.txt"}
    for more in ({"label_from": "file"}, {"labels": {"train": "a"}}, {"label_pattern": "(a)"}):
        assert complete({"train": pattern, **more}) == {"train": pattern, **more}


def test_a_table_whose_labels_are_elsewhere_needs_no_column_of_them():
    path = write("data.csv", "text,x\ny,z\n")
    given = {"train": path, "label_from": "file"}
    assert complete(given) == {**given, "text": "text"}


def test_init_and_a_run_on_folders_of_classes(command):
    pattern = reviews("neg", "pos")
    words = ["--train", pattern, "--test", "reviews/test/*/*.txt", "--name", "reviews"]
    code, out, err = command("init", "classification", *words)
    assert code == 0, err
    data = tomllib.loads(out)["stages"][0]["data"]
    assert data["documents"] == "file"
    assert data["label_from"] == "folder"
    Path("my.toml").write_text(out)
    code, _, err = command("config", "check", "my.toml")
    assert code == 0, err


def test_a_table_to_evaluate_on_has_a_column_of_labels():
    options = {
        "train": reviews("neg", "pos"),
        "text": "text",
        "documents": "file",
        "label_from": "folder",
        "strip_label": False,
    }
    table = write("other.csv", "text,class\nx,pos\n")
    found = with_other_file(options, table)
    assert found == {"train": options["train"], "text": "text", "test": table, "label": "class"}
    folders = with_other_file(options, "reviews/test/*/*.txt")
    assert folders == {**options, "test": "reviews/test/*/*.txt"}
    with pytest.raises(DataError, match=r"^other\.csv has the columns text, x, and the run"):
        with_other_file(options, write("other.csv", "text,x\ny,z\n"))


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
