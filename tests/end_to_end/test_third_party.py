"""Distributions that are not ours, each in an environment of its own, do whole runs.

They are in tests/third_party, for authors to copy. The first, which has a part of each common kind,
is tried most; each is listed, passes its own tests there, and does a run.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from math import isfinite
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from attrs import frozen
from jsonschema import Draft202012Validator
from sklearn.metrics import matthews_corrcoef

THIRD_PARTY = Path(__file__).parents[1] / "third_party"
WITHOUT = Path(__file__).parents[1] / "without"
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
metrics = ["accuracy", "phi"]
"""
TOPICS = {"weather": ("rain", "wind"), "food": ("soup", "bread"), "sport": ("goal", "match")}

Run = Callable[..., subprocess.CompletedProcess[str]]


@frozen
class Installed:
    """A distribution: a copy of its folder, and the interpreter of an environment that has it."""

    folder: Path
    python: Path

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs the interpreter, with further environment variables; it must succeed."""
        done = subprocess.run(
            [str(self.python), *words],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def installed(
    environment: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Installed]:
    """Installs a distribution, once."""

    @cache
    def install(name: str) -> Installed:
        copy = tmp_path_factory.mktemp(name) / "distribution"
        left_out = shutil.ignore_patterns("__pycache__", ".*_cache")
        shutil.copytree(THIRD_PARTY / name, copy, ignore=left_out)
        return Installed(copy, environment(copy))

    return install


@pytest.fixture
def python(installed: Callable[[str], Installed]) -> Path:
    """The interpreter of the first one's environment."""
    return installed("loomlm_example").python


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
        ("metric", "phi"),
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
    assert scores["phi"] == pytest.approx(matthews_corrcoef(references, predictions))

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
def test_a_model_says_which_plugin_it_lacks(run: Run):
    run("run", "config.toml", "--runs", "runs", "--set", "trainer.steps=2")

    errors = run("predict", "runs/reviews", "-p", "no:example", "rain", code=2).stderr

    assert "no backbone 'gated_mean'" in errors
    assert re.search(r"Not loaded: loomlm-example 1\.0\.0 .*is blocked", errors)
    assert "The model was made with loomlm-example 1.0.0" in errors


DISTRIBUTIONS: dict[str, set[tuple[str, str]]] = {
    "loomlm_copying": {("task", "copy"), ("backbone", "encoder_decoder")},
    "loomlm_example": {
        ("tokenizer", "whitespace"),
        ("backbone", "gated_mean"),
        ("metric", "phi"),
        ("data_source", "sqlite"),
    },
    "loomlm_notify": {("observer", "notify")},
    "loomlm_numpy": {("trainer", "numpy")},
    "loomlm_text_kit": {
        ("cleaner", "repeats"),
        ("extension", "deduplicate"),
        ("optimizer", "lion"),
        ("schedule", "inverse_root"),
        ("template", "messages"),
    },
}
each = pytest.mark.parametrize("name", DISTRIBUTIONS)


def test_each_folder_is_one():
    folders = {path.parent.name for path in THIRD_PARTY.glob("*/pyproject.toml")}

    assert folders == set(DISTRIBUTIONS)
    for name in folders:
        project = tomllib.loads((THIRD_PARTY / name / "pyproject.toml").read_text())["project"]
        assert project["name"] == name.replace("_", "-")
        for file in (project["readme"], f"src/{name}/py.typed"):
            assert (THIRD_PARTY / name / file).is_file()


