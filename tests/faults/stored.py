"""What is written in a run's life, small: each is done over what stands there, and looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from loomlm.config.settings import Choice
from loomlm.config.structure import make_converter, structure
from loomlm.errors import LoomlmError
from loomlm.models.arrays import from_safetensors
from loomlm.models.folder import ModelConfig, save_model
from loomlm.registry import Registry
from loomlm.storage.commit import commit, remove, sweep, write_file
from loomlm.storage.manifest import verify
from loomlm.training.checkpoints import Checkpoints, Progress, Snapshot, read_state
from loomlm.training.lines import Lines

Found = dict[str, Any]
"""What can be loaded, by name: comparable, bit for bit."""


@frozen
class Job:
    """prepare: makes what stands there. write: what is done then. look: what can be loaded."""

    name: str
    prepare: Callable[[Path], object]
    write: Callable[[Path], object]
    look: Callable[[Path], Found]

    def __str__(self) -> str:
        return self.name


@frozen
class Weights:
    """As much of an engine as a checkpoint needs."""

    seed: int

    def state(self, part: str) -> list[tuple[str, np.ndarray]]:
        generator = np.random.default_rng([self.seed, len(part)])
        return [
            ("backbone.weight", generator.random((5, 7), np.float32)),
            ("head.bias", generator.random(3, np.float32)),
        ]


def checkpoints(folder: Path) -> Checkpoints:
    return Checkpoints(folder / "run" / "stage" / "checkpoints", keep_last=2)


def save(folder: Path, step: int, seed: int | None = None, ended: str = "") -> None:
    """Save the checkpoint of a step. Another seed gives it other weights."""
    progress = Progress(step=step, ended=ended)
    checkpoints(folder).save(Snapshot.of(Weights(seed or step), progress, {}, copied=True))


def look_at_checkpoints(folder: Path) -> Found:
    """The newest that is whole. None may be damaged."""
    path, passed_over = checkpoints(folder).newest()
    assert not passed_over
    if path is None:
        return {}
    progress, _ = read_state(path)
    arrays = {
        f"{file.stem}.{name}": array.tobytes()
        for file in path.glob("*.safetensors")
        for name, array in from_safetensors(file).items()
    }
    return {"step": progress.step, "ended": progress.ended, **arrays}


def look_at_file(folder: Path) -> Found:
    path = folder / "run" / "evaluation.json"
    return {"text": path.read_text()} if path.exists() else {}


def look_at_folder(folder: Path) -> Found:
    path = folder / "run" / "model"
    if not path.exists():
        return {}
    verify(path)
    return {file.name: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def save_folder(folder: Path, content: bytes) -> None:
    commit(folder / "run" / "model", {"config.json": content, "deep/er/weights": content * 50})


def save_small_model(folder: Path, registry: Registry, seed: int) -> None:
    """A model's folder, with its weights and what stands for a tokenizer."""

    def choice(kind: str, name: str) -> Choice:
        cls = registry.find(kind, name).component.config
        value, mistakes = structure({}, cls, make_converter(registry, Path()))
        assert not mistakes
        return Choice(kind, name, value)

    config = ModelConfig(
        backend="torch",
        stage="finetune",
        backbone=choice("backbone", "mlp"),
        task=choice("task", "classification"),
        tokenizer=choice("tokenizer", "word"),
        clean=(),
        facts={"labels": ["a", "b"]},
    )
    tokenizer: Any = Files({"tokenizer.json": b'{"seed": %d}' % seed})
    save_model(folder, config, registry, tokenizer, Weights(seed).state("model"), f"# {seed}")


@frozen
class Files:
    """As much of a tokenizer as a model's folder needs."""

    kept: dict[str, bytes]

    def files(self) -> dict[str, bytes]:
        return self.kept


def lines(folder: Path) -> Lines:
    (folder / "run").mkdir(exist_ok=True)
    return Lines(folder / "run" / "metrics.jsonl", lambda _: None)


def look_at_lines(folder: Path) -> Found:
    path = folder / "run" / "metrics.jsonl"
    if not path.exists():
        return {}
    return {"steps": [json.loads(line)["step"] for line in path.read_text().splitlines()]}


def killed_between(folder: Path) -> None:
    """What a process leaves that was killed just when a folder was to be replaced."""
    save_folder(folder, b"old")
    model = folder / "run" / "model"
    model.rename(model.with_name(".model.old-00000000"))
    (folder / "run" / ".model.12-00000000").mkdir()
    (folder / "run" / ".evaluation.json.12-00000000").write_text("half")


JOBS = (
    Job("first", lambda f: None, lambda f: save(f, 1), look_at_checkpoints),
    Job("next", lambda f: [save(f, 1), save(f, 2)], lambda f: save(f, 3), look_at_checkpoints),
    Job("same step", lambda f: save(f, 1), lambda f: save(f, 1, 9, "done"), look_at_checkpoints),
    Job(
        "file",
        lambda f: write_file(f / "run" / "evaluation.json", "old"),
        lambda f: write_file(f / "run" / "evaluation.json", "new" * 9000),
        look_at_file,
    ),
    Job(
        "folder", lambda f: save_folder(f, b"old"), lambda f: save_folder(f, b"new"), look_at_folder
    ),
    Job(
        "removed",
        lambda f: save_folder(f, b"old"),
        lambda f: remove(f / "run" / "model"),
        look_at_folder,
    ),
    Job("swept", killed_between, sweep, look_at_folder),
    Job(
        "lines cut back",
        lambda f: lines(f).write(*({"step": step} for step in range(5))),
        lambda f: lines(f).cut_back(2),
        look_at_lines,
    ),
)


def recovered(job: Job, folder: Path) -> Found:
    """What the next process finds: it sweeps first. Nothing half written is left then."""
    sweep(folder)
    left = list(folder.rglob(".*"))
    assert not left, left
    return job.look(folder)


def outcome(write: Callable[[Path], object], folder: Path) -> LoomlmError | None:
    """The error for the user that something ended with, if any."""
    try:
        write(folder)
    except LoomlmError as error:
        return error
    return None


def ended(run: Path) -> Found:
    """What a run has come to, all that a resumed one has to come to as well."""
    names = ("model/model.safetensors", "finetune/metrics.jsonl", "evaluation.json", "data.json")
    verify(run / "tokenizer")
    return {name: (run / name).read_bytes() for name in (*names, "environment.json")}


def spread(most: int, number: int) -> list[int]:
    """So many of the numbers from 1 on, the first and the last among them."""
    return sorted({1 + round(i * (most - 1) / max(1, number - 1)) for i in range(number)})
