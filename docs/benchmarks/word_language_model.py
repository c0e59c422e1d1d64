"""PyTorch's word_language_model for a given time: what the recipe of WikiText-2 stands beside.

    python docs/benchmarks/word_language_model.py EXAMPLE FOLDER [--minutes 60] [MORE ...]

EXAMPLE is the folder `word_language_model` of github.com/pytorch/examples, FOLDER has
`wiki.train.tokens`, `wiki.valid.tokens` and `wiki.test.tokens`, as they are or with `.gz`. MORE
goes to its main.py: `--tied`, say. The minutes are those of the processor's work, on one thread, so
that other work on the machine costs it nothing. The epoch in which they end is trained to its end,
to the peer's favour: what it then tests is its best epoch by the validation split.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import os
import runpy
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
        train(given.example.resolve(), [*words, *more], given.minutes * 60)


def content(path: Path) -> bytes:
    packed = path.with_name(f"{path.name}.gz")
    return gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()


def train(example: Path, words: list[str], seconds: float) -> None:
    """Prints what each epoch and the test come to, and when."""
    import torch

    torch.set_num_threads(1)
    os.chdir(example)
    sys.path.insert(0, str(example))
    sys.argv = ["main.py", *words]
    with contextlib.redirect_stdout(Said(seconds)):
        runpy.run_path("main.py", run_name="__main__")


class Said(io.TextIOBase):
    """Passes on the lines on ends of epochs, with the time, and stops the example when it is over.

    Its loop takes an interrupt for the wish to go on to the test; it is raised in the next epoch,
    since only then is the model of the last one saved.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.late, self.line = seconds, False, ""

    def write(self, text: str) -> int:
        self.line += text
        if self.line.endswith("\n"):
            line, self.line = self.line.strip(), ""
            self.hear(line)
        return len(text)

    def hear(self, line: str) -> None:
        taken = time.process_time()
        if "end of" in line.lower():
            print(f"{taken:,.0f} s  {line}", file=sys.__stdout__, flush=True)
            self.late = self.late or taken > self.seconds
        elif self.late and "batches" in line:
            self.late, self.seconds = False, float("inf")
            raise KeyboardInterrupt


if __name__ == "__main__":
    main()
