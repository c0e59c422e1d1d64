"""Start-up of the commands that people type most: user time and wall time, medians of eleven.

    python docs/benchmarks/startup.py [PEER ...]

A peer is another program whose `--help` is timed in turn, e.g. `llm`, `kedro`, `spacy`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median

TURNS = 11


def timed(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of one process."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    wall, after = time.perf_counter() - start, os.times()
    spent = after.children_user + after.children_system
    return wall, spent - before.children_user - before.children_system


if __name__ == "__main__":
    loomlm = [sys.executable, "-m", "loomlm"]
    commands = {
        "loomlm --help": [*loomlm, "--help"],
        "loomlm plugins": [*loomlm, "plugins"],
        **{f"{peer} --help": [peer, "--help"] for peer in sys.argv[1:]},
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(TURNS):
        for name, command in commands.items():
            taken[name].append(timed(command))
    for name, times in taken.items():
        wall, spent = (median(column) for column in zip(*times, strict=True))
        print(f"{name}: {wall:.2f} s, of that {spent:.2f} s of work")
