"""The `huggingface` source on data sets made here; nothing asks the network."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.one_backend

datasets = pytest.importorskip("datasets")

from loomlm.plugin import DataError, Example  # noqa: E402
from loomlm_sources.config import HuggingFaceConfig  # noqa: E402
from loomlm_sources.huggingface import HuggingFace  # noqa: E402

TABLE = {"text": ["rain", "soup", "goal"], "label": ["weather", "food", "sport"], "id": [7, 8, 9]}


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")


def saved(name: str = "data", **splits: dict[str, Any]) -> str:
    """A data set on disk, `train` only where no split is named."""
    tables = splits or {"train": TABLE}
    made = {split: datasets.Dataset.from_dict(table) for split, table in tables.items()}
    datasets.DatasetDict(made).save_to_disk(name)
    return name


def source(path: str, **options: Any) -> HuggingFace:
    return HuggingFace(HuggingFaceConfig(path=path, **options))


def read(path: str, split: str = "train", **options: Any) -> list[Example]:
    return list(source(path, **options).examples(split))


def labels(path: str, split: str = "train", **options: Any) -> list[Any]:
    return [example.label for example in read(path, split, label="label", **options)]


def refused(path: str, split: str = "train", **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        made = source(path, **options)
        made.splits()
        list(made.examples(split))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_data_set_of_splits():
    path = saved(train=TABLE, test={"text": ["wind"], "label": ["weather"]})
    assert source(path).splits() == ("train", "test")
    assert [e.text for e in read(path)] == TABLE["text"]
    assert labels(path) == TABLE["label"]
    assert labels(path, "test") == ["weather"]
    assert [e.place for e in read(path)] == [f"data[train]:{number}" for number in (1, 2, 3)]
    assert source(path).notes() == ()


def test_a_data_set_without_splits_is_training_data():
    datasets.Dataset.from_dict(TABLE).save_to_disk("data")
    assert source("data").splits() == ("train",)
    assert labels("data") == TABLE["label"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_folder_of_files(form):
    Path("folder").mkdir()
    for split in ("train", "test"):
        table = datasets.Dataset.from_dict(TABLE)
        write = {"csv": table.to_csv, "jsonl": table.to_json, "parquet": table.to_parquet}[form]
        write(f"folder/{split}.{form}")
    path = str(Path("folder").absolute())
    assert source(path).splits() == ("train", "test")
    assert labels(path, "test") == TABLE["label"]


def test_splits_may_have_other_names():
    path = saved(unsupervised=TABLE, dev={"text": ["x"]}, test={"text": ["y"]})
    options: dict[str, Any] = {"train": "unsupervised", "validation": "dev", "test": None}
    assert source(path, **options).splits() == ("train", "validation")
    assert [e.place for e in read(path, "validation", **options)] == ["data[dev]:1"]


def test_several_text_columns_and_labels_that_are_numbers():
    path = saved()
    examples = read(path, text=("label", "text"), label="id")
    assert (examples[0].text, examples[0].label) == ("weather rain", "7")


def test_numbers_of_classes_become_their_names():
    features = {
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["neg", "pos"]),
        "many": datasets.Sequence(datasets.ClassLabel(names=["a", "b", "c"])),
    }
    table = {"text": ["x", "y", "z"], "label": [1, 0, -1], "many": [[2, 0], [], [1]]}
    data = datasets.Dataset.from_dict(table, features=datasets.Features(features))
    data.select([0, 1]).save_to_disk("labelled")
    assert labels("labelled") == ["pos", "neg"]
    assert [e.label for e in read("labelled", label="many")] == [("c", "a"), ()]
    data.save_to_disk("unlabelled")
    assert refused("unlabelled", label="label") == (
        "unlabelled[train]:3: the label -1 has no name, as in a split without labels. "
        "Choose another column or split."
    )
    table["label"] = [1, 0, None]
    datasets.Dataset.from_dict(table, features=datasets.Features(features)).save_to_disk("gap")
    assert "gap[train]:3: the label null has no name" in refused("gap", label="label")


def test_columns_that_are_not_asked_for_are_not_decoded():
    features = {"text": datasets.Value("string"), "picture": datasets.Image()}
    table = {"text": ["x"], "picture": [{"bytes": b"no picture", "path": None}]}
    datasets.Dataset.from_dict(table, features=datasets.Features(features)).save_to_disk("data")
    assert [e.text for e in read("data")] == ["x"]


def test_a_missing_split_names_the_nearest():
    path = saved(training=TABLE, test=TABLE)
    assert refused(path) == (
        "The data set 'data' has no split 'train'. Did you mean 'training'? Set data.train."
    )
    assert refused(path, train="training", test="tset").endswith(
        "has no split 'tset'. Did you mean 'test'? Set data.test."
    )


def test_a_missing_column_names_the_nearest():
    assert refused(saved(), text="texts") == (
        "The data set 'data' has no column 'texts'. Did you mean 'text'? "
        "Set data.text or data.label."
    )


def test_a_row_without_text():
    path = saved(train={"text": ["x", None]})
    assert refused(path).startswith("data[train]:2: 'text' is null, not a text.")
    assert refused(saved("ids"), text="id").startswith("ids[train]:1: 'id' is 7, not a text.")


@pytest.mark.parametrize("path", ["nobody/has-this", "./no/such/folder", "empty"])
def test_what_cannot_be_loaded_names_the_id_or_folder_and_the_next_step(path):
    Path("empty").mkdir()
    message = refused(path)
    assert message.startswith(f"The data set {path!r} cannot be loaded: ")
    assert message.endswith(
        "Check the id or folder, the subset and the revision, and that the network can be reached."
    )


def test_a_damaged_data_set_is_refused():
    path = saved()
    (shard,) = Path(path).rglob("*.arrow")
    shard.write_bytes(b"no arrow")
    assert refused(path).startswith("The data set 'data' cannot be loaded: ")


def test_subset_and_revision_are_passed_on(monkeypatch):
    asked = []

    def load(*given: Any, **options: Any) -> Any:
        asked.append((given, options))
        return {"train": datasets.Dataset.from_dict(TABLE)}

    monkeypatch.setattr(datasets, "load_dataset", load)
    made = source("some/data", subset="plain", revision="abc")
    made.fingerprint()
    assert [e.text for e in made.examples("train")] == TABLE["text"]
    assert asked == [(("some/data", "plain"), {"revision": "abc"})]


def test_the_fingerprint_is_that_of_the_rows():
    one = saved("one", train=TABLE, test=TABLE)
    before = source(one, label="label").fingerprint()
    assert source(saved("two", train=TABLE, test=TABLE), label="label").fingerprint() == before
    changed = {**TABLE, "label": ["weather", "food", "food"]}
    other = saved("three", train=TABLE, test=changed)
    assert source(other, label="label").fingerprint() != before
    assert source(one).fingerprint() != before
    assert source(one, label="label", test=None).fingerprint() != before


@pytest.mark.parametrize("text", ["a\0b", "x\n", "\ufeff"])
def test_the_fingerprint_tells_texts_from_labels(text):
    one = saved("one", train={"text": [text, ""], "label": ["y", "z"]})
    two = saved("two", train={"text": [f"{text}\0y", ""], "label": ["", "z"]})
    assert source(one).fingerprint() != source(two).fingerprint()


def test_a_run_with_a_data_set(config_file, command):
    rows = {"sentence": ["rain and wind", "soup with rice"] * 20, "label": [0, 1] * 20}
    names = datasets.ClassLabel(names=["weather", "food"])
    data = datasets.Dataset.from_dict(rows).cast_column("label", names)
    datasets.DatasetDict(train=data, test=data).save_to_disk("data")
    table = {"type": "huggingface", "path": "data", "text": "sentence", "label": "label"}
    inline = ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
    path = config_file(steps="20")
    text = path.read_text().splitlines()
    path.write_text("\n".join([*text[:-1], f"data = {{ {inline} }}"]))

    code, _, err = command("run", str(path), "--set", "backbone.word_dropout=0")
    assert code == 0, err
    evaluation = json.loads(Path(os.environ["LOOMLM_RUNS"], "small/evaluation.json").read_text())
    assert evaluation["finetune"]["test"]["accuracy"] == 1
    text[-1] = f"data = {{ {inline.replace('sentence', 'sentences')} }}"
    path.write_text("\n".join(text))
    code, _, err = command("run", str(path), "--overwrite")
    assert code == 2
    assert err.endswith(
        "Error: The data set 'data' has no column 'sentences'. Did you mean 'sentence'? "
        "Set data.text or data.label.\n"
    )
