"""Tokens a second of `shakespeare.toml` beside a bare loop of the same model, and its loss.

    python docs/benchmarks/shakespeare.py input.txt.gz [PAIRS]

The ratio is that of the updates alone, ours by the bare loop's, in alternating pairs of processes
with one thread each; ours writes its metrics as always. Then both train to the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from speed import interval

HERE = Path(__file__).parent
STEPS, WARMUP, TOTAL = 400, 100, 2000


def child(*words: object) -> dict[str, float]:
    """What a process with one thread printed last, as JSON."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def ours(text: str, steps: int, warmup: int) -> None:
    """Train with Loomlm, and print what `bare_gpt.py` prints."""
    import loomlm
    from loomlm.plugin import StepsEnded, hookimpl

    class Clock:
        started, last = 0.0, 0.0
        first = 0

        @hookimpl
        def loomlm_steps_ended(self, event: StepsEnded) -> None:
            self.last = time.perf_counter()
            if event.scalars[-1].step <= warmup or not self.first:
                self.started, self.first = self.last, event.scalars[-1].step

    clock = Clock()
    settings = [f"stages.pretrain.data.train={Path(text).resolve()}"]
    settings.append(f"stages.pretrain.trainer.steps={steps}")
    if steps < TOTAL:
        # The schedule's length is of no matter here; the held-out tenth is not scored.
        settings.append("stages.pretrain.data.split.validation=0.0001")
    with tempfile.TemporaryDirectory() as runs:
        config = loomlm.load_config(HERE / "shakespeare.toml", set=settings)
        run = loomlm.run(config, runs=runs, observers=[clock])
    speed = (steps - clock.first) * 12 * 64 / (clock.last - clock.started)
    found = run.evaluation["pretrain"]["validation"]["loss"] if steps == TOTAL else None
    print(json.dumps({"tokens_per_second": speed, "validation_loss": found}))


def main(text: str, pairs: int) -> None:
    scripts = {"loomlm": (Path(__file__), "ours"), "bare": (HERE / "bare_gpt.py",)}
    ratios = []
    for index in range(pairs):
        taken = {
            who: child(*scripts[who], text, STEPS, WARMUP)["tokens_per_second"]
            for who in list(scripts)[:: 1 if index % 2 == 0 else -1]
        }
        ratios.append(taken["loomlm"] / taken["bare"])
        print("  ".join(f"{who} {speed:,.0f} tokens/s" for who, speed in taken.items()), flush=True)
    low, high, confidence = interval(ratios)
    print(f"ratio {median(ratios):.3f} ({low:.3f} to {high:.3f}, {confidence:.0%})", flush=True)
    for who, script in scripts.items():
        print(f"{who}: loss {child(*script, text, TOTAL, WARMUP)['validation_loss']:.4f}")


if __name__ == "__main__":
    if sys.argv[1] == "ours":
        ours(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)
