"""What is prepared is kept, and never met by a config that would make something else."""

from __future__ import annotations

import json

import numpy as np
import pytest

import loomlm
from loomlm.training.run import prepare

pytestmark = pytest.mark.one_backend

TEXTS = ["rain and wind", "bread and soup", "rain and soup", "wind and bread"] * 3


@pytest.fixture
def prepared(tmp_path, backend, monkeypatch):
    """Prepares a small config with some tokenizer, in one cache: its tokenizer and what it said."""
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache"))
    rows = [json.dumps({"text": text, "label": text[:4]}) for text in TEXTS]
    (tmp_path / "train.jsonl").write_text("\n".join(rows) + "\n")
    data = {"type": "files", "train": str(tmp_path / "train.jsonl"), "label": "label"}

    def preparing(tokenizer, task="classification"):
        values = {
            "name": "small",
            "backend": backend,
            "tokenizer": tokenizer,
            "backbone": "mlp",
            "trainer": {"steps": 1},
            "stages": [{"name": "finetune", "task": task, "data": data}],
        }
        config = loomlm.load_config(values)
        said: list[str] = []
        made, stages = prepare(config.settings, config.registry, said.append)
        return made, stages[0].data, said

    return preparing


def test_nothing_is_prepared_twice(prepared):
    first, again = (prepared({"type": "word"}) for _ in range(2))

    assert "Training the tokenizer" in first[2]
    assert not [line for line in again[2] if line.startswith(("Reading", "Training", "Encoding"))]
    assert again[1].tokens["train"].values.tolist() == first[1].tokens["train"].values.tolist()


def test_a_tokenizer_with_another_key_is_another(prepared):
    small, large = (prepared({"type": "word", "vocab_size": size}) for size in (5, 50))

    assert small[0].vocab_size == 5
    assert large[0].vocab_size > 5
    assert max(small[1].tokens["train"].values) < 5 <= max(large[1].tokens["train"].values)


def test_a_tokenizer_s_file_that_changed_is_read_anew(prepared, tmp_path):
    file = tmp_path / "tokenizer.json"
    sizes = []
    for size in (5, 7):
        trained, _, _ = prepared({"type": "word", "vocab_size": size})
        file.write_bytes(trained.files()["tokenizer.json"])
        read, data, _ = prepared({"type": "word", "file": str(file)})
        sizes.append((read.vocab_size, int(max(data.tokens["train"].values))))

    assert sizes == [(5, 4), (7, 6)]


def test_a_task_with_another_key_encodes_anew(prepared):
    whole, cut = (
        prepared({"type": "word"}, {"type": "classification", "max_tokens": most})[1]
        for most in (8, 2)
    )

    assert len(whole.tokens["train"].values) == 3 * len(TEXTS)
    assert len(cut.tokens["train"].values) == 2 * len(TEXTS)


def test_examples_of_several_rows_are_numbered_through_and_counted_once(
    tmp_path, backend, monkeypatch
):
    monkeypatch.setattr("loomlm.data.examples.CHARACTERS", 40)
    for name, count in (("one", 7), ("two", 3)):
        sentence = "".join(f"{word} {tag}\n" for word, tag in zip("abcdef", "XYXYXY", strict=True))
        (tmp_path / f"{name}.conll").write_text("\n".join([sentence] * count))
    sources = [{"train": str(tmp_path / f"{name}.conll"), "weight": 1.0} for name in ("one", "two")]
    task = {"type": "token_classification", "max_tokens": 3, "stride": 2}
    config = loomlm.load_config(
        {
            "name": "small",
            "backend": backend,
            "tokenizer": "word",
            "backbone": "transformer",
            "trainer": {"steps": 1},
            "stages": [{"name": "tags", "task": task, "data": {"sources": sources}}],
        }
    )

    _, (stage,) = prepare(config.settings, config.registry, lambda said: None)

    assert [part.span for part in stage.data.splits["train"].parts] == [21, 9]
    found = stage.data.train.take(np.arange(30))["example"].tolist()
    assert found == [number for number in range(10) for _ in range(3)]
    assert len(stage.data.tokens["train"]) == 10
    assert "at_limit" not in stage.about["splits"]["train"]
    assert stage.places(np.array([29, 28])) == [f"{tmp_path / 'two.conll'}:15 (row 9)"]
