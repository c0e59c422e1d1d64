"""Regression: learnt in a unit of its own, told in that of the data."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import loomlm
from loomlm.contracts import Example
from loomlm_tasks.config import RegressionConfig
from loomlm_tasks.regression import Regression

from ...conftest import SMALL
from .test_pairs import LETTERS

PRICES = {"shed": 1000, "flat": 3000, "house": 6000, "castle": 10_000}


def test_labels_are_standardised_and_answers_are_not():
    task = Regression(RegressionConfig())
    examples = [Example("a", label) for label in ("10", "2e1", " 60 ")]

    facts = task.fit(iter(examples), LETTERS)
    columns = task.encode(examples, LETTERS, facts, True)
    batch = task.collate(columns, {"batch": 4, "time": 1}, facts)
    outcome = task.in_unit(task.outcome(batch["label"][:, None], batch), facts)

    assert facts == {"mean": pytest.approx(30), "spread": pytest.approx(np.std([10, 20, 60]))}
    assert np.asarray(columns["label"]).mean() == pytest.approx(0, abs=1e-6)
    assert np.asarray(columns["label"]).std() == pytest.approx(1)
    assert outcome.predictions == pytest.approx([10, 20, 60])
    assert outcome.references == pytest.approx([10, 20, 60])
    assert task.decode(np.array([[0.0]]), facts) == [{"prediction": pytest.approx(30)}]


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("three", "a.csv:2: the label 'three' is no number."),
        ("nan", "a.csv:2: the label 'nan' is no number."),
        (("1", "2"), r"a.csv:2: the label \['1', '2'\] is no number."),
        (None, "a.csv:2: the example has no label."),
        ("4", "labels that differ; all of them are 4"),
    ],
)
def test_a_label_that_cannot_be_learnt_is_told_of(label: Any, said: str):
    with pytest.raises(loomlm.DataError, match=said):
        Regression(RegressionConfig()).fit([Example("a", label, place="a.csv:2")], LETTERS)


@pytest.mark.parametrize("facts", [{"mean": 1.0}, {"mean": 1.0, "spread": 0.0}, {"mean": "1"}])
def test_facts_that_no_training_gives_are_refused(facts):
    with pytest.raises(ValueError, match="facts"):
        Regression(RegressionConfig()).check_facts(facts)


def test_a_run_learns_prices(tmp_path: Path, backend: str):
    generator = np.random.default_rng(5)
    for split, count in (("train", 300), ("test", 60)):
        with (tmp_path / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(("what", "price"))
            for _ in range(count):
                one, other = generator.choice(list(PRICES), 2)
                rows.writerow((f"a {one} and a {other}", PRICES[one] + PRICES[other]))
    trainer = {key: {"false": False, '"cpu"': "cpu"}.get(v, 1) for key, v in SMALL.items()}

    run = loomlm.run(
        {
            "name": "prices",
            "backend": backend,
            "tokenizer": {"type": "word"},
            "backbone": {"type": "mlp", "width": 16},
            "trainer": {"steps": 200, "batch_size": 16, "learning_rate": 3e-2, **trainer},
            "stages": [
                {
                    "name": "price",
                    "task": "regression",
                    "data": {
                        "train": "train.csv",
                        "test": "test.csv",
                        "text": "what",
                        "label": "price",
                    },
                }
            ],
        }
    )

    scores = run.evaluation["price"]["test"]
    (answer,) = run.model().predict(["a castle and a shed"])
    assert answer == {"prediction": pytest.approx(11_000, rel=0.05)}
    assert scores["pearson"] > 0.99
    assert scores["spearman"] > 0.9
    with (tmp_path / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [row["prediction"] for row in run.model().predict([row["what"] for row in rows])]
    apart = np.abs(np.array(found) - [float(row["price"]) for row in rows])
    assert scores["mean_absolute_error"] == pytest.approx(apart.mean(), rel=1e-3)
    assert scores["mean_squared_error"] == pytest.approx((apart**2).mean(), rel=1e-3)
