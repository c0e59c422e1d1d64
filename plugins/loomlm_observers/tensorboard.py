"""Writes a run's scalars as TensorBoard event files: a folder, that is a curve, for each stage.

TensorBoard's own `EventFileWriter` imports TensorFlow where that is installed; its record format
and its messages do not, so those two are all that is used here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from loomlm.plugin import Evaluated, RunEnded, RunStarted, StageStarted, StepsEnded, hookimpl
from loomlm_observers.config import TensorBoardConfig

# The classes of generated messages are made at import time, out of a type checker's sight.
Event: Any = event_pb2.Event  # pyright: ignore[reportAttributeAccessIssue]
SessionLog: Any = event_pb2.SessionLog  # pyright: ignore[reportAttributeAccessIssue]
Summary: Any = summary_pb2.Summary  # pyright: ignore[reportAttributeAccessIssue]


class TensorBoard:
    """Tags are `train/loss`, `train/learning_rate`, `train/gradient_norm` and `SPLIT/METRIC`."""

    def __init__(self, config: TensorBoardConfig) -> None:
        self._config = config
        self._folder: Path | None = None
        self._writers: dict[str, RecordWriter] = {}

    @hookimpl
    def loomlm_run_started(self, event: RunStarted) -> None:
        run = Path(event.folder)
        given = self._config.folder
        self._folder = run / "tensorboard" if given is None else given / run.name

    @hookimpl
    def loomlm_stage_started(self, event: StageStarted) -> None:
        if event.step > 0:
            # A resumed stage does some steps again; TensorBoard then forgets the first try's.
            start = SessionLog(status=SessionLog.START)
            self._write(event.stage, Event(session_log=start, step=event.step + 1))
            self._writers[event.stage].flush()

    @hookimpl
    def loomlm_steps_ended(self, event: StepsEnded) -> None:
        for scalars, rate in zip(event.scalars, event.learning_rates, strict=True):
            values = {
                "loss": scalars.loss,
                "learning_rate": rate,
                "gradient_norm": scalars.gradient_norm,
            }
            self._write_scalars(event.stage, scalars.step, "train", values)

    @hookimpl
    def loomlm_evaluated(self, event: Evaluated) -> None:
        self._write_scalars(event.stage, event.step, event.split, event.metrics)

    @hookimpl
    def loomlm_run_ended(self, event: RunEnded) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _write_scalars(self, stage: str, step: int, group: str, values: Mapping[str, Any]) -> None:
        """Write the values that are numbers."""
        summary = Summary(
            value=[
                Summary.Value(tag=f"{group}/{name}", simple_value=value)
                for name, value in values.items()
                if isinstance(value, int | float) and not isinstance(value, bool)
            ]
        )
        if summary.value:
            self._write(stage, Event(summary=summary, step=step))
            self._writers[stage].flush()

    def _write(self, stage: str, message: Any) -> None:
        if stage not in self._writers:
            assert self._folder is not None, "loomlm_run_started comes first"
            self._writers[stage] = _open(self._folder / stage)
        message.wall_time = time.time()
        self._writers[stage].write(message.SerializeToString())


def _open(folder: Path) -> RecordWriter:
    """A new event file, after all others in the order of names, which TensorBoard reads by."""
    folder.mkdir(parents=True, exist_ok=True)
    now = time.time()
    number = sum(1 for _ in folder.glob("events.out.tfevents.*"))
    name = f"events.out.tfevents.{int(now):010d}.{number:04d}.loomlm"
    writer = RecordWriter((folder / name).open("xb"))
    writer.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
    return writer
