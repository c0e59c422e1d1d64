"""How long a thread that has nothing to do looks for work, before it lets others have its core."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ASK = "import os, loomlm_torch; print(os.environ.get('GOMP_SPINCOUNT'))"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "20000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
    ],
)
def test_threads_look_for_work_shortly_unless_the_user_has_said_how_long(given, found):
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    rest = {key: value for key, value in os.environ.items() if key not in names}
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env=rest | given, capture_output=True, text=True, check=True
    )
    assert asked.stdout.strip() == found
