"""Fixtures that all tests share. Nothing here needs the network or data that is not made here.

A test that takes `backend`, itself or through `config_file` and the like, runs on each backend that
is installed; where a backend is only its vehicle, it is marked `one_backend` and runs on the first.
`LOOMLM_TESTS_WITHOUT="torch"` tests as if PyTorch were not installed, `"tensorflow keras"` as if
TensorFlow were not.
"""

from __future__ import annotations

import csv
import gc
import os
import runpy
import signal
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from attrs import frozen
from hypothesis import settings

from loomlm.cli import FULL_PASS, main

# Threads that spin while they wait make a small model many times as slow where the tests run in
# several processes. Read when a framework is imported, which is later.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# What the frameworks import stays; to look through it for garbage took a tenth of the tests' time.
gc.set_threshold(*gc.get_threshold()[:2], FULL_PASS)

# No test is timed: these cores may be busy with another one.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

WITHOUT = Path(__file__).parent / "without"
if os.environ.get("LOOMLM_TESTS_WITHOUT"):
    runpy.run_path(str(WITHOUT / "sitecustomize.py"))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(WITHOUT), os.environ.get("PYTHONPATH", "")])

FRAMEWORKS = {"torch": ("torch",), "tensorflow": ("tensorflow", "keras")}
BACKENDS = [name for name, modules in FRAMEWORKS.items() if all(map(find_spec, modules))]
LACKING = [name for name in FRAMEWORKS if name not in BACKENDS]

# A third party's tests run where it is installed: see end_to_end/test_third_party.py.
collect_ignore = ["third_party", *(f"plugins/{name}" for name in LACKING)]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--faults",
        choices=["short", "long"],
        default="short",
        help="how much of the tests of faults: a twentieth, or all of docs/reliability.md",
    )
    parser.addoption(
        "--parity",
        choices=["short", "all"],
        default="short",
        help="which backbones are trained on both backends: one of each type, or all",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "one_backend(name): run on this backend alone, or, where a backend is only the vehicle of "
        "the test and none is named, on the first that is installed",
    )
    config.addinivalue_line("markers", "each_backend: run on each, whatever the module's mark says")


def pytest_report_header() -> list[str]:
    """Says what is left out."""
    return [f"{name} is not installed: what needs it is left out" for name in LACKING]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise the tests that take `backend`; see above."""
    if "backend" not in metafunc.fixturenames:
        return
    find = metafunc.definition.get_closest_marker
    mark = None if find("each_backend") else find("one_backend")
    names = BACKENDS if mark is None else [*mark.args, *BACKENDS][:1]
    metafunc.parametrize("backend", names or ["none"], indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """The name of the backend that a test is for."""
    if request.param not in BACKENDS:
        pytest.skip(f"the backend {request.param} is not installed")
    if request.param == "tensorflow":
        request.getfixturevalue("tensorflow")
    return request.param


@pytest.fixture(scope="session")
def tensorflow() -> None:
    """TensorFlow with one thread: a process can set that once."""
    from loomlm_tensorflow.framework import tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.list_logical_devices()


@pytest.fixture(autouse=True)
def _heard_signals() -> Iterator[None]:
    """Signals are heard as in a terminal: what runs the tests in the background may ignore some."""
    defaults = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    numbers = {getattr(signal, name, None): handler for name, handler in defaults.items()}
    ignored = {n for n in numbers if n is not None and signal.getsignal(n) is signal.SIG_IGN}
    for number in ignored:
        signal.signal(number, numbers[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


TOPICS = {
    "weather": ("rain", "wind", "sun", "cloud", "storm", "snow", "cold", "warm", "forecast"),
    "food": ("bread", "soup", "rice", "salt", "butter", "kitchen", "taste", "dinner", "cheese"),
    "sport": ("goal", "match", "team", "coach", "score", "league", "season", "player", "ball"),
}
SMALL = {"compile": "false", "threads": "1", "device": '"cpu"'}
"""What small models want of a trainer: compiling takes longer than their steps, and what they come
to is not to depend on whether there is a GPU.
"""
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


@pytest.fixture
def config_file(topics: tuple[Path, Path], tmp_path: Path, backend: str) -> Callable[..., Path]:
    """Writes a small config; keyword arguments are further trainer keys, as TOML."""

    def write(name: str = "small", **trainer: str) -> Path:
        keys = {"steps": "100", "batch_size": "16", "learning_rate": "1e-2", **SMALL, **trainer}
        if "epochs" in trainer:
            del keys["steps"]
        if "batch_tokens" in trainer:
            del keys["batch_size"]
        lines = "\n".join(f"{key} = {value}" for key, value in keys.items())
        path = tmp_path / "my.toml"
        path.write_text(
            f"""\
name = "{name}"
backend = "{backend}"

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
def lm_config(topics: tuple[Path, Path], tmp_path: Path, backend: str) -> Callable[..., Path]:
    """Writes a config that trains a small language model on the topics' texts.

    finetune: whether a stage that classifies follows. Keyword arguments are trainer keys, as TOML.
    """
    words = [text for text, _ in sentences(400, 1)]
    (tmp_path / "corpus.txt").write_text("\n".join(words) + "\n", encoding="utf-8")

    def write(name: str = "lm", finetune: bool = False, **trainer: str) -> Path:
        keys = {"steps": "60", "batch_size": "8", "learning_rate": "1e-2", **SMALL, **trainer}
        if "batch_tokens" in trainer:
            del keys["batch_size"]
        lines = "\n".join(f"{key} = {value}" for key, value in keys.items())
        path = tmp_path / "lm.toml"
        path.write_text(
            f"""\
name = "{name}"
backend = "{backend}"
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
