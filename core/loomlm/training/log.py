"""What a stage notes of its updates: lines of metrics.jsonl, and events for observers."""

from __future__ import annotations

import json
import time
from math import isfinite
from pathlib import Path
from typing import Any

from attrs import define, field

from loomlm.contracts import StepsEnded
from loomlm.training.lost import Losses
from loomlm.training.stage import Held, Stage

METRICS = "metrics.jsonl"

REPORT_SECONDS = 0.2
REPORT_STEPS = 64


@define
class Log:
    """metrics.jsonl, and the events about updates. Times go to events alone, never to the file."""

    stage: Stage
    _rates: list[float] = field(factory=list)
    _held: list[Held] = field(factory=list)
    _examples: int = 0
    _tokens: int = 0
    _first: int = field(init=False)
    _losses: Losses = field(init=False)
    _started: float = field(factory=time.monotonic)
    _flushed: float = field(factory=time.monotonic)

    def __attrs_post_init__(self) -> None:
        self._first = self.stage.progress.step
        self._losses = Losses(self.stage)
        cut_back(self._path, self._first, self.stage.progress.unscored)

    @property
    def _path(self) -> Path:
        return self.stage.folder / METRICS

    def add(self, rate: float, held: Held, tokens: int) -> None:
        """Count an update."""
        self._rates.append(rate)
        self._held.append(held)
        self._examples += len(held)
        self._tokens += tokens

    def flush_when_due(self) -> None:
        """Flush now and then: asking for scalars waits for the device."""
        late = time.monotonic() - self._flushed > REPORT_SECONDS
        if late or len(self._rates) >= REPORT_STEPS:
            self.flush()

    def flush(self) -> None:
        """Write the updates since the last flush, tell observers, and act on lost ones."""
        scalars = self.stage.engine.scalars()
        if not scalars:
            return
        rates, self._rates = self._rates, []
        held, self._held = self._held, []
        self.write(
            *(
                {
                    "step": s.step,
                    "split": "train",
                    "loss": s.loss if isfinite(s.loss) else None,
                    "learning_rate": rate,
                    "gradient_norm": s.gradient_norm if isfinite(s.gradient_norm) else None,
                }
                for s, rate in zip(scalars, rates, strict=True)
                if s.step % self.stage.trainer.log_every == 0
                or s.step == self.stage.steps
                or not s.finite
            )
        )
        self._flushed = time.monotonic()
        seconds = max(self._flushed - self._started, 1e-9)
        done = scalars[-1].step - self._first
        self.stage.hook.loomlm_steps_ended(
            event=StepsEnded(
                stage=self.stage.name,
                scalars=tuple(scalars),
                learning_rates=tuple(rates),
                steps=self.stage.steps,
                examples_per_second=self._examples / seconds,
                tokens_per_second=self._tokens / seconds,
                seconds_left=(self.stage.steps - scalars[-1].step) * seconds / done,
            )
        )
        self._losses.see(scalars, held)

    def write(self, *lines: dict[str, Any]) -> None:
        """Append lines."""
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


def cut_back(path: Path, step: int, unscored: bool) -> None:
    """Leave the lines up to a step, so that a resumed run has each line once.

    unscored: whether the step's evaluation is still to come.
    """
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            said = json.loads(line)
            again = unscored and said["step"] == step and said["split"] != "train"
            if said["step"] <= step and not again:
                kept.append(line)
        except ValueError:
            continue  # The line that a killed process was writing.
    path.write_text("".join(kept), encoding="utf-8")
