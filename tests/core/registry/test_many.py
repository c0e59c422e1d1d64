"""Hundreds of installed plugins: help imports none of them, and the list has them all.

What they cost is measured by `docs/benchmarks/many_plugins.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..written import metric

COUNT = 200


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Distributions that each leave a file when they are imported, with a command each."""
    site = tmp_path / "many"
    (site / "imported").mkdir(parents=True)
    for number in range(COUNT):
        leaves = f"open({str(site / 'imported' / str(number))!r}, 'w').close()\n"
        (site / f"many_{number}.py").write_text(leaves + metric(f"many_{number}"))
        info = site / f"many_{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: many-{number}\nVersion: 1.0\n\nA README.\n"
        )
        (info / "entry_points.txt").write_text(
            f"[loomlm]\nmany = many_{number}\n[loomlm.commands]\nmany-{number} = many_{number}:x\n"
        )
    return site


def command(site: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    call = [sys.executable, "-m", "loomlm", *words]
    return subprocess.run(call, env=environment, capture_output=True, text=True, check=True).stdout


def test_help_names_their_commands_and_imports_none(site):
    helped = command(site, "--help")

    assert f"many-{COUNT - 1}" in helped
    assert list((site / "imported").iterdir()) == []


def test_the_list_has_them_all(site):
    listed = command(site, "plugins")

    assert listed.count("  loaded\n    metric   many_") == COUNT
    assert len(list((site / "imported").iterdir())) == COUNT
