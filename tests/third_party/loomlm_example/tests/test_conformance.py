"""Each component holds to what its kind promises: a test for each property, made by Loomlm."""

import sqlite3
from contextlib import closing

import pytest
from sklearn.metrics import matthews_corrcoef


def correlation(outcome):
    return matthews_corrcoef(outcome.references, outcome.predictions)


def reviews(folder):
    """The keys of a source, with the file that they name."""
    with closing(sqlite3.connect(folder / "reviews.db")) as database:
        database.execute("CREATE TABLE train (text, topic)")
        rows = [("The rain was cold", "weather"), ("The soup was warm", "food")]
        database.executemany("INSERT INTO train VALUES (?, ?)", rows)
        database.commit()
    return {"file": "reviews.db", "label": "topic"}


@pytest.mark.loomlm("tokenizer:whitespace")
def test_whitespace(conformance):
    conformance()


@pytest.mark.loomlm("metric:matthews", reference=correlation)
def test_matthews(conformance):
    conformance()


@pytest.mark.loomlm("data_source:sqlite", keys=reviews)
def test_sqlite(conformance):
    conformance()
