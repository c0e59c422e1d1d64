"""What TensorFlow does to a process: its words on the terminal, its threads, its settings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import loomlm
from loomlm.config.settings import TrainerConfig
from loomlm.errors import UsageError
from loomlm_tensorflow.framework import tf

pytestmark = pytest.mark.one_backend("tensorflow")

TOLD = re.compile(
    r"Run .*, backend tensorflow$|step \d|Reading |Training |Encoding |Evaluating |Stage |  |$"
    r"|(train|validation|test): [\d,]+ examples, "
)
"""How the lines of a run begin."""


def process(code: str, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(["-c", code] if code else ["-m", "loomlm"]), *map(str, words)]
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def compiled(config_file) -> Path:
    """A config that leaves compiling and threads to the backend."""
    return config_file(steps="30", compile='"auto"', threads='"auto"')


def test_a_run_says_nothing_but_what_loomlm_says_and_gives_the_same_bits_again(compiled):
    runs = [process("", "run", compiled, "--runs", place) for place in ("a", "b")]

    for run in runs:
        assert run.returncode == 0, run.stderr
        assert [line for line in run.stderr.splitlines() if not TOLD.match(line)] == []
    for name in ("model/model.safetensors", "finetune/metrics.jsonl", "evaluation.json"):
        assert Path("a/small", name).read_bytes() == Path("b/small", name).read_bytes()
    used = Path("a/small/config.toml").read_text()
    assert "compile = true" in used
    assert "threads = 1  # as many as the backbone's operations are worth" in used
    predicted = process("", "predict", "a/small", "rain and wind")
    assert predicted.returncode == 0
    assert predicted.stderr == ""


def test_an_import_that_fails_shows_what_was_said(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\nos.write(2, b'a library is missing\\n')\nraise ImportError('libx.so')\n"
    )

    done = process("import loomlm_tensorflow.framework", PYTHONPATH=str(tmp_path))

    assert "a library is missing" in done.stderr
    assert "ImportError: libx.so" in done.stderr


def test_threads_that_the_process_has_are_taken_and_others_are_refused(trainer, registry):
    component = registry.find("backbone", "transformer").component
    backbone = component.load()(component.config())
    settings = {"device": "cpu", "precision": "fp32", "compile": False}

    resolved = trainer.resolve(TrainerConfig(**settings), backbone)

    assert resolved == {"threads": (1, "those that TensorFlow has in this process")}
    with pytest.raises(UsageError, match=r"works with 1 threads .*threads = 3 is wanted.* Set thr"):
        trainer.resolve(TrainerConfig(**settings, threads=3), backbone)


def test_a_process_that_has_started_tensorflow_runs_with_its_threads(compiled):
    code = f"""
import sys
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(2)
tf.constant(1)
import loomlm
run = loomlm.run(loomlm.load_config({str(compiled)!r}, set=["trainer.compile=false"]))
print(loomlm.load_config(run.folder / "config.toml").settings.stages[0].trainer.threads)
try:
    loomlm.run(loomlm.load_config({str(compiled)!r}, set=["name=other", "trainer.threads=1"]))
except loomlm.UsageError as error:
    print(error)
"""
    done = process(code)

    threads, refused = done.stdout.splitlines()
    assert threads == "2"
    assert "TensorFlow works with 2 threads in this process, and threads = 1 is wanted" in refused


def test_keras_with_another_backend_is_refused():
    pytest.importorskip("torch")
    code = "import keras, loomlm_tensorflow.framework"

    done = process(code, KERAS_BACKEND="torch")

    assert done.returncode == 1
    assert "Keras was imported with the backend 'torch' before. Set the" in done.stderr


def test_a_run_leaves_what_is_random_elsewhere_as_it_was(config_file):
    tf.random.set_seed(None)

    loomlm.run(config_file(steps="2")).model().predict(["rain"])

    # Fails without a seed where operations have been told to be deterministic.
    assert (tf.random.uniform([9]) != tf.random.uniform([9])).numpy().any()
