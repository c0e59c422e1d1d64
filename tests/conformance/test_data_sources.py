"""The built-in data sources hold to what every data source promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .covered import left_out

ROWS = [("a storm, a flood", "weather"), ('the "cup" final', "sport"), ("Suppe für zwei", "food")]
WITH_IDS = tuple(enumerate(ROWS, 7))


def write(path: Path, *lines: str) -> str:
    """A file of lines; its name alone, since keys are read from the folder."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path.name


def tables(folder: Path) -> dict[str, Any]:
    """A jsonl file for each split, some of whose rows have several labels."""
    lines = [json.dumps({"title": label, "body": text, "of": [label]}) for text, label in ROWS]
    names = [write(folder / f"{n}.jsonl", *lines[n:], *lines[:n]) for n in range(3)]
    splits = dict(zip(("train", "validation", "test"), names, strict=True))
    return {**splits, "text": ["title", "body"], "label": "of"}


def a_glob_without_header(folder: Path) -> dict[str, Any]:
    """Two files that a pattern fits, with numbers for labels and names for those."""
    for number in range(2):
        write(folder / f"part{number}.tsv", *(f"{at}\t{row[0]}" for at, row in enumerate(ROWS)))
    names = write(folder / "names.txt", "weather", "sport", "food")
    options = {"header": False, "columns": ["label", "text"], "label_names": names}
    return {"train": "part*.tsv", "label": "label", **options}


def lines_and_their_labels(folder: Path) -> dict[str, Any]:
    texts = write(folder / "texts.txt", *(text for text, _ in ROWS))
    labels = write(folder / "labels.txt", *(label for _, label in ROWS))
    return {"train": [texts], "test": texts, "labels": {"train": labels, "test": labels}}


def paragraphs(folder: Path) -> dict[str, Any]:
    lines = [line for text, _ in ROWS for line in (text, text, "")]
    return {"train": write(folder / "train.txt", *lines), "documents": "paragraph"}


@pytest.mark.loomlm("data_source:files", keys=tables)
def test_files(conformance):
    conformance()


@pytest.mark.loomlm("data_source:files", keys=a_glob_without_header)
def test_files_by_a_glob(conformance):
    conformance()


@pytest.mark.loomlm("data_source:files", keys=lines_and_their_labels)
def test_files_of_lines_and_their_labels(conformance):
    conformance()


@pytest.mark.loomlm("data_source:files", keys=paragraphs)
def test_files_of_paragraphs(conformance):
    conformance()


def folders_of_classes(folder: Path) -> dict[str, Any]:
    """A file for each text, in the folder of its label."""
    for number, (text, label) in enumerate(ROWS):
        (folder / "texts" / label).mkdir(parents=True)
        write(folder / "texts" / label / f"{number}.txt", text)
    return {"train": "texts/*/*.txt", "documents": "file", "label_from": "folder"}


def labels_in_the_text(folder: Path) -> dict[str, Any]:
    lines = [f"__label__{label} {text}" for text, label in ROWS]
    pattern = r"^__label__(\S+)\s"
    return {"train": write(folder / "a.txt", *lines), "label_pattern": pattern, "strip_label": True}


def a_table_of_labels(folder: Path) -> dict[str, Any]:
    """Texts with a reply each; their labels stand in a table, by number."""
    rows = [json.dumps({"id": at, "text": text, "reply": label}) for at, (text, label) in WITH_IDS]
    labels = [json.dumps({"id": at, "label": label}) for at, (_, label) in WITH_IDS]
    table = {"file": write(folder / "labels.jsonl", *labels), "by": "id", "column": "id"}
    return {"train": write(folder / "a.jsonl", *rows), "pair": "reply", "label_table": table}


@pytest.mark.loomlm("data_source:files", keys=folders_of_classes)
def test_files_in_folders_of_classes(conformance):
    conformance()


@pytest.mark.loomlm("data_source:files", keys=labels_in_the_text)
def test_files_with_labels_in_the_text(conformance):
    conformance()


@pytest.mark.loomlm("data_source:files", keys=a_table_of_labels)
def test_files_with_a_table_of_labels(conformance):
    conformance()


def saved_data_set(folder: Path) -> dict[str, Any]:
    import datasets

    table = {"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]}
    splits = {name: datasets.Dataset.from_dict(table) for name in ("train", "test")}
    datasets.DatasetDict(splits).save_to_disk(folder / "data")
    return {"path": str(folder / "data"), "label": "label"}


@pytest.mark.loomlm("data_source:huggingface", keys=saved_data_set)
def test_huggingface(conformance, tmp_path, monkeypatch):
    import datasets

    # A name that is nobody's is not to be looked for on the hub, here or in another process.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    conformance()


SMALL_LIBRARY = Path(__file__).with_name("small_library.py")


@pytest.mark.loomlm("data_source:python_docs", plugins=[SMALL_LIBRARY], keys={"label": "area"})
def test_python_docs(conformance, tmp_path, monkeypatch):
    library = tmp_path / "library"
    for name in ("pydoc_data", "json"):
        (library / name).mkdir(parents=True)
    write(library / "os.py")
    write(library / "pydoc_data" / "topics.py", "topics = {'if': 'The if statement'}")
    for name in ("numbers", "random", "fractions", "queue", "sched", "threading", "json/tool"):
        write(library / f"{name}.py", f'"""What the module {name} is for, in one sentence."""')
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(library))
    monkeypatch.setenv("SMALL_LIBRARY", str(library))
    conformance()


def test_none_is_left_out():
    assert not left_out("data_source", globals())
