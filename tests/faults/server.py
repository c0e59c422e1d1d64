"""Imports a framework once and forks a process for each run, before any operation has run.

Started by harness.py: `python server.py torch`. Each line of its input is a job as JSON; the job's
folder gets `pid` once it runs and `code` once it has ended, in the words of `subprocess`: a signal
is a negative number.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

MODULES = {
    "torch": ("torch", "loomlm_torch.trainer", "loomlm_torch.engine"),
    "tensorflow": ("loomlm_tensorflow.framework", "loomlm_tensorflow.trainer"),
    "none": (),
}
OURS = ("loomlm.cli.run", "loomlm.training.run", "tokenizers", "safetensors.numpy")


def serve(backend: str) -> dict[str, Any] | None:
    """Fork for each job. Comes back in the forked process, with its job, and at the end."""
    for name in (*MODULES[backend], *OURS):
        import_module(name)
    gc.freeze()  # What is shared with the forked processes stays shared.
    print("ready", flush=True)
    while line := sys.stdin.readline():
        job = json.loads(line)
        watcher = os.fork()
        if watcher == 0:
            return _watched(job)
        os.waitpid(watcher, 0)
    return None


def _watched(job: dict[str, Any]) -> dict[str, Any]:
    """Fork twice: whoever waits for the run is a process of its own, and nobody's child."""
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    worker = os.fork()
    folder = Path(job["folder"])
    if worker == 0:
        return job
    _say(folder / "pid", worker)
    _, status = os.waitpid(worker, 0)
    _say(folder / "code", os.waitstatus_to_exitcode(status))
    os._exit(0)


def _say(path: Path, number: int) -> None:
    path.with_suffix(".new").write_text(str(number))
    path.with_suffix(".new").rename(path)


def _run(job: dict[str, Any]) -> None:
    folder = Path(job["folder"])
    for target, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, folder / "out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, folder / "err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(name, flags, 0o644), target)
    # The tests may run in the background, where these are ignored.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.enable()  # One that hangs is aborted: harness.py.
    os.chdir(job["cwd"])
    os.environ.update(job["env"])
    if job["before"]:
        exec(compile(job["before"], "before", "exec"), {"__name__": "before"})
    from loomlm.cli import main

    sys.argv[1:] = job["words"]
    main()


if __name__ == "__main__":
    given = serve(sys.argv[1])
    if given is not None:
        _run(given)
