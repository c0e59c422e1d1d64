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


def folder_of_parts(form: str = "jsonl", parts: int = 3, rows: int = 4) -> str:
    """A folder with a data set in several files; its absolute path, since others are hub ids."""
    folder = Path("parts")
    folder.mkdir()
    for part in range(parts):
        numbers = range(part * rows, (part + 1) * rows)
        table = datasets.Dataset.from_dict(
            {
                "text": [f"text {number}" for number in numbers],
                "reply": [f"reply {number}" for number in numbers],
                "label": [number % 2 for number in numbers],
            }
        )
        name = f"parts/train-{part}.{form}"
        table.to_json(name) if form == "jsonl" else table.to_parquet(name)
    return str(folder.absolute())


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


def test_words_with_tags():
    features = {
        "tokens": datasets.Sequence(datasets.Value("string")),
        "ner_tags": datasets.Sequence(datasets.ClassLabel(names=["O", "B-PER"])),
    }
    table = {"tokens": [["Ada", "reads", "."]], "ner_tags": [[1, 0, 0]]}
    data = datasets.Dataset.from_dict(table, features=datasets.Features(features))
    data.save_to_disk("tagged")

    (example,) = read("tagged", text="tokens", label="ner_tags")

    assert (example.text, example.label) == ("Ada reads .", ("B-PER", "O", "O"))
    data.map(lambda row: {"ner_tags": [1]}).save_to_disk("short")
    assert "3 words, and 1 tags" in refused("short", text="tokens", label="ner_tags")


ASKED = {"text": "context", "fields": {"question": "question", "answers": "answers"}}


def asked(name: str, start: int) -> str:
    """A data set with the columns of SQuAD's on the hub."""
    return saved(
        name,
        train={
            "id": ["a1", "a2"],
            "context": ["Ada lives in London.", "Ada lives in London."],
            "question": ["Where does Ada live?", "Who is Bob?"],
            "answers": [
                {"text": ["London"], "answer_start": [start]},
                {"text": [], "answer_start": []},
            ],
        },
    )


def test_questions_with_answers():
    first, second = read(asked("squad", 13), **ASKED)

    assert first.text == "Ada lives in London."
    assert first.extra == {"question": "Where does Ada live?"}
    assert json.loads(first.meta["answers"]) == [{"text": "London", "start": 13}]
    assert json.loads(second.meta["answers"]) == []
    assert refused(asked("moved", 12), **ASKED) == (
        "moved[train]:1: the answer 'London' is not at character 12, but it stands at 13, in the "
        "context. Choose another column or split."
    )
    other = HuggingFace(HuggingFaceConfig(path="squad", text="context", fields={"q": "question"}))
    assert other.fingerprint() != source("squad", **ASKED).fingerprint()


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
    builder = datasets.load_dataset_builder(folder_of_parts())

    def load(*given: Any, **options: Any) -> Any:
        asked.append((given, options))
        return builder

    monkeypatch.setattr(datasets, "load_dataset_builder", load)
    made = source("some/data", subset="plain", revision="abc")
    made.fingerprint()
    made.shards("train")
    assert len(list(made.examples("train"))) == 12
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


def no_download(*given: Any, **options: Any) -> None:
    raise AssertionError("all of the data is fetched")


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_parts_are_read_without_fetching_the_data_set(form, monkeypatch):
    monkeypatch.setattr(datasets.DatasetBuilder, "download_and_prepare", no_download)
    monkeypatch.setattr(datasets, "load_dataset", no_download)
    made = source(folder_of_parts(form), label="label", pair="reply")

    assert made.splits() == ("train",)
    names = made.shards("train")
    assert names == tuple(f"train-0000{number}-of-00003" for number in range(3))
    found = [[e.text for e in made.shard("train", name)] for name in names]
    assert found == [[f"text {n}" for n in range(at, at + 4)] for at in (0, 4, 8)]
    assert [e.text for e in made.shard("train", names[1], skip=3)] == ["text 7"]
    assert list(made.shard("train", names[1], skip=9)) == []
    (last,) = made.shard("train", names[2], skip=3)
    assert (last.label, last.extra) == ("1", {"pair": "reply 11"})
    assert last.place.endswith("[train-00002-of-00003]:4")


def test_parts_of_a_saved_data_set():
    made = source(saved(train=TABLE), label="label")
    (name,) = made.shards("train")
    assert next(made.shard("train", name, skip=1)).text == "soup"
    assert [e.label for e in made.shard("train", name)] == TABLE["label"]
    for skip in (3, 7):
        assert list(made.shard("train", name, skip)) == []


def test_a_part_or_a_column_that_is_not_there():
    made = source(folder_of_parts(), text="texts")
    with pytest.raises(DataError, match=r"The train split has no part train-0\."):
        list(made.shard("train", "train-0"))
    with pytest.raises(DataError, match="has no column 'texts'. Did you mean 'text'"):
        list(made.shard("train", made.shards("train")[0]))


def test_a_part_that_is_damaged_is_refused_in_one_sentence():
    path = folder_of_parts()
    Path(path, "train-1.jsonl").write_text("no json\n")
    made = source(path)
    with pytest.raises(DataError, match=r"^The data set .* cannot be loaded: "):
        list(made.shard("train", made.shards("train")[1]))


def test_the_fingerprint_of_parts_goes_by_their_files(monkeypatch):
    monkeypatch.setattr(datasets.DatasetBuilder, "download_and_prepare", no_download)
    path = folder_of_parts()
    before = source(path).shards_fingerprint()
    assert source(path).shards_fingerprint() == before
    assert source(path, label="label").shards_fingerprint() != before
    part = Path(path, "train-1.jsonl")
    part.write_text(part.read_text().replace("text 5", "test 5"))
    assert source(path).shards_fingerprint() != before
    saved("one", train=TABLE)
    other = {**TABLE, "text": ["rain", "soup", "gaol"]}
    assert (
        source("one").shards_fingerprint() != source(saved("two", train=other)).shards_fingerprint()
    )


def test_a_second_text():
    table = {"text": ["x", "y"], "reply": ["a", "b"]}
    pairs = [dict(e.extra) for e in read(saved(train=table), pair="reply")]
    assert pairs == [{"pair": "a"}, {"pair": "b"}]
    gap = {"text": ["x"], "reply": [None]}
    assert "gap[train]:1: 'reply' is null" in refused(saved("gap", train=gap), pair="reply")
    other = saved("other", train={"text": ["x", "y"], "reply": ["a", "c"]})
    assert source("data", pair="reply").fingerprint() != source(other, pair="reply").fingerprint()


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


def test_a_branch_is_resolved_to_a_commit_and_that_is_read(monkeypatch):
    builder, commit, asked = datasets.load_dataset_builder(folder_of_parts()), "c" * 40, []

    def load(*given: Any, revision: str) -> Any:
        asked.append(revision)
        return builder

    class Info:
        sha = commit

    monkeypatch.setattr(datasets, "load_dataset_builder", load)
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *given, **options: Info)
    made = source("some/data", revision="main")

    assert made.resolved() == {"path": "some/data", "commit": commit}
    assert len(list(made.examples("train"))) == 12
    assert set(asked) == {commit}


def test_what_lies_here_asks_nobody(monkeypatch):
    def ask(*given: Any, **options: Any) -> None:
        raise AssertionError("the hub is asked")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", ask)
    made = source(folder_of_parts())

    assert made.resolved() == {}
    assert len(list(made.examples("train"))) == 12
