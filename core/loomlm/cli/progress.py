"""What a user sees of a run: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from loomlm.contracts import (
    Evaluated,
    Progress,
    RunEnded,
    RunStarted,
    StageEnded,
    StageStarted,
    StepsEnded,
)
from loomlm.hookspecs import hookimpl

WIDE = 120
"""Columns from which a terminal has room for a bar."""

PLAIN_SECONDS = 5
"""Between two lines where nothing is live."""


class ProgressLine:
    """An observer that writes to standard error."""

    def __init__(self) -> None:
        self._live: Any = None
        self._task: Any = None
        self._told_at = 0.0
        self._terminal = sys.stderr.isatty()

    @hookimpl
    def loomlm_run_started(self, event: RunStarted) -> None:
        verb = "Going on with" if event.resumed else "Run"
        self._say(f"{verb} {event.folder}, backend {event.config['backend']}")

    @hookimpl
    def loomlm_progress(self, event: Progress) -> None:
        self._say(event.message)

    @hookimpl
    def loomlm_stage_started(self, event: StageStarted) -> None:
        start = f"from step {event.step} of {event.steps:,}" if event.step else f"{event.steps:,}"
        self._say(f"Training {event.stage}: {event.parameters:,} parameters, {start} steps")
        if self._terminal:
            self._start_live(event)

    @hookimpl
    def loomlm_steps_ended(self, event: StepsEnded) -> None:
        text = _describe(event)
        if self._live is not None:
            self._live.update(self._task, completed=event.scalars[-1].step, text=text)
        elif time.monotonic() - self._told_at > PLAIN_SECONDS:
            self._told_at = time.monotonic()
            self._say(f"step {event.scalars[-1].step:,}/{event.steps:,}  {text}")

    @hookimpl
    def loomlm_evaluated(self, event: Evaluated) -> None:
        scores = "  ".join(
            f"{name} {value:.4f}"
            for name, value in event.metrics.items()
            if isinstance(value, int | float) and "/" not in name
        )
        self._say(f"step {event.step:,}  {event.split}: {scores}")

    @hookimpl
    def loomlm_stage_ended(self, event: StageEnded) -> None:
        self._stop_live()
        if event.reason != "done":
            self._say(f"Stopped early after step {event.step:,}: {event.reason}")

    @hookimpl
    def loomlm_run_ended(self, event: RunEnded) -> None:
        self._stop_live()

    def _start_live(self, event: StageStarted) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar
        from rich.table import Column

        console = Console(stderr=True)
        text = "{task.completed:,.0f}/{task.total:,.0f}  {task.fields[text]}"
        line = TextColumn(text, table_column=Column(no_wrap=True))
        columns = (BarColumn(20), line) if console.width >= WIDE else (line,)
        self._live = Bar(*columns, console=console, transient=True)
        self._task = self._live.add_task("", total=event.steps, completed=event.step, text="")
        self._live.start()

    def _stop_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _say(self, message: str) -> None:
        if self._live is not None:
            self._live.console.print(message, markup=False, highlight=False)
        else:
            click.echo(message, err=True)


def _describe(event: StepsEnded) -> str:
    minutes, seconds = divmod(int(event.seconds_left), 60)
    return (
        f"loss {event.scalars[-1].loss:.4f}  lr {event.learning_rates[-1]:.1e}  "
        f"{minutes}:{seconds:02d} left  "
        f"{event.examples_per_second:,.0f} examples/s  {event.tokens_per_second:,.0f} tokens/s"
    )
