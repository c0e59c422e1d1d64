"""Two backends side by side: makes the configs, has the workers carry them out, compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any

from attrs import define

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

SHORTEST = 13
"""Characters of a line that is trained on. Then rows of up to 16 tokens have one width: a backend
that compiles has one program to compile. The first case has all lines, and several widths."""

SAMPLE = "loomlm.testing.sample"
"""The plugin that brings the text."""


@define
class Parity:
    """Checks of two backends, each in a process of its own. Use as a context manager.

    What a worker did for one check serves the others: nothing is run twice.

    plan: what there is to check. workers: of the two backends. text: a file to learn from, of
    thousands of lines. plugins: modules or .py files to load besides the installed ones. block:
    names of plugins not to load.
    """

    plan: Plan
    workers: tuple[Worker, Worker]
    text: Path
    plugins: tuple[str, ...] = ()
    block: tuple[str, ...] = ()

    @classmethod
    def start(
        cls,
        registry: Registry,
        backends: tuple[str, str],
        folder: Path,
        text: Path | None = None,
        plugins: Sequence[str] = (),
        block: Sequence[str] = (),
        thorough: bool = True,
    ) -> Parity:
        """The checks that a registry allows; without `thorough` those of a few minutes.

        folder: where models and runs go. text: by default what Python says of itself.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if text is None:
            text = folder / "text.txt"
            text.write_text(python_text(), encoding="utf-8")
        first, second = (Worker(backend, folder / backend) for backend in backends)
        plan = checks(registry, backends, thorough)
        return cls(plan, (first, second), text.resolve(), tuple(plugins), tuple(block))

    def __enter__(self) -> Parity:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self.workers:
            worker.process.stop()

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
        first, second = self.workers
        begins, ends = (first, second) if check.begins == first.backend else (second, first)
        job = self._training(check)
        begins.ask(job)
        through = _done(begins, job)
        rest = {
            **self._job("resume", check.case, check.optimizer, check.begins),
            "begun": through["kept"],
        }
        ends.ask(rest)
        return compare_losses(through, _done(ends, rest), CLIP)

    def _model(self, case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._both(self._job("model", case, None))

    def _trained(self, check: Check) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._both(self._training(check))

    def _training(self, check: Check) -> dict[str, Any]:
        return {**self._job("train", check.case, check.optimizer), "keep_at": STEPS // 2}

    def _both(self, job: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What both workers reply to a job, which they do at the same time."""
        first, second = self.workers
        first.ask(job)
        second.ask(job)
        second.reply(job)  # Both end before the error of one is raised.
        return _done(first, job), _done(second, job)

    def _job(
        self, kind: str, case: Case, optimizer: Trial | None, begins: str = ""
    ) -> dict[str, Any]:
        parts = (kind, case.slug, str(optimizer or "").replace("/", "-"), begins)
        return {
            "kind": kind,
            "config": run_config(case, optimizer, self._data(case), self.plugins),
            "plugins": self.plugins,
            "block": self.block,
            "folder": "/".join(part for part in parts if part),
        }

    def _data(self, case: Case) -> dict[str, Any]:
        shortest = 1 if case == self.plan.checks[0].case else SHORTEST
        return {"type": "parity_sample", "file": str(self.text), "shortest": shortest}


def _done(worker: Worker, job: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker replies. Raises _FailedError where it failed."""
    reply = worker.reply(job)
    if "error" in reply:
        said = reply["error"].rstrip(".")
        raise _FailedError(f"{worker.backend} fails: {said}. See {worker.process.log}.")
    return reply


def run_config(
    case: Case, optimizer: Trial | None, data: Mapping[str, Any], plugins: Sequence[str]
) -> dict[str, Any]:
    """The config of a run, as a dict, without a backend; what could differ from machine to machine
    is said.
    """
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
        "data": {**data, "labels": case.labels, "reads": case.reads},
        "trainer": trainer,
    }
    return {
        "name": case.slug,
        "seed": SEED,
        "plugins": [SAMPLE, *plugins],
        "tokenizer": {"type": "parity_letters"},
        "backbone": case.backbone.table,
        "stages": [stage],
    }


def _arrays(reply: Mapping[str, Any]) -> dict[str, Any]:
    import numpy as np

    with np.load(reply["arrays"]) as arrays:
        return dict(arrays)


class _FailedError(Exception):
    """A worker could not do its job."""
