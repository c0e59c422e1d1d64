"""Memory that is freed is kept: large arrays are not mapped, and cleared, anew each time."""

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
import numpy as np
from loomlm_torch.heap import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

kept = keep_freed_memory()
np.ones(30_000_000, np.float32)
before = faults()
for _ in range(5):
    np.ones(30_000_000, np.float32)
print(kept, faults() - before)
"""
PAGES = 5 * 120_000_000 // 4096

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this is about glibc")


def said(**env: str) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if name not in OWN}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**clean, **env},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout.split()


def test_large_arrays_take_the_memory_of_those_before():
    kept, faults = said()

    assert kept == "True"
    assert int(faults) < PAGES / 100


def test_who_has_chosen_for_the_process_is_left_alone():
    kept, _ = said(MALLOC_TRIM_THRESHOLD_="131072")

    assert kept == "False"


@pytest.mark.one_backend("torch")
def test_training_and_prediction_keep_it(config_file, backend, monkeypatch):
    kept = []
    monkeypatch.setattr("loomlm_torch.trainer.keep_freed_memory", lambda: kept.append(True))

    run = loomlm.run(loomlm.load_config(config_file(steps="2")))
    trained = len(kept)
    loomlm.load_model(run.folder).predict(["the rain"])

    assert 0 < trained < len(kept)
