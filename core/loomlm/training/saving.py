"""Saves a stage's checkpoints while it trains on: copied at the step, written by a thread."""

from __future__ import annotations

from threading import Thread
from types import TracebackType

from attrs import define, field, frozen

from loomlm.contracts import CheckpointSaved
from loomlm.data.streaming import StreamPlan
from loomlm.errors import LoomlmError
from loomlm.training.checkpoints import Snapshot
from loomlm.training.stage import Stage


@frozen
class Outcome:
    """What became of a save: its folder and sentences for the user, or why it failed."""

    snapshot: Snapshot
    folder: str = ""
    notes: tuple[str, ...] = ()
    error: Exception | None = None


@define
class Saver:
    """Use as a context manager around training. All but the writing happens in its thread.

    One save is in flight at a time. One that fails is told to the user, and training goes on: the
    next one that is due tries again. Of the best weights there will be no other copy, so they are
    held until they can be written.
    """

    stage: Stage
    _thread: Thread | None = field(default=None, init=False)
    _outcomes: list[Outcome] = field(factory=list, init=False)
    _owed: Snapshot | None = field(default=None, init=False)

    def __enter__(self) -> Saver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        # Who interrupts does not wait: what is half written is swept away by the next run.
        if kind is None or issubclass(kind, Exception):
            self.settle()

    @property
    def busy(self) -> bool:
        """Whether a save is in flight."""
        return self._thread is not None and self._thread.is_alive()

    def save(self) -> None:
        """Copy the state, and write it while training goes on.

        Waits for a save that is in flight: `checkpoint_every` then means the same steps on a slow
        disk as on a fast one, and there is one copy at a time.
        """
        self.settle()
        snapshots = [*self._take_owed(), self._snapshot(copied=True)]
        self._thread = Thread(target=self._write, args=snapshots, name="saving", daemon=True)
        self._thread.start()

    def save_now(self) -> None:
        """Write the state before anything else happens. Raises LoomlmError where it fails."""
        self.settle()
        snapshot = self._snapshot(copied=False)
        self._write(snapshot, *self._take_owed())
        self._tell(needed=snapshot.step)

    def settle(self, needed: int | None = None) -> None:
        """Wait for the save that is in flight, and tell what became of it.

        needed: a step whose checkpoint must be there. Raises LoomlmError where it failed, and once
        more.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._tell()
        if needed is not None and self._owed is not None and self._owed.step == needed:
            self._write(*self._take_owed())
            self._tell(needed)

    def poll(self) -> None:
        """Tell what became of a save, if it has ended. Waits for nothing."""
        if not self.busy:
            self.settle()

    def _snapshot(self, copied: bool) -> Snapshot:
        stage, progress = self.stage, self.stage.progress
        if isinstance(stage.plan, StreamPlan):
            progress.place = stage.plan.place(progress.step)
        return Snapshot.of(stage.engine, progress, stage.world, copied)

    def _take_owed(self) -> list[Snapshot]:
        """Best weights that could not be written, where they still are the best."""
        owed, self._owed = self._owed, None
        return [owed] if owed is not None and owed.step == self.stage.progress.best_step else []

    def _write(self, *snapshots: Snapshot) -> None:
        for snapshot in snapshots:
            try:
                folder, notes = self.stage.checkpoints.save(snapshot)
                self._outcomes.append(Outcome(snapshot, str(folder), tuple(notes)))
            except Exception as error:  # Told in the thread that trains.
                self._outcomes.append(Outcome(snapshot, error=error))

    def _tell(self, needed: int | None = None) -> None:
        """needed: a step whose failure is an error."""
        outcomes, self._outcomes = self._outcomes, []
        stage, failed = self.stage, None
        for outcome in outcomes:
            step, error = outcome.snapshot.step, outcome.error
            for note in outcome.notes:
                stage.say(note)
            if error is None:
                stage.hook.loomlm_checkpoint_saved(
                    event=CheckpointSaved(stage=stage.name, step=step, folder=outcome.folder)
                )
                continue
            if stage.trainer.keep_best and step == outcome.snapshot.best_step:
                self._owed = outcome.snapshot
            if step == needed or not isinstance(error, LoomlmError | MemoryError):
                failed = error
                continue
            stage.say(
                f"Training goes on without the checkpoint of step {step}: {error} The next one "
                "that is due tries again."
            )
        if failed is not None:
            raise failed
