"""What the benchmarks beside Keras share: processes that measure, one that trains ours, ratios.

    python docs/benchmarks/timing.py CONFIG WARMUP SETTING ...

trains a config and prints JSON: `whole`, from the making of the model to the last update, reading
of data left out, tracing and compiling not; `steady`, what is behind the warm-up; each as seconds,
seconds of work of the processor, and updates; `before`, the seconds until the model is made; the
evaluation; the most memory that the process had.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from speed import interval

BEGUN = time.perf_counter()
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}

Mark = tuple[float, float, int]
"""Seconds, seconds of work, updates that have ended."""


def mark(step: int) -> Mark:
    return time.perf_counter(), time.process_time(), step


def measured(made: Mark, warm: Mark, ended: Mark, evaluation: dict[str, Any]) -> dict[str, Any]:
    """What a process that measures prints."""
    spans = {
        what: [end - start for start, end in zip(first, ended, strict=True)]
        for what, first in (("whole", made), ("steady", warm))
    }
    return {**spans, "evaluation": evaluation, "megabytes": _megabytes()}


def _megabytes() -> float:
    """The most memory that this process has had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def threads(count: int) -> None:
    """Keras computes with these threads; one more gets batches ready, as ours has one for that.

    To be called before TensorFlow does anything else.
    """
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(2)


def trained(config: Path, warmup: int, settings: list[str]) -> dict[str, Any]:
    """Train with Loomlm."""
    import loomlm
    from loomlm.plugin import StepsEnded, hookimpl
    from loomlm.training import run as running

    class Clock:
        made: Mark
        warm: Mark | None = None
        last: Mark

        @hookimpl
        def loomlm_steps_ended(self, event: StepsEnded) -> None:
            self.last = mark(event.scalars[-1].step)
            if self.last[2] <= warmup or self.warm is None:
                self.warm = self.last

    clock, make = Clock(), running.make_stage

    def timed(*arguments: Any) -> Any:
        # No event says that the data is ready, and Keras' model is made in the time measured, too.
        clock.made = mark(0)
        return make(*arguments)

    with tempfile.TemporaryDirectory() as runs, patch.object(running, "make_stage", timed):
        os.environ["LOOMLM_CACHE"] = f"{runs}/cache"
        run = loomlm.run(loomlm.load_config(config, set=settings), runs=runs, observers=[clock])
    assert clock.warm is not None
    (evaluation,) = run.evaluation.values()
    found = measured(clock.made, clock.warm, clock.last, evaluation)
    return {**found, "before": clock.made[0] - BEGUN}


# --- what the processes found ------------------------------------------------------------------


def child(*words: object, python: str = sys.executable, **variables: str) -> dict[str, Any]:
    """What a process printed last, as JSON; `process` is its whole time.

    python: the interpreter. variables: of the environment; OMP_NUM_THREADS is 1 by default.
    """
    started = time.perf_counter()
    command = [python, *map(str, words)]
    environment = {**os.environ, **ONE_THREAD, **variables}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    return {**found, "process": time.perf_counter() - started}


def shown(who: str, found: dict[str, Any], size: int, unit: str, score: str) -> str:
    """A line of what one process found. size: how many units an update has."""
    whole, steady = (
        f"{found[what][2] * size / found[what][0]:,.0f}" for what in ("whole", "steady")
    )
    return (
        f"{who} {whole} {unit}/s ({steady} steady), {score}{found['whole'][1]:.1f} s of work, "
        f"{found['megabytes']:,.0f} MB, {found['process']:.1f} s in all"
    )


def compare(who: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """Print the ratios of pairs, ours by theirs: above 1, ours is faster."""
    for what in ("whole", "steady"):
        for column, clock in enumerate(("time", "work")):
            ratios = [
                (mine[what][2] / mine[what][column]) / (peer[what][2] / peer[what][column])
                for mine, peer in zip(ours, theirs, strict=True)
            ]
            low, high, confidence = interval(ratios)
            middle = f"{median(ratios):.3f} ({low:.3f} to {high:.3f}, {confidence:.0%})"
            print(f"{who}, {what}, by {clock}: {middle}", flush=True)


if __name__ == "__main__":
    print(json.dumps(trained(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
