"""PyTorch's word_language_model for a given time: what the recipe of WikiText-2 stands beside.

    python docs/benchmarks/word_language_model.py EXAMPLE FOLDER [--minutes 60] [MORE ...]

EXAMPLE is the folder `word_language_model` of github.com/pytorch/examples, FOLDER has
`wiki.train.tokens`, `wiki.valid.tokens` and `wiki.test.tokens`, as they are or with `.gz`. MORE
goes to its main.py: `--tied`, say. The epoch in which the time ends is trained to its end, to the
peer's favour: what it then tests is its best epoch by the validation split.
"""

from __future__ import annotations

import argparse
import gzip
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PARTS = ("train", "valid", "test")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("example", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    given, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as place:
        there = Path(place)
        for part in PARTS:
            (there / f"{part}.txt").write_bytes(content(given.folder / f"wiki.{part}.tokens"))
        words = ["--data", place, "--save", str(there / "model.pt"), "--epochs", "1000"]
        train(given.example / "main.py", [*words, *more], given.minutes * 60)


def content(path: Path) -> bytes:
    packed = path.with_name(f"{path.name}.gz")
    return gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()


def train(program: Path, words: list[str], seconds: float) -> None:
    """Prints what each epoch and the test come to, and when."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-u", str(program.resolve()), *words],
        cwd=program.parent,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout is not None
    late = False
    for line in process.stdout:
        taken = time.perf_counter() - start
        if "end of" in line.lower():
            print(f"{taken:,.0f} s  {line.strip()}", flush=True)
            late = late or taken > seconds
        elif late and "batches" in line:  # Of the next epoch: the last one's model is saved.
            process.send_signal(signal.SIGINT)
            late = False
    if process.wait():
        sys.exit(f"{program} failed")


if __name__ == "__main__":
    main()
