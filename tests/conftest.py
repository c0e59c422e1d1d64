"""Fixtures that all tests share. Nothing here needs the network or data that is not made here."""

from __future__ import annotations

import csv
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from attrs import frozen

from loomlm.cli import main

HAS_TORCH = find_spec("torch") is not None

collect_ignore = [] if HAS_TORCH else ["plugins/torch"]


def pytest_report_header() -> list[str]:
    """Says what is left out."""
    return [] if HAS_TORCH else ["PyTorch is not installed: what needs it is left out"]


TOPICS = {
    "weather": ("rain", "wind", "sun", "cloud", "storm", "snow", "cold", "warm", "forecast"),
    "food": ("bread", "soup", "rice", "salt", "butter", "kitchen", "taste", "dinner", "cheese"),
    "sport": ("goal", "match", "team", "coach", "score", "league", "season", "player", "ball"),
}
FILLER = ("the", "a", "of", "and", "in", "to", "was", "it", "today", "very", "much", "again")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a cache, a runs folder and a working folder of its own."""
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LOOMLM_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)


def sentences(count: int, seed: int) -> list[tuple[str, str]]:
    """Texts with their topics: two words of the topic among words that say nothing."""
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        topic = list(TOPICS)[generator.integers(len(TOPICS))]
        words = [*generator.choice(TOPICS[topic], 2), *generator.choice(FILLER, 6)]
        rows.append((" ".join(generator.permutation(words)), topic))
    return rows


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    """A csv file with columns text and label."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows(rows)
    return path


@pytest.fixture
def topics(tmp_path: Path) -> tuple[Path, Path]:
    """train.csv and test.csv, which a small model learns in a few hundred steps."""
    return (
        write_csv(tmp_path / "train.csv", sentences(400, 1)),
        write_csv(tmp_path / "test.csv", sentences(100, 2)),
    )


@pytest.fixture(scope="session")
def torch_backend() -> None:
    """For tests of whole configs, whose backend is PyTorch."""
    pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture
def config_file(
    topics: tuple[Path, Path], tmp_path: Path, torch_backend: None
) -> Callable[..., Path]:
    """Writes a small config; keyword arguments are further trainer keys, as TOML."""

    def write(name: str = "small", **trainer: str) -> Path:
        keys = {"steps": "100", "batch_size": "16", "learning_rate": "1e-2", **trainer}
        if "epochs" in trainer:
            del keys["steps"]
        lines = "\n".join(f"{key} = {value}" for key, value in keys.items())
        path = tmp_path / "my.toml"
        path.write_text(
            f"""\
name = "{name}"
backend = "torch"

[tokenizer]
type = "word"

[backbone]
type = "mlp"
width = 16
ngrams = 2
buckets = 500
dropout = 0.2
word_dropout = 0.1

[trainer]
{lines}

[[stages]]
name = "finetune"
task = "classification"
data = {{ train = "train.csv", test = "test.csv", label = "label" }}
""",
            encoding="utf-8",
        )
        return path

    return write


TINY = Path(__file__).parent / "local_plugins" / "tiny.py"


@pytest.fixture
def lm_config(
    topics: tuple[Path, Path], tmp_path: Path, torch_backend: None
) -> Callable[..., Path]:
    """Writes a config that trains a small language model on the topics' texts.

    finetune: whether a stage that classifies follows. Keyword arguments are trainer keys, as TOML.
    """
    words = [text for text, _ in sentences(400, 1)]
    (tmp_path / "corpus.txt").write_text("\n".join(words) + "\n", encoding="utf-8")

    def write(name: str = "lm", finetune: bool = False, **trainer: str) -> Path:
        keys = {"steps": "60", "batch_size": "8", "learning_rate": "1e-2", **trainer}
        lines = "\n".join(f"{key} = {value}" for key, value in keys.items())
        path = tmp_path / "lm.toml"
        path.write_text(
            f"""\
name = "{name}"
backend = "torch"
plugins = ["{TINY.as_posix()}"]
tokenizer = {{ type = "character" }}
backbone = {{ type = "tiny", width = 24, dropout = 0.1 }}

[trainer]
{lines}

[[stages]]
name = "pretrain"
task = {{ type = "causal_lm", context = 32 }}
data = {{ train = "corpus.txt", split = {{ validation = 0.1, by = "position" }} }}
{FINETUNE if finetune else ""}""",
            encoding="utf-8",
        )
        return path

    return write


FINETUNE = """
[[stages]]
name = "finetune"
init_from = "pretrain"
task = "classification"
data = { train = "train.csv", test = "test.csv", label = "label" }
"""


@frozen
class Done:
    """What a command ended with."""

    code: int
    out: str
    err: str


@pytest.fixture
def loomlm_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs the command line in this process, as `main` does for a user."""

    def call(*words: object) -> Done:
        capsys.readouterr()
        code = 0
        try:
            main([str(word) for word in words])
        except SystemExit as done:
            code = done.code if isinstance(done.code, int) else int(bool(done.code))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Done(code, captured.out, captured.err)

    return call
