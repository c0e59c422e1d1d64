"""What the task makes of texts, and a short run with it."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

import loomlm
from loomlm.plugin import Example, Ragged
from loomlm_copying.config import CopyConfig
from loomlm_copying.task import Copy

END = 9


class Digits:
    """A tokenizer whose tokens are digits."""

    vocab_size, pad_id, unknown_id, end_id = 10, 0, None, END

    def encode_many(self, texts):
        offsets = np.cumsum([0, *map(len, texts)])
        return Ragged(np.array([int(digit) for text in texts for digit in text], np.int32), offsets)


@pytest.fixture
def task() -> Copy:
    return Copy(CopyConfig(context=6))


def test_the_target_is_the_source_between_two_ends(task):
    facts = task.fit([], Digits())
    texts = ["12", "12345678"]

    columns = task.encode([Example(text) for text in texts], Digits(), facts, labelled=True)
    batch = task.collate(columns, {"batch": 3, "time": 6}, facts)

    assert batch["source"].tolist() == [[1, 2, 0, 0, 0, 0], [1, 2, 3, 4, 5, 0], [0] * 6]
    assert batch["tokens"].tolist() == [[END, 1, 2, 0, 0, 0], [END, 1, 2, 3, 4, 5], [0] * 6]
    assert batch["label"][:2].tolist() == [[1, 2, END, 0, 0, 0], [1, 2, 3, 4, 5, END]]
    assert batch["weight"].sum(axis=1).tolist() == [3, 6, 0]
    assert batch["length"].tolist() == [3, 6, 0]
    assert batch["source_length"].tolist() == [2, 5, 0]


def test_a_prompt_is_a_source_and_the_token_that_begins_a_target(task):
    batch = task.prompt(["", "12"], Digits(), task.fit([], Digits()))

    assert batch["source"].tolist() == [[0, 0], [1, 2]]
    assert batch["source_length"].tolist() == [0, 2]
    assert batch["tokens"].tolist() == [[END], [END]]


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_a_run_ends_and_its_model_writes(tmp_path, monkeypatch, backend):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    texts = [format(number, "03d") for number in range(0, 900, 7)]
    (tmp_path / "train.txt").write_text("\n".join(texts))
    task = {"type": "copy", "context": 16}
    data = {"train": "train.txt", "split": {"validation": 0.2}}
    keys = {"steps": 30, "batch_size": 32, "learning_rate": 1e-2, "compile": False, "threads": 1}

    run = loomlm.run(
        {
            "name": "digits",
            "backend": backend,
            "tokenizer": {"type": "character"},
            "backbone": {"type": "encoder_decoder", "longest": 16},
            "stages": [{"name": "copy", "task": task, "data": data, "trainer": keys}],
        }
    )

    assert run.evaluation["copy"]["validation"]["perplexity"] < 8
    assert set("".join(run.model().generate(["123", "4"], temperature=0))) <= set("0123456789")
