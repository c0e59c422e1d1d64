"""Memory that is freed is kept: large arrays are not mapped, and cleared, anew in each step."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

import loomlm
from loomlm_torch.heap import OWN

PROGRAM = """
import resource
import sys
from loomlm_torch.heap import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

size, largest = map(int, sys.argv[1:])
kept = keep_freed_memory(largest)
b"x" * size
before = faults()
for _ in range(5):
    b"x" * size
print(kept, faults() - before)
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this is about glibc")


def said(size: int, largest: int, **env: str) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if name not in OWN}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(size), str(largest)],
        env={**clean, **env},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("size", "largest", "again"),
    [
        (120_000_000, 120_000_000, False),
        (30_000_000, 1_000_000, False),
        # Nothing of the model is that large: such an array comes seldom, and goes.
        (120_000_000, 1_000_000, True),
    ],
)
def test_arrays_take_the_memory_of_those_before(size, largest, again):
    kept, faults = said(size, largest)

    assert kept == "True"
    pages = 5 * size // 4096
    assert (int(faults) > pages / 2) if again else (int(faults) < pages / 100)


def test_who_has_chosen_for_the_process_is_left_alone():
    kept, _ = said(1000, 1000, MALLOC_TRIM_THRESHOLD_="131072")

    assert kept == "False"


@pytest.mark.one_backend("torch")
def test_training_and_prediction_keep_it(config_file, backend, monkeypatch):
    kept: list[int] = []
    monkeypatch.setattr("loomlm_torch.trainer.keep_freed_memory", kept.append)

    run = loomlm.run(loomlm.load_config(config_file(steps="2")))
    trained = len(kept)
    loomlm.load_model(run.folder).predict(["the rain"])

    assert 0 < trained < len(kept)
