"""`kill -9` at a random moment, then resume: does the run come to what it would have come to?

    python docs/benchmarks/reliability/kills.py [--kills 20] [--seed 0] [--peers PYTHON] WHO ...

WHO: ours-torch, ours-tensorflow, hugging_face, lightning, keras; a peer also with `+draws`, for
data that draws random numbers. PYTHON: the interpreter of an environment that has transformers,
accelerate and lightning. Whoever is to be killed trains once unbroken, then once for each kill: the
moment is uniform over the time between the first update and the end, every third one is aimed at a
save: at the first moment that something in the folder of its checkpoints changes after a random
one. Then the command that resumes is given once. What comes of it:

- same: the same weights, bit by bit, as the unbroken run's
- other: it ended, with other weights
- broken: it did not end, somebody has to look into the folder
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

HERE = Path(__file__).parent
QUIET = {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
AIMED = 3
"""One kill of so many is aimed at a save."""


@frozen
class Trainee:
    """command: trains or resumes in a folder. losses: grows with each update. saves: where
    checkpoints go. weights: what an ended run came to.
    """

    command: Callable[[Path], list[str]]
    losses: str
    saves: str
    weights: Callable[[Path], str]


def ours(backend: str) -> Trainee:
    loomlm = str(Path(sys.executable).with_name("loomlm"))
    words = [loomlm, "run", "ours.toml", "--backend", backend, "--resume"]
    weights = "runs/ours/model/model.safetensors"
    return Trainee(
        lambda folder: words,
        "runs/ours/pretrain/metrics.jsonl",
        "runs/ours/pretrain/checkpoints",
        lambda folder: hashlib.sha256((folder / weights).read_bytes()).hexdigest(),
    )


def peer(name: str, python: str, *options: str) -> Trainee:
    words = [python, str(HERE / "trainees.py"), name]
    return Trainee(
        lambda folder: [*words, str(folder), *options],
        "losses.jsonl",
        "out",
        lambda folder: (folder / "weights").read_text(),
    )


def trainee(who: str, python: str) -> Trainee:
    name, _, draws = who.partition("+")
    if name.startswith("ours-"):
        return ours(name.removeprefix("ours-"))
    return peer(name, python, *(["--draws"] if draws else []))


def prepare(folder: Path) -> None:
    """What `ours.toml` reads: Python's own help topics."""
    from pydoc_data.topics import topics

    folder.mkdir()
    text = "\n".join(topics[name] for name in sorted(topics))
    (folder / "corpus.txt").write_text(text, encoding="utf-8")
    shutil.copy(HERE / "ours.toml", folder)


def started(one: Trainee, folder: Path) -> subprocess.Popen[bytes]:
    env = {**os.environ, **QUIET, "LOOMLM_CACHE": str(folder.parent / "cache")}
    env.pop("LOOMLM_RUNS", None)
    log = (folder / "log").open("ab")
    return subprocess.Popen(one.command(folder), cwd=folder, env=env, stdout=log, stderr=log)


def unbroken(one: Trainee, folder: Path) -> tuple[str, float]:
    """What the weights come to, and the seconds from the first update to the end."""
    prepare(folder)
    process = started(one, folder)
    _until(process, (folder / one.losses).exists)
    begun = time.monotonic()
    assert process.wait() == 0, (folder / "log").read_text()[-2000:]
    return one.weights(folder), time.monotonic() - begun


def killed(one: Trainee, folder: Path, span: float, aimed: bool, chance: random.Random) -> str:
    """Kill it once, resume it once: "same" needs the weights, see `main`."""
    prepare(folder)
    process = started(one, folder)
    _until(process, (folder / one.losses).exists)
    end = time.monotonic() + chance.uniform(0, span)
    _until(process, lambda: time.monotonic() > end)
    if aimed:
        before = _listed(folder / one.saves)
        _until(process, lambda: _listed(folder / one.saves) != before)
    process.send_signal(signal.SIGKILL)
    if process.wait() == 0:
        return "ended before"
    again = started(one, folder)
    if again.wait() != 0:
        return "broken"
    return one.weights(folder)


def _listed(folder: Path) -> list[tuple[str, int]]:
    """What stands in a folder, with sizes."""
    found = []
    for path in folder.rglob("*") if folder.is_dir() else ():
        try:
            found.append((str(path), path.stat().st_size))
        except OSError:
            continue
    return sorted(found)


def _until(process: subprocess.Popen[bytes], true: Callable[[], bool]) -> None:
    while process.poll() is None and not true():
        time.sleep(0.001)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("who", nargs="+")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", default=sys.executable)
    given = parser.parse_args()
    for who in given.who:
        one, chance = trainee(who, given.peers), random.Random(given.seed)
        with tempfile.TemporaryDirectory() as place:
            weights, span = unbroken(one, Path(place) / "unbroken")
            again, _ = unbroken(one, Path(place) / "again")
            came: Counter[str] = Counter()
            number = 0
            while sum(came.values()) < given.kills:
                number += 1
                folder = Path(place) / f"kill{number}"
                end = killed(one, folder, span, number % AIMED == 0, chance)
                if end == "ended before":
                    continue
                came["broken" if end == "broken" else "same" if end == weights else "other"] += 1
        said = {"who": who, "seconds": round(span, 1), "repeats": weights == again, **came}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
