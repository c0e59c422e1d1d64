"""Small models on one GPU: an update kernel by kernel, and captured as CUDA graphs.

    python docs/benchmarks/gpu_small.py TEXT [--updates 600]

TEXT is a file of plain text, such as tinyshakespeare: language models read its characters, and
classifiers its lines, labelled in turn. Prints milliseconds of an update of 32 rows over the second
half of a run, the seconds of the whole run, and the most memory of the GPU.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

import loomlm
from loomlm.plugin import StepsEnded, hookimpl
from loomlm_torch.graphs import Graphs

WIDE = {"type": "transformer", "layers": 6, "width": 384, "heads": 6}
NARROW = {"type": "transformer", "layers": 4, "width": 128, "heads": 4}
LSTM = {"type": "rnn", "layers": 2, "width": 512}

CASES: dict[str, tuple[dict[str, Any], str, bool]] = {
    "transformer of 6 x 384, rows of 256": (WIDE, "causal_lm", False),
    "the same, compiled": (WIDE, "causal_lm", True),
    "lstm of 2 x 512, rows of 256": (LSTM, "causal_lm", False),
    "transformer of 4 x 128, labels": (NARROW, "classification", False),
    "lstm of 2 x 512 both ways, labels": ({**LSTM, "bidirectional": True}, "classification", False),
}
"""Backbone, task, and whether it is compiled."""


def data(task: str, text: Path, folder: Path) -> dict[str, Any]:
    if task == "causal_lm":
        return {"train": str(text)}
    path = folder / "lines.csv"
    lines = [line for line in text.read_text("utf-8").splitlines() if len(line) > 5]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("text", "label"))
        rows.writerows((line, "ab"[index % 2]) for index, line in enumerate(lines))
    return {"train": str(path), "label": "label"}


def measure(what: str, captured: bool, text: Path, updates: int) -> str:
    """A cell of the table."""
    backbone, task, compiled = CASES[what]
    seen: list[tuple[int, float]] = []

    class Clock:
        @hookimpl
        def loomlm_steps_ended(self, event: StepsEnded) -> None:
            seen.append((event.scalars[-1].step, time.perf_counter()))

    length = "context" if task == "causal_lm" else "max_tokens"
    torch._dynamo.reset()
    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as place, patch.object(Graphs, "_has_room", room(captured)):
        os.environ["LOOMLM_CACHE"] = f"{place}/cache"
        config = {
            "name": "small",
            "backend": "torch",
            "tokenizer": {"type": "character" if task == "causal_lm" else "word"},
            "backbone": backbone,
            "trainer": {
                "steps": updates,
                "batch_size": 32,
                "compile": compiled and gpu,
                "precision": "bf16",
                "evaluate_every": "never",
                "checkpoint_every": "never",
            },
            "stages": [
                {
                    "name": "only",
                    "task": {"type": task, length: 256},
                    "data": data(task, text, Path(place)),
                }
            ],
        }
        loomlm.run(config, runs=Path(place, "runs"), observers=[Clock()])
    whole = time.perf_counter() - started
    half = next(one for one in seen if one[0] >= updates // 2)
    (first, begun), (last, ended) = half, seen[-1]
    memory = torch.cuda.max_memory_allocated() >> 20 if gpu else 0
    each = (ended - begun) / max(1, last - first)
    return f"{each * 1000:.2f} ms ({whole:.1f} s, {memory:,} MiB)"


def room(captured: bool) -> Any:
    """What says whether there is room for a graph."""
    return Graphs._has_room if captured else lambda self: False


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("text", type=Path)
    parser.add_argument("--updates", type=int, default=600)
    given = parser.parse_args()
    print("| | plain | captured |\n|---|---|---|")
    for what in CASES:
        cells = [measure(what, captured, given.text, given.updates) for captured in (False, True)]
        print(f"| {what} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
