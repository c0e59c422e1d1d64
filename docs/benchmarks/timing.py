"""What the benchmarks beside Keras share: a child process that measures, and one that trains ours.

    python docs/benchmarks/timing.py CONFIG WARMUP SETTING ...

trains a config with one thread and prints JSON: `seconds` from the making of the model to the last
update, reading of data left out, compiling not; `steady`, seconds and updates behind the warm-up;
the evaluation; the most memory that the process had.
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
from typing import Any
from unittest.mock import patch

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def child(*words: object) -> dict[str, Any]:
    """What a process printed last, as JSON; `process` is its whole time."""
    started = time.perf_counter()
    command = [sys.executable, *map(str, words)]
    environment = {**os.environ, **ONE_THREAD}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    return {**found, "process": time.perf_counter() - started}


def megabytes() -> float:
    """The most memory that this process has had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def one_thread() -> None:
    """Keras computes with one thread; a second one gets batches ready, as ours has one for that.

    To be called before TensorFlow does anything else.
    """
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(2)


def trained(config: Path, warmup: int, settings: list[str]) -> dict[str, Any]:
    """Train with Loomlm."""
    import loomlm
    from loomlm.plugin import StepsEnded, hookimpl
    from loomlm.training import run as running

    class Clock:
        made = warm = last = 0.0
        first = step = 0

        @hookimpl
        def loomlm_steps_ended(self, event: StepsEnded) -> None:
            self.last, self.step = time.perf_counter(), event.scalars[-1].step
            if self.step <= warmup or not self.first:
                self.warm, self.first = self.last, self.step

    clock, make = Clock(), running.make_stage

    def timed(*arguments: Any) -> Any:
        # No event says that the data is ready, and Keras' model is made in the time measured, too.
        clock.made = time.perf_counter()
        return make(*arguments)

    with tempfile.TemporaryDirectory() as runs, patch.object(running, "make_stage", timed):
        os.environ["LOOMLM_CACHE"] = f"{runs}/cache"
        run = loomlm.run(loomlm.load_config(config, set=settings), runs=runs, observers=[clock])
    (evaluation,) = run.evaluation.values()
    return {
        "seconds": clock.last - clock.made,
        "steps": clock.step,
        "steady": [clock.last - clock.warm, clock.step - clock.first],
        "evaluation": evaluation,
        "megabytes": megabytes(),
    }


if __name__ == "__main__":
    print(json.dumps(trained(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
