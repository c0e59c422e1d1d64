"""Start-up of the commands that people type most, and the first update of a run.

    python docs/benchmarks/startup.py [PEER ...]

Wall time, and that of the processor, medians of eleven turns. A peer is another program whose
`--help` is timed in turn, e.g. `llm`, `kedro`, `spacy`. The first update is that of `loomlm run`
with the smaller GPT-2 of `sizes.py` and nothing cached, from the start of the process to its end;
`bare` is a script that imports PyTorch, makes the same model, and draws its data at random.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from classification import keep_bytecode
from sizes import text
from speed import interval

HERE = Path(__file__).parent
TURNS = 11
SETTINGS = [
    "backend=torch",
    "trainer.precision=fp32",
    "backbone.max_positions=64",
    "backbone.layers=4",
    "backbone.heads=4",
    "backbone.width=128",
    "stages.pretrain.task.context=64",
    "stages.pretrain.trainer.batch_size=12",
    "stages.pretrain.trainer.steps=9",
]

OURS = """
import os, sys, time
from loomlm.cli import main
from loomlm_torch.engine import TorchEngine

step = TorchEngine.train_step

def first(self, *given):
    step(self, *given)
    print(time.time(), flush=True)
    os._exit(0)

TorchEngine.train_step = first
main()
"""

BARE = """
import time
import torch
from gpu_gpt import Bare, Gpt
from sizes import SIZES, numbers

size = SIZES["small"]
Bare(size, Gpt(size), numbers(size), "cpu", False).run(1)
print(time.time())
"""


def timed(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of one process."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    wall, after = time.perf_counter() - start, os.times()
    spent = after.children_user + after.children_system
    return wall, spent - before.children_user - before.children_system


def until_first_update(program: str, words: list[str], folder: Path) -> float:
    """Seconds until a program says that its first update has ended."""
    environment = {**os.environ, "PYTHONPATH": str(HERE), "LOOMLM_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", program, *words]
    start = time.time()
    done = subprocess.run(
        command, capture_output=True, check=True, cwd=folder, env=environment, encoding="utf-8"
    )
    return float(done.stdout.splitlines()[-1]) - start


def first_update(who: str) -> float:
    """Seconds of one turn: loomlm's, or the bare script's."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if who == "bare":
            return until_first_update(BARE, [], folder)
        words = ["run", str(HERE / "gpt2.toml"), "--runs", str(folder / "runs")]
        words += [word for one in settings(text(folder)) for word in ("--set", one)]
        return until_first_update(OURS, words, folder)


def settings(corpus: Path) -> list[str]:
    return [*SETTINGS, f"stages.pretrain.data.train={corpus}"]


def main(peers: list[str]) -> None:
    loomlm = [sys.executable, "-m", "loomlm"]
    with tempfile.TemporaryDirectory() as place:
        check = [*loomlm, "config", "check", str(HERE / "gpt2.toml")]
        check += [word for one in settings(text(Path(place))) for word in ("--set", one)]
        commands = {
            "loomlm --help": [*loomlm, "--help"],
            "loomlm plugins": [*loomlm, "plugins"],
            "loomlm config check": check,
            **{f"{peer} --help": [peer, "--help"] for peer in peers},
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(TURNS):
            for name, command in commands.items():
                taken[name].append(timed(command))
    for name, times in taken.items():
        wall, spent = (median(column) for column in zip(*times, strict=True))
        print(f"{name}: {wall:.2f} s, of that {spent:.2f} s of work")
    firsts: dict[str, list[float]] = {"loomlm": [], "bare": []}
    for turn in range(TURNS):
        for who in list(firsts)[:: 1 if turn % 2 == 0 else -1]:
            firsts[who].append(first_update(who))
    ours, bare = firsts.values()
    low, high, _ = interval([one - other for one, other in zip(ours, bare, strict=True)])
    print(f"first update: loomlm run {median(ours):.2f} s, bare {median(bare):.2f} s")
    print(f"loomlm's is later by {low:.2f} to {high:.2f} s")


if __name__ == "__main__":
    keep_bytecode()
    main(sys.argv[1:])
