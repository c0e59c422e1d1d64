"""What a stage notes of its updates: lines of metrics.jsonl, and events for observers."""

from __future__ import annotations

import time
from math import isfinite
from typing import Any

from attrs import define, field

from loomlm.contracts import StepsEnded
from loomlm.training.lines import Lines
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
    _lines: Lines = field(init=False)
    _losses: Losses = field(init=False)
    _started: float = field(factory=time.monotonic)
    _flushed: float = field(factory=time.monotonic)

    def __attrs_post_init__(self) -> None:
        self._first = self.stage.progress.step
        self._losses = Losses(self.stage)
        self._lines = Lines(self.stage.folder / METRICS, self.stage.say)
        self._lines.cut_back(self._first, self.stage.progress.unscored)

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
        self._lines.write(*lines)

    def sync(self) -> None:
        """See to it that a checkpoint that is written now does not outlast its lines."""
        self._lines.sync()

    def end(self) -> None:
        """Raise LoomlmError where lines could not be written in the end."""
        self._lines.end()
