"""A plugin distribution that is not ours, in an environment of its own, does a whole run."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import tomllib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from sklearn.metrics import matthews_corrcoef

DISTRIBUTION = Path(__file__).parents[1] / "third_party" / "loomlm_example"
CONFIG = """\
name = "reviews"
backend = "{backend}"

[tokenizer]
type = "whitespace"
max_words = 200

[backbone]
type = "gated_mean"
width = 16
dropout = 0.1

[trainer]
steps = 150
batch_size = 16
learning_rate = 1e-2
compile = false

[[stages]]
name = "topics"
task = "classification"
data = { type = "sqlite", file = "reviews.db", label = "topic", train = "old", test = "new" }
metrics = ["accuracy", "matthews"]
"""
TOPICS = {"weather": ("rain", "wind"), "food": ("soup", "bread"), "sport": ("goal", "match")}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def python(environment: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment that has the distribution."""
    copy = tmp_path_factory.mktemp("example") / "distribution"
    return environment(shutil.copytree(DISTRIBUTION, copy))


@pytest.fixture
def run(python: Path, tmp_path: Path, backend: str) -> Run:
    """Runs `loomlm` in that environment, where reviews.db and config.toml are; it must succeed."""
    with closing(sqlite3.connect(tmp_path / "reviews.db")) as database:
        for table, count in (("old", 60), ("new", 10)):
            database.execute(f"CREATE TABLE {table} (text, topic)")
            for topic, words in TOPICS.items():
                rows = [(f"The {words[i % 2]} was {i}", topic) for i in range(count)]
                database.executemany(f"INSERT INTO {table} VALUES (?, ?)", rows)
        database.execute("INSERT INTO old VALUES (NULL, 'food')")
        # One label that the model must get wrong, so that scores are not all 1.
        database.execute("INSERT INTO new VALUES ('rain and wind', 'food')")
        database.commit()
    (tmp_path / "config.toml").write_text(CONFIG.replace("{backend}", backend))

    def call(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [str(python), "-m", "loomlm", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


@pytest.mark.one_backend
def test_its_four_components_are_listed_with_where_they_come_from(run: Run):
    plugins = json.loads(run("plugins", "--json").stdout)

    example = next(plugin for plugin in plugins if plugin["distribution"] == "loomlm-example")
    assert example["state"] == "loaded"
    assert {(c["kind"], c["name"]) for c in example["components"]} == {
        ("tokenizer", "whitespace"),
        ("backbone", "gated_mean"),
        ("metric", "matthews"),
        ("data_source", "sqlite"),
    }
    assert "loomlm-example 1.0.0" in run("plugins").stdout


def test_one_config_runs_with_all_four(run: Run, tmp_path: Path):
    assert "1 rows have no text" in run("run", "config.toml", "--runs", "runs").stderr

    folder = tmp_path / "runs" / "reviews"
    scores = json.loads((folder / "evaluation.json").read_text())["topics"]["test"]
    assert scores["accuracy"] == pytest.approx(30 / 31)
    references = [topic for topic in TOPICS for _ in range(10)] + ["food"]
    predictions = [*references[:-1], "weather"]
    assert scores["matthews"] == pytest.approx(matthews_corrcoef(references, predictions))

    again = json.loads(run("evaluate", "runs/reviews", "--json").stdout)
    assert again["topics"]["test"] == scores

    predicted = run("predict", "runs/reviews", "wind and rain", "GOAL", "").stdout.splitlines()
    assert [json.loads(line)["label"] for line in predicted][:2] == ["weather", "sport"]
    made_by = json.loads((folder / "model" / "config.json").read_text())["made_by"]
    assert made_by["backbone:gated_mean"]["distribution"] == "loomlm-example"


@pytest.mark.one_backend
def test_the_schema_has_its_keys(run: Run):
    schema = json.loads(run("config", "schema").stdout)

    check = Draft202012Validator(schema)
    config = tomllib.loads(CONFIG)
    assert check.is_valid(config)
    for table, key, value in [
        (config["backbone"], "width", "wide"),
        (config["backbone"], "dropout", 0.99),
        (config["tokenizer"], "max_word", 3),
        (config["stages"][0]["data"], "tabel", "old"),
        (config["stages"][0]["data"], "test", 3),
    ]:
        before = dict(table)
        table[key] = value
        assert not check.is_valid(config), key
        table.clear()
        table.update(before)
    assert "the most frequent ones" in json.dumps(schema)


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("backbone.widht=8", "Did you mean 'width'?"),
        ('stages.topics.data.file="review.db"', "There is no SQLite file"),
        ('stages.topics.data.train="odl"', "has no table 'odl'. Did you mean 'old'?"),
        ('stages.topics.data.label="topics"', "no column 'topics'. Did you mean 'topic'?"),
        ('stages.topics.data.label="text"', "label must be another column than text"),
    ],
)
def test_mistakes_in_its_keys_are_said_as_those_of_ours(run: Run, setting: str, said: str):
    errors = run("run", "config.toml", "--set", setting, code=2).stderr

    assert said in " ".join(errors.split())
    assert "Traceback" not in errors


@pytest.mark.one_backend
def test_its_own_tests_check_its_components(python: Path, tmp_path: Path):
    shutil.copytree(DISTRIBUTION / "tests", tmp_path / "tests")
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", "tests"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.one_backend
def test_a_model_says_which_plugin_it_lacks(run: Run):
    run("run", "config.toml", "--runs", "runs", "--set", "trainer.steps=2")

    errors = run("predict", "runs/reviews", "-p", "no:example", "rain", code=2).stderr

    assert "no backbone 'gated_mean'" in errors
    assert re.search(r"Not loaded: loomlm-example 1\.0\.0 .*is blocked", errors)
    assert "The model was made with loomlm-example 1.0.0" in errors