@each
def test_it_uses_the_authors_api_alone(name: str):
    for path in (THIRD_PARTY / name / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.module and not node.level
                names = [node.module]
            for module in names:
                theirs = module.startswith("loomlm") and module.split(".")[0] != name
                assert not theirs or module == "loomlm.plugin", f"{path.name} imports {module}"


@each
def test_it_is_listed(installed: Callable[[str], Installed], name: str):
    listed = json.loads(installed(name).run("-m", "loomlm", "plugins", "--json").stdout)

    (plugin,) = [found for found in listed if found["distribution"] == name.replace("_", "-")]
    assert (plugin["state"], plugin["error"]) == ("loaded", "")
    assert {(c["kind"], c["name"]) for c in plugin["components"]} == DISTRIBUTIONS[name]


@each
def test_its_own_tests_pass(
    installed: Callable[[str], Installed], name: str, monkeypatch: pytest.MonkeyPatch
):
    found = installed(name)
    monkeypatch.chdir(found.folder)

    done = found.run("-m", "pytest", "-q", "-p", "no:cacheprovider", PYTEST_ADDOPTS="")

    assert re.search(r"\d+ passed", done.stdout), done.stdout


SMALL = """\
name = "small"
tokenizer = "word"
backbone = { type = "mlp", width = 16 }
trainer = { steps = 150, batch_size = 16, learning_rate = 1e-2, compile = false, threads = 1 }

[[stages]]
name = "only"
task = "classification"
data = { train = "train.csv", test = "test.csv", label = "label" }
"""
# On one backend: their own tests run on each.
PARTS = {
    "loomlm_copying": (
        'tokenizer="character"',
        'backbone={type="encoder_decoder", longest=16}',
        'stages.only.task={type="copy", context=16}',
    ),
    "loomlm_text_kit": (
        'trainer.optimizer="lion"',
        'trainer.schedule={type="inverse_root", warmup=20}',
        'stages.only.data.clean=["repeats"]',
        'stages.only.extensions=["deduplicate"]',
    ),
}


def small_run(found: Installed, *settings: str, **variables: str) -> dict[str, Any]:
    """The scores of a small run, which `loomlm evaluate` finds again."""
    Path("small.toml").write_text(SMALL)
    changes = [word for setting in settings for word in ("--set", setting)]
    found.run("-m", "loomlm", "run", "small.toml", *changes, **variables)
    again = found.run("-m", "loomlm", "evaluate", "runs/small", "--json", **variables)
    scores = json.loads(Path("runs/small/evaluation.json").read_text())
    assert json.loads(again.stdout) == scores
    return scores["only"]["test"]


@pytest.mark.one_backend
@pytest.mark.usefixtures("topics")
@pytest.mark.parametrize("name", PARTS)
def test_a_run_with_its_parts_ends(installed: Callable[[str], Installed], backend: str, name: str):
    scores = small_run(installed(name), f"backend={backend}", *PARTS[name])

    assert all(isfinite(score) for name, score in scores.items() if name != "details")
    assert scores["perplexity"] < 15 if "perplexity" in scores else scores["accuracy"] > 0.9


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[Any]]]:
    """The address of a server, and what it was sent."""
    monkeypatch.setenv("no_proxy", "*")
    sent: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", sent
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.one_backend
@pytest.mark.usefixtures("topics")
def test_the_end_of_a_run_is_told(
    installed: Callable[[str], Installed], backend: str, told: tuple[str, list[Any]]
):
    found, (url, sent) = installed("loomlm_notify"), told

    found.run("-m", "loomlm", "notify-test", url)
    observer = f'observers=[{{type="notify", url="{url}"}}]'
    scores = small_run(found, f"backend={backend}", "trainer.steps=5", observer)

    assert [summary["run"] for summary in sent] == ["notify-test", "small"]
    assert sent[1]["evaluation"] == {"only": {"test": scores}}


@pytest.mark.usefixtures("topics")
def test_numpy_trains_where_there_is_no_framework(installed: Callable[[str], Installed]):
    hidden = {
        "LOOMLM_TESTS_WITHOUT": "torch tensorflow keras",
        "PYTHONPATH": os.pathsep.join([str(WITHOUT), os.environ.get("PYTHONPATH", "")]),
    }
    found = installed("loomlm_numpy")

    doctor = found.run("-m", "loomlm", "doctor", **hidden).stdout
    scores = small_run(found, "backbone.ngrams=2", "backbone.buckets=500", **hidden)

    assert "torch: needs torch" in doctor
    assert scores["accuracy"] > 0.9
    config = tomllib.loads(Path("runs/small/config.toml").read_text())
    assert config["backend"] == "numpy"


@pytest.mark.usefixtures("topics")
def test_a_run_on_numpy_imports_no_framework(installed: Callable[[str], Installed]):
    Path("small.toml").write_text(SMALL)
    words = ("run", "small.toml", "--backend", "numpy", "--set", "trainer.steps=2")
    script = (
        "import sys; from loomlm.cli import main\n"
        f"main({list(words)!r})\n"
        "print(sorted({'torch', 'tensorflow', 'keras', 'jax'} & set(sys.modules)))"
    )

    assert installed("loomlm_numpy").run("-c", script).stdout.splitlines()[-1] == "[]"
