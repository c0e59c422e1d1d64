"""The examples of the pages about tasks whose answer is a label or a number work as they stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import loomlm

from ..conftest import SMALL
from ..core.test_docs import blocks

TASKS = Path(__file__).parents[2] / "docs" / "tasks"
SETTINGS = [f"trainer.{key}={value}" for key, value in SMALL.items()]


def run_of(page: str, number: int, backend: str) -> loomlm.Run:
    """The run of a page's config, by its number."""
    Path("my.toml").write_text(blocks(TASKS / page, "toml")[number])
    return loomlm.run(loomlm.load_config("my.toml", set=[f"backend={backend}", *SETTINGS]))


def shown(page: str, number: int) -> dict:
    return json.loads(blocks(TASKS / page, "json")[number])


def test_the_table_of_classification_is_learnt(backend, loomlm_command):
    table = blocks(TASKS / "classification.md", "csv")[0]
    Path("train.csv").write_text(table)
    Path("test.csv").write_text(table)

    run = run_of("classification.md", 0, backend)

    done = json.loads(loomlm_command("predict", "runs/topics", "wind and snow").out)
    assert run.evaluation["finetune"]["test"]["accuracy"] == 1
    assert done["label"] == "weather"
    assert list(done) == list(shown("classification.md", 0))


def test_the_table_of_regression_is_learnt(backend, loomlm_command):
    table = blocks(TASKS / "regression.md", "csv")[0]
    Path("train.csv").write_text(table)
    Path("test.csv").write_text(table)

    run = run_of("regression.md", 0, backend)

    scores = run.evaluation["finetune"]["test"]
    done = json.loads(loomlm_command("predict", "runs/stars", "wind and rain").out)
    assert scores["spearman"] == pytest.approx(1)
    assert scores["mean_absolute_error"] < 0.5
    assert 0 < done["prediction"] < 3
    assert list(done) == list(shown("regression.md", 0))


@pytest.mark.one_backend
def test_the_pairs_of_classification_are_learnt(backend, loomlm_command):
    rows = "first,second,same\nrain and wind,a storm,yes\nbread,a goal,no\nsoup,snow,no\n"
    for name in ("pairs.csv", "pairs_test.csv"):
        Path(name).write_text(rows)

    run = run_of("classification.md", 1, backend)

    done = loomlm_command("predict", "runs/same", "rain and wind", "--with", "pair=a storm")
    assert run.evaluation["finetune"]["test"]["accuracy"] == 1
    assert json.loads(done.out)["label"] == "yes"


@pytest.mark.one_backend
def test_the_label_sets_of_classification_are_learnt(backend, loomlm_command):
    rows = "text,tags\nrain at the match,sport; weather\nthe of and,\nsnow,weather\na goal,sport\n"
    for name in ("tags.csv", "tags_test.csv"):
        Path(name).write_text(rows)

    run = run_of("classification.md", 2, backend)

    done = json.loads(loomlm_command("predict", "runs/tags", "rain at the match").out)
    lacking = loomlm_command("predict", "runs/tags", "the of and")
    assert run.evaluation["finetune"]["test"]["accuracy"] == 1
    assert sorted(done["labels"]) == sorted(shown("classification.md", 1)["labels"])
    assert json.loads(lacking.out)["labels"] == []
    assert list(done) == list(shown("classification.md", 1))
