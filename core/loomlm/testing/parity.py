"""Two backends side by side: makes the configs, has the workers carry them out, compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any

from attrs import define, field

from loomlm.config.check import usable_backends
from loomlm.registry import Registry
from loomlm.testing.compare import (
    Found,
    Result,
    compare_logits,
    compare_losses,
    compare_scores,
    compare_text,
)
from loomlm.testing.processes import Worker
from loomlm.testing.sample import python_text
from loomlm.testing.trials import Case, Check, Plan, Trial, checks

STEPS = 200
CLIP = 0.2
SEED = 17

SAMPLE = "loomlm.testing.sample"
"""The plugin that brings the text."""


@define
class Parity:
    """Checks of two backends, each in a process of its own. Use as a context manager.

    What a worker did for one check serves the others: nothing is run twice.

    plan: what there is to check. folder: where models and runs go. text: a file to learn from,
    1,600 lines or more. plugins: modules or .py files to load besides the installed ones.
    """

    plan: Plan
    backends: tuple[str, str]
    folder: Path
    text: Path
    plugins: tuple[str, ...]
    _workers: tuple[Worker, Worker] = field(init=False)
    _done: dict[Any, tuple[dict[str, Any], dict[str, Any]]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        first, second = (Worker(backend, self.folder) for backend in self.backends)
        self._workers = (first, second)

    @classmethod
    def start(
        cls,
        registry: Registry,
        backends: tuple[str, str],
        folder: Path,
        text: Path | None = None,
        plugins: Sequence[str] = (),
    ) -> Parity:
        """The checks that a registry allows. text: by default what Python says of itself."""
        folder.mkdir(parents=True, exist_ok=True)
        if text is None:
            text = folder / "text.txt"
            text.write_text(python_text(), encoding="utf-8")
        return cls(checks(registry, backends), backends, folder, text.resolve(), tuple(plugins))

    def __enter__(self) -> Parity:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.stop()

    @property
    def checks(self) -> tuple[Check, ...]:
        """What there is to check, those of one case together."""
        return self.plan.checks

    def result(self, check: Check) -> Result:
        """Carry a check out. A backend that fails is a result too."""
        of_what: Mapping[str, Callable[[Check], Found]] = {
            "logits": self._logits,
            "metrics": self._metrics,
            "greedy": self._greedy,
            "loss": self._loss,
            "resume": self._resume,
        }
        try:
            found = of_what[check.what](check)
        except _FailedError as error:
            found = Found(inf, 0, str(error))
        return Result(
            case=str(check.case),
            check=check.name,
            worst=found.worst,
            limit=found.limit,
            said=found.said,
        )

    def _logits(self, check: Check) -> Found:
        first, second = map(_arrays, self._model(check.case))
        return compare_logits(first["logits"], second["logits"])

    def _metrics(self, check: Check) -> Found:
        both = self._model(check.case)
        first, second = ({**_arrays(reply), "scores": reply["scores"]} for reply in both)
        return compare_scores(first, second)

    def _greedy(self, check: Check) -> Found:
        first, second = map(_arrays, self._model(check.case))
        return compare_text(first, second)

    def _loss(self, check: Check) -> Found:
        return compare_losses(*self._trained(check), CLIP)

    def _resume(self, check: Check) -> Found:
        """The whole run of the backend that begins, beside the one that the other ended."""
        whole, ended = self.backends.index(check.begins), 1 - self.backends.index(check.begins)
        through = self._trained(check)
        optimizer = check.optimizer
        job = self._job("resume", check.case, optimizer)
        replies = self._both(("resume", check.case, optimizer), job, through)
        return compare_losses(through[whole], replies[ended], CLIP)

    def _model(self, case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._both(("model", case), self._job("model", case, None))

    def _trained(self, check: Check) -> tuple[dict[str, Any], dict[str, Any]]:
        key = ("train", check.case, check.optimizer)
        job = self._job("train", check.case, check.optimizer)
        return self._both(key, {**job, "keep_at": STEPS // 2})

    def _both(
        self,
        key: Any,
        job: Mapping[str, Any],
        begun: tuple[dict[str, Any], dict[str, Any]] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What both workers reply to a job. begun: runs, of which each goes on with the other's.

        Raises _FailedError where one of them fails.
        """
        if key not in self._done:
            for index, worker in enumerate(self._workers):
                own = {**job, "folder": str(self.folder / worker.backend / job["folder"])}
                if begun is not None:
                    own["begun"] = begun[1 - index]["kept"]
                worker.ask(own)
            first, second = (worker.reply() for worker in self._workers)
            self._done[key] = (first, second)
        for worker, reply in zip(self._workers, self._done[key], strict=True):
            if "error" in reply:
                raise _FailedError(f"{worker.backend} fails: {reply['error']} See {worker.log}.")
        return self._done[key]

    def _job(self, kind: str, case: Case, optimizer: Trial | None) -> dict[str, Any]:
        return {
            "kind": kind,
            "config": run_config(case, optimizer, self.backends[0], self.text, self.plugins),
            "plugins": self.plugins,
            "folder": f"{kind}/{case.slug}/{str(optimizer).replace('/', '-')}",
        }


def run_config(
    case: Case, optimizer: Trial | None, backend: str, text: Path, plugins: Sequence[str]
) -> dict[str, Any]:
    """The config of a run, as a dict; all that could differ between machines is said."""
    trainer: dict[str, Any] = {
        "steps": STEPS,
        "batch_size": 16,
        "accumulate": 2,
        "gradient_clip": CLIP,
        "precision": "fp32",
        "device": "cpu",
        "threads": 1,
        "evaluate_every": "never",
        "checkpoint_every": STEPS // 2,
    }
    if optimizer is not None:
        table = optimizer.table
        if "learning_rate" in table:
            trainer["learning_rate"] = table.pop("learning_rate")
        trainer["optimizer"] = table
    stage = {
        "name": "parity",
        "task": case.task.table,
        "data": {"type": "parity_sample", "file": str(text), "several": case.several},
        "trainer": trainer,
    }
    return {
        "name": case.slug,
        "seed": SEED,
        "backend": backend,
        "plugins": [SAMPLE, *plugins],
        "tokenizer": {"type": "parity_letters"},
        "backbone": case.backbone.table,
        "stages": [stage],
    }


def pairs(registry: Registry) -> list[tuple[str, str]]:
    """The first backend that can be used with each of the others."""
    first, *others = usable_backends(registry) or [""]
    return [(first, other) for other in others]


def _arrays(reply: Mapping[str, Any]) -> dict[str, Any]:
    import numpy as np

    with np.load(reply["arrays"]) as arrays:
        return dict(arrays)


class _FailedError(Exception):
    """A worker could not do its job."""
