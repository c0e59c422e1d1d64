"""Runs that are killed: their configs, the moments at which they are, what must come of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from attrs import define, evolve, field, frozen

from .harness import PATIENCE, Job, Server

LEFT_OVER = re.compile(r"\.(.+)\.(\d+|old|gone)-[0-9a-f]{8}")
"""How what is being written, replaced or removed is named: written out here, as a test."""

EXTENSIONS = Path(__file__).parents[1] / "local_plugins" / "extending.py"
INTERVAL = 10
"""Steps between checkpoints."""

GLANCE = 0.0003
"""Seconds between two looks at what is being written."""

HEAD = """\
name = "killed"
backend = "{backend}"
plugins = ["{extensions}"]
tokenizer = {{ type = "word", vocab_size = 200 }}

[trainer]
batch_size = 16
learning_rate = 1e-2
checkpoint_every = {interval}
evaluate_every = 15
keep_best = "loss"
early_stopping = {{ patience = 100 }}
compile = false
threads = 1
device = "cpu"
"""
CLASSIFIES = """
[backbone]
type = "mlp"
width = 16
ngrams = 2
buckets = 500
dropout = 0.2
word_dropout = 0.1

[[stages]]
name = "finetune"
task = "classification"
trainer = { steps = 125 }
extensions = ["drop_tokens"]
data = { train = "train.csv", test = "test.csv", label = "label", split = { validation = 0.2 } }
"""
WRITES = """
[backbone]
type = "transformer"
layers = 1
width = 16
heads = 2
dropout = 0.1

[[stages]]
name = "pretrain"
task = { type = "causal_lm", context = 16 }
trainer = { steps = 65, accumulate = 2 }
extensions = ["drop_tokens"]
data = { train = "corpus.txt", split = { validation = 0.1, by = "position" } }

[[stages]]
name = "finetune"
init_from = "pretrain"
task = "classification"
trainer = { steps = 45 }
extensions = ["drop_tokens"]
data = { train = "train.csv", test = "test.csv", label = "label", split = { validation = 0.2 } }
"""
KINDS = {"classifies": CLASSIFIES, "writes": WRITES}
"""Configs by name: dropout, and tokens dropped by (seed, step), a best score, two stages."""

STAGES = ("pretrain", "finetune")
LOCKS = {".lock", ".owner"}

STARTS = re.compile(r"Training (\w+): [\d,]+ parameters, (?:from step (\d+) of )?[\d,]+ steps")
"""What a run says when a stage begins, or goes on."""


def config_of(kind: str, backend: str) -> str:
    """A config to be killed, as TOML."""
    extensions = EXTENSIONS.as_posix()
    head = HEAD.format(backend=backend, extensions=extensions, interval=INTERVAL)
    return head + KINDS[kind]


@frozen
class Aim:
    """What is going on at the moment of a kill: something is being written, or a run removed.

    count: at which sight of something new. delay: seconds after the sight.
    """

    what: str
    count: int
    delay: float


@frozen
class Moment:
    """A kill after a share of the time that the unbroken run took."""

    share: float


@frozen
class Struck:
    """A kill that hit a run: whether it left something half written."""

    at: Aim | Moment
    half_written: bool


@define
class Life:
    """A run that is started, killed and started again until it ends.

    config: the file, in the working folder. runs, cache: its own.
    """

    server: Server
    config: Path
    runs: Path
    cache: Path
    jobs: list[Job] = field(factory=list)

    @property
    def folder(self) -> Path:
        return self.runs / "killed"

    def start(self, overwrite: bool = False) -> Job:
        """Start it, or go on with it: with `--resume=must` once there is a run."""
        words = ["run", self.config.name, "--runs", self.runs]
        if overwrite:
            words.append("--overwrite")
        elif (self.folder / "config.toml").exists():
            words.append("--resume=must")
        job = self.server.start(words, self.config.parent, {"LOOMLM_CACHE": str(self.cache)})
        self.jobs.append(job)
        return job

    def killed(self, at: Aim | Moment, seconds: float) -> Struck | None:
        """Start it and kill it there; None where it ended before. seconds: of an unbroken run."""
        logged = {stage: last_step(self.folder / stage) for stage in STAGES}
        before = set() if isinstance(at, Moment) else set(self._being_written(at.what))
        job = self.start(overwrite=isinstance(at, Aim) and at.what == "overwrite")
        if isinstance(at, Moment):
            _wait(lambda: False, job, at.share * seconds)
        else:
            self._sight(at, job, before)
        job.send(signal.SIGKILL)
        code = job.wait()
        check_words(job, logged)
        if code == 0:
            return None
        assert code == -signal.SIGKILL, f"{code}\n{job.err}"
        half = any(True for _ in left_overs(self.runs)) or any(True for _ in left_overs(self.cache))
        return Struck(at, half)

    def ended(self) -> None:
        """Start it, and let it come to its end."""
        logged = {stage: last_step(self.folder / stage) for stage in STAGES}
        job = self.start()
        assert job.wait() == 0, job.err
        check_words(job, logged)

    def _sight(self, aim: Aim, job: Job, before: set[str]) -> None:
        seen: set[str] = set()

        def sighted() -> bool:
            seen.update(set(self._being_written(aim.what)) - before)
            return len(seen) >= aim.count

        if _wait(sighted, job, PATIENCE):
            time.sleep(aim.delay)

    def _being_written(self, what: str) -> Iterator[str]:
        """Names of what is being written now: of the cache, checkpoints, models, or a new run."""
        stages = [self.folder / stage for stage in STAGES]
        if what == "overwrite":
            yield from () if (self.folder / "evaluation.json").exists() else ("removed",)
        elif what == "cache":
            yield from (name for kind in _listed(self.cache) for name in _hidden(self.cache / kind))
        elif what == "save":
            yield from (name for stage in stages for name in _hidden(stage / "checkpoints"))
        else:
            names = [name for folder in (self.folder, *stages) for name in _hidden(folder)]
            yield from (name for name in names if (name[:6] == ".model") == (what == "export"))


def _hidden(folder: Path) -> list[str]:
    return [name for name in _listed(folder) if LEFT_OVER.fullmatch(name)]


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - a tenth of the time of Path.iterdir
    except OSError:
        return []


def _wait(true: Callable[[], bool], job: Job, seconds: float) -> bool:
    """Wait until something is so, the job has ended, or the time is over; whether it came to be."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        if job.ended:
            return False
        time.sleep(GLANCE)
    return False


