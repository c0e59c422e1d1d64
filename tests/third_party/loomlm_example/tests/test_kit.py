"""What every component of its kind must hold to: each line below stands for dozens of checks."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import matthews_corrcoef

from loomlm.plugin import Outcome

TEXTS = {
    "old": [("rain", "weather"), ("soup", "food"), (None, "food")],
    "new": [("wind", "weather")],
}


def correlation(outcome: Outcome) -> float:
    return float(matthews_corrcoef(outcome.references, outcome.predictions))


def tables(folder: Path) -> dict[str, Any]:
    """The keys of a source, with the file that they name."""
    file = folder / "texts.db"
    file.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as database:
        for table, rows in TEXTS.items():
            database.execute(f"CREATE TABLE {table} (text, topic)")
            database.executemany(f"INSERT INTO {table} VALUES (?, ?)", rows)
        database.commit()
    return {"file": str(file), "label": "topic", "train": "old", "test": "new"}


@pytest.mark.loomlm("tokenizer:whitespace")
def test_the_tokenizer(conformance):
    conformance()


@pytest.mark.loomlm("backbone:gated_mean")
def test_the_backbone(conformance):
    conformance()


@pytest.mark.filterwarnings("ignore:A single label")  # scikit-learn's, of references all alike
@pytest.mark.loomlm("metric:phi", reference=correlation)
def test_the_metric(conformance):
    conformance()


@pytest.mark.loomlm("data_source:sqlite", keys=tables)
def test_the_source(conformance):
    conformance()
