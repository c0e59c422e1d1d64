"""A small run that is scored with the metric, and chooses its best checkpoint by it."""

import loomlm
import numpy as np
import pytest
from loomlm.plugin import MetricContext, Outcome

from plugin_package import KappaConfig
from plugin_package.metric import Kappa


def test_an_example_that_can_be_checked_by_hand():
    # 35 of 50 are right, and chance would have given 25: (35 - 25) / (50 - 25).
    references = np.repeat([0, 0, 1, 1], [20, 5, 10, 15])
    predictions = np.repeat([0, 1, 0, 1], [20, 5, 10, 15])
    kappa = Kappa(
        KappaConfig(), MetricContext(labels=("yes", "no"), produces="classes")
    )

    kappa.update(Outcome(predictions, references))

    assert kappa.compute()["plugin_component"] == pytest.approx(0.4)


def test_a_run_reports_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache"))
    rows = [
        ("rain and wind", "weather"),
        ("soup and bread", "food"),
        ("a goal", "sport"),
    ]
    lines = [f"{text} {number},{label}" for number in range(60) for text, label in rows]
    (tmp_path / "all.csv").write_text(
        "text,label\n" + "\n".join(lines), encoding="utf-8"
    )
    config = loomlm.load_config(
        {
            "name": "topics",
            "backend": "torch",
            "tokenizer": "word",
            "backbone": {"type": "mlp", "width": 8},
            "trainer": {
                "steps": 60,
                "batch_size": 16,
                "learning_rate": 5e-2,
                "evaluate_every": 20,
                "keep_best": "plugin_component",
                "threads": 1,
                "compile": False,
            },
            "stages": [
                {
                    "name": "finetune",
                    "task": "classification",
                    "data": {
                        "train": str(tmp_path / "all.csv"),
                        "label": "label",
                        "split": {"validation": 0.2, "test": 0.2},
                    },
                    "metrics": ["accuracy", "plugin_component"],
                }
            ],
        }
    )

    run = loomlm.run(config, runs=tmp_path / "runs")

    scores = run.evaluation["finetune"]["test"]
    assert scores["plugin_component"] > 0.9
    assert scores["accuracy"] >= scores["plugin_component"]