def moments(random: Random, count: int) -> list[Aim | Moment]:
    """So many moments, three of ten aimed at saves."""
    aimed = round(count * 0.3)
    made: list[Aim | Moment] = [
        Aim("save", random.randint(1, 8), random.uniform(0, 0.012)) for _ in range(aimed)
    ]
    made += [Moment(random.random()) for _ in range(count - aimed)]
    random.shuffle(made)
    return made


def earlier(at: Aim | Moment) -> Aim | Moment:
    """Another try, where a run ended before its moment."""
    return evolve(at, count=1) if isinstance(at, Aim) else Moment(at.share / 2)


def check_words(job: Job, logged: dict[str, int]) -> None:
    """A run that goes on says nothing of damage, and loses at most one interval of each stage.

    logged: the last step that each stage had logged before. A checkpoint that is due at that step
    may have waited for the one before.
    """
    assert "Traceback" not in job.err, job.err
    assert "damaged" not in job.err, job.err
    for stage, step in STARTS.findall(job.err):
        due = max(0, logged[stage] - 1) // INTERVAL * INTERVAL
        assert int(step or 0) >= due - INTERVAL, f"{stage}: {logged[stage]} were logged\n{job.err}"


def last_step(stage: Path) -> int:
    """The last step that metrics.jsonl has; the line that a killed run was writing is none."""
    try:
        lines = (stage / "metrics.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    except FileNotFoundError:
        return 0
    return max((json.loads(line)["step"] for line in lines), default=0)


def check_same(run: Path, unbroken: Path) -> None:
    """Every loss, the weights, and every other byte of two runs' folders are the same."""
    for stage in STAGES:
        if (unbroken / stage).exists():
            assert losses(run / stage) == losses(unbroken / stage)
    assert sha256(run / "model" / "model.safetensors") == sha256(
        unbroken / "model" / "model.safetensors"
    )
    ours, theirs = contents(run), contents(unbroken)
    other = [name for name in theirs if ours.get(name) != theirs[name]]
    assert other == []
    # The checkpoint that a run went on from stays for a while.
    assert [name for name in ours.keys() - theirs.keys() if "/checkpoints/" not in name] == []


def losses(stage: Path) -> list[tuple[int, str, str]]:
    """(step, split, loss in hex) of each line of metrics.jsonl."""
    lines = (stage / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return [(one["step"], one["split"], one["loss"].hex()) for one in records]


def contents(run: Path) -> dict[str, str]:
    """The SHA-256 of every file of a run, but of locks."""
    return {
        path.relative_to(run).as_posix(): sha256(path)
        for path in run.rglob("*")
        if path.is_file() and path.name not in LOCKS
    }


def left_overs(folder: Path) -> Iterator[Path]:
    """What is half written, anywhere below a folder."""
    return (path for path in folder.rglob(".*") if LEFT_OVER.fullmatch(path.name))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
