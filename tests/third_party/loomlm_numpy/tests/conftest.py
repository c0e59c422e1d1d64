"""Texts, and configs that learn from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import loomlm

TOPICS = {"weather": ("rain", "wind", "snow"), "food": ("soup", "bread", "rice")}
FILLER = ("the", "a", "was", "today", "very", "again", "it", "and")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LOOMLM_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _texts(tmp_path: Path) -> None:
    """train.csv: texts of 2 to 9 words that have a topic, a second label for some."""
    generator = np.random.default_rng(1)
    lines = ["text,label,labels"]
    for _ in range(300):
        topic = str(generator.choice(list(TOPICS)))
        words = [generator.choice(TOPICS[topic]), *generator.choice(FILLER, generator.integers(9))]
        more = "|again" if "again" in words else ""
        lines.append(f"{' '.join(generator.permutation(words))},{topic},{topic}{more}")
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


Curve = Callable[..., tuple[loomlm.Run, list[float]]]


@pytest.fixture
def train() -> Curve:
    """Trains on a backend; gives the run, and the loss of each step."""

    def call(
        backend: str,
        backbone: dict[str, Any],
        task: dict[str, Any] | str = "classification",
        name: str = "",
        own: dict[str, Any] | None = None,
        observers: Sequence[Any] = (),
        **trainer: Any,
    ) -> tuple[loomlm.Run, list[float]]:
        several = isinstance(task, dict) and task.get("multi_label")
        keys = {"steps": 100, "batch_size": 16, "learning_rate": 1e-2, "threads": 1, **trainer}
        writes = isinstance(task, dict) and task["type"] == "causal_lm"
        config = {
            "name": name or backend,
            "backend": backend,
            "backends": {backend: own or {}},
            "tokenizer": {"type": "character" if writes else "word"},
            "backbone": {"type": "mlp", "width": 12, **backbone},
            "stages": [
                {
                    "name": "only",
                    "task": task,
                    "data": {
                        "train": "train.csv",
                        "split": {"validation": 0.2},
                        **({} if writes else {"label": "labels" if several else "label"}),
                    },
                    "trainer": {key: value for key, value in keys.items() if value is not None},
                }
            ],
        }
        run = loomlm.run(config, observers=observers)
        return run, _losses(run.folder)

    return call


@pytest.fixture
def losses() -> Callable[[Path], list[float]]:
    """Gives the loss of each step of a run that is in a folder."""
    return _losses


def _losses(run: Path) -> list[float]:
    lines = (run / "only" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line["loss"] for line in map(json.loads, lines) if line["split"] == "train"]
