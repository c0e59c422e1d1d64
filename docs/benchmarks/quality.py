"""Runs a recipe with several seeds: what it scores, how long it takes, and how much memory.

    python docs/benchmarks/quality.py RECIPE.toml FOLDER STAGE.SPLIT.SCORE ...
        [--seeds 1 2 3] [--backend NAME ...] [--set KEY=VALUE ...]

FOLDER holds the files that the recipe names. Each run is a process of its own with nothing cached;
its time is that of the whole command, its memory the most that the process had. A row of a table is
printed for each backend: the mean of each score and, of several seeds, its standard deviation.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, stdev


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("scores", nargs="+", help="of the evaluation: finetune.test.accuracy")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--backend", nargs="+", default=["torch"])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    print(f"| backend | {' | '.join(given.scores)} | seconds | memory, GB |")
    for backend in given.backend:
        sets = [f"backend={backend}", *given.set]
        runs = [run(given.recipe, given.folder, [*sets, f"seed={seed}"]) for seed in given.seeds]
        columns = [[picked(found, score) for found, _, _ in runs] for score in given.scores]
        seconds, memory = (mean(each) for each in zip(*(rest for _, *rest in runs), strict=True))
        shown = " | ".join(map(spread, columns))
        print(f"| {backend} | {shown} | {seconds:,.0f} | {memory:.2f} |", flush=True)


def run(recipe: Path, folder: Path, sets: list[str]) -> tuple[dict, float, float]:
    """The evaluation of a run, its seconds, and gigabytes."""
    with tempfile.TemporaryDirectory() as place:
        there = Path(place)
        for file in folder.iterdir():
            (there / file.name).symlink_to(file.resolve())
        config, log = there / "recipe.toml", there / "log"
        shutil.copy(recipe, config)
        command = [sys.executable, "-m", "loomlm", "run", "recipe.toml", "--runs", "runs"]
        command += [word for one in sets for word in ("--set", one)]
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=there,
            env={**os.environ, "LOOMLM_CACHE": str(there / "cache")},
            stdout=subprocess.DEVNULL,
            stderr=log.open("w"),
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if status:
            sys.exit(f"{recipe} failed:\n{log.read_text()}")
        evaluation = next((there / "runs").glob("*/evaluation.json"))
        return json.loads(evaluation.read_text()), seconds, usage.ru_maxrss / 2**20


def picked(evaluation: dict, score: str) -> float:
    """A number of an evaluation, by its path."""
    stage, split, name = score.split(".")
    return evaluation[stage][split][name]


def spread(values: list[float]) -> str:
    """The mean, and the standard deviation of several."""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{mean(values):.4f} ± {stdev(values):.4f}"


if __name__ == "__main__":
    main()
