"""Classification of pairs of texts: one row of both, cut alike, told apart, predicted by name."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loomlm
from loomlm.contracts import Example, Ragged
from loomlm_tasks.classification import Classification
from loomlm_tasks.config import ClassificationConfig
from loomlm_tasks.reading import joined

from ...conftest import SMALL, TOPICS
from ..whole import ragged

ROWS = st.lists(st.lists(st.integers(1, 9), max_size=9), min_size=1, max_size=6)
BETWEEN = 99


def longest_first(one: list[int], two: list[int], most: int) -> list[int]:
    """As Hugging Face's tokenizers do it: token by token."""
    one, two = list(one), list(two)
    while len(one) + 1 + len(two) > most:
        (one if len(one) > len(two) else two).pop()
    return [*one, BETWEEN, *two]


@given(ROWS, ROWS, st.integers(3, 24))
def test_a_row_has_both_texts_cut_longest_first(first, second, most):
    first, second = first[: len(second)], second[: len(first)]

    found, places = joined(ragged(first), ragged(second), BETWEEN, most)

    for row, (one, two) in enumerate(zip(first, second, strict=True)):
        assert found[row].tolist() == longest_first(one, two, most)
        assert found[row][: places[row]].tolist()[-1] == BETWEEN


class Letters:
    """Words are letters; 1 ends a text."""

    end_id = 1
    pad_id = 0

    def encode_many(self, texts):
        offsets = np.cumsum([0, *map(len, texts)])
        return Ragged(np.array([ord(c) for text in texts for c in text], np.int32), offsets)


LETTERS: Any = Letters()


def test_a_batch_says_where_the_second_text_begins():
    task = Classification(ClassificationConfig(pair=True))
    examples = [Example("ab", "x", {"pair": "c"}), Example("", "y", {"pair": "de"})]
    facts = task.fit(examples, LETTERS)

    rows = task.encode(examples, LETTERS, facts, True)
    batch = task.collate(rows, {"batch": 3, "time": 4}, facts)

    assert batch["tokens"].tolist() == [[97, 98, 1, 99], [1, 100, 101, 0], [0, 0, 0, 0]]
    assert batch["second"].tolist() == [3, 1, 0]
    assert batch["length"].tolist() == [4, 3, 0]
    assert [field.name for field in task.batch_spec(facts, []).fields] == list(batch.arrays)


@pytest.mark.parametrize(
    ("pair", "extra", "said"),
    [
        (True, {}, 'a.csv:2: the example has no second text. .* data = { pair = "..." }'),
        (False, {"pair": "b"}, "a.csv:2: the example has a second text, .* task = { pair = true }"),
    ],
)
def test_texts_that_do_not_fit_the_task_are_told_of(pair, extra, said):
    task = Classification(ClassificationConfig(pair=pair))

    with pytest.raises(loomlm.DataError, match=said):
        task.fit([Example("a", "x", extra, "a.csv:2")], LETTERS)


@pytest.fixture
def same_topic(tmp_path: Path, backend: str) -> Path:
    """The config of a classifier that says whether two texts are of one topic."""
    generator = np.random.default_rng(3)
    names = list(TOPICS)
    for split, count in (("train", 1500), ("test", 200)):
        with (tmp_path / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(("one", "other", "same"))
            for _ in range(count):
                first, second = generator.choice(names, 2)
                if generator.random() < 0.25:
                    second = first
                texts = [" ".join(generator.choice(TOPICS[t], 3)) for t in (first, second)]
                rows.writerow((*texts, "yes" if first == second else "no"))
    keys = "\n".join(f"{key} = {value}" for key, value in SMALL.items())
    path = tmp_path / "pairs.toml"
    path.write_text(
        f"""\
name = "pairs"
backend = "{backend}"
tokenizer = {{ type = "word" }}
backbone = {{ type = "mlp", width = 24 }}

[trainer]
steps = 300
batch_size = 32
learning_rate = 3e-2
{keys}

[[stages]]
name = "same"
task = {{ type = "classification", pair = true }}
metrics = ["accuracy", "roc_auc"]
data = {{ train = "train.csv", test = "test.csv", text = "one", pair = "other", label = "same" }}
""",
        encoding="utf-8",
    )
    return path


def test_an_mlp_learns_what_no_bag_of_both_texts_says(
    same_topic: Path, loomlm_command: Callable[..., Any], tmp_path: Path
):
    run = loomlm.run(same_topic)
    scores = run.evaluation["same"]["test"]
    assert scores["accuracy"] > 0.95
    assert scores["roc_auc"] > 0.98

    model = run.model()
    first, second = model.predict(
        [{"text": "rain wind", "pair": "snow storm", "id": 3}, {"text": "rain", "pair": "cheese"}]
    )
    assert (first["label"], second["label"]) == ("yes", "no")
    for wrong, said in (
        ("rain", "has no 'pair'"),
        ({"text": "rain", "Pair": "snow"}, "Did you mean 'Pair'"),
        ({"pair": "snow"}, "has no 'text'"),
        ({"text": "rain", "pair": None}, "'pair' of number 0 is None"),
    ):
        with pytest.raises(loomlm.UsageError, match=said):
            model.predict([wrong])

    (tmp_path / "in.csv").write_text("text,pair,id\nrain wind,snow storm,3\n", encoding="utf-8")
    of_file = json.loads(loomlm_command("predict", run.folder, "--file", "in.csv").out)
    told = loomlm_command("predict", run.folder, "rain wind", "--with", "pair=snow storm")
    lacking = loomlm_command("predict", run.folder, "rain wind")
    assert of_file == {"text": "rain wind", "pair": "snow storm", "id": "3", **first}
    assert json.loads(told.out)["probabilities"] == first["probabilities"]
    assert lacking.code == 2
    assert '{"text": "...", "pair": "..."}' in lacking.err
