"""What 200 installed plugins add to start-up: `loomlm --help`, and `loomlm plugins`.

    python docs/benchmarks/many_plugins.py

Each is a distribution with a README in its metadata, a config class of three keys, a component and
a command. With and without them in alternating pairs; what they add is the median difference.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

COUNT = 200
PAIRS = 11

PLUGIN = '''
from typing import Literal

from attrs import frozen

from loomlm.plugin import Component, hookimpl, key

loomlm_api = (1, 1)


@frozen
class Config:
    """Of a benchmark."""

    width: int = key("how wide", 64, minimum=1)
    rate: float = key("how fast", 0.1, above=0, maximum=1)
    form: Literal["round", "square"] = key("of what form", "round")


@hookimpl
def loomlm_metrics():
    return [
        Component(
            kind="metric",
            name="metric_{number}",
            summary="the metric number {number}",
            target="many_{number}.metric:Metric",
            config=Config,
        )
    ]
'''


def install(site: Path) -> None:
    """Make the distributions, as pip leaves them."""
    for number in range(COUNT):
        module = site / f"many_{number}"
        module.mkdir()
        (module / "__init__.py").write_text(PLUGIN.replace("{number}", str(number)))
        info = site / f"loomlm_many_{number}-1.0.dist-info"
        info.mkdir()
        description = "A line of a README, as long as such lines are.\n" * 60
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: loomlm-many-{number}\nVersion: 1.0\n"
            f"Requires-Dist: loomlm\n\n{description}"
        )
        (info / "entry_points.txt").write_text(
            f"[loomlm]\nmany = many_{number}\n\n"
            f"[loomlm.commands]\nmany-{number} = many_{number}.command:command\n"
        )


def seconds(words: list[str], site: Path | None) -> float:
    """Wall seconds of one command."""
    environment = {**os.environ, "PYTHONPATH": str(site or "")}
    started = time.perf_counter()
    command = [sys.executable, "-m", "loomlm", *words]
    subprocess.run(command, env=environment, capture_output=True, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        install(site)
        for words in (["--help"], ["plugins"]):
            seconds(words, site)  # The first import of a plugin writes its bytecode.
            pairs = [(seconds(words, None), seconds(words, site)) for _ in range(PAIRS)]
            without, with_ = (median(column) for column in zip(*pairs, strict=True))
            added = sorted(after - before for before, after in pairs)
            print(
                f"loomlm {words[0]}: {without:.3f} s, {with_:.3f} s with {COUNT} plugins; they add "
                f"{median(added):.3f} s ({added[0]:.3f} to {added[-1]:.3f})"
            )
