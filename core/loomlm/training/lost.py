"""What a stage does about an update whose loss or gradient was not finite.

The device leaves such an update out by itself; here the host, which learns of it some steps later,
does what `non_finite` says. All of it is a function of the updates alone, so that a run that was
killed and goes on does the same again.

Going back is what PaLM did (Chowdhery et al. 2022, section 5.1): to a checkpoint before a loss
that ran away, and on behind the batches since then. Those were not bad by themselves; it took them
and the state of the model. Leaving out the last one alone would not help there: weights and moments
are on the way already.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from attrs import define

from loomlm.contracts import StepScalars
from loomlm.errors import LoomlmError
from loomlm.storage.commit import DamagedError, verify
from loomlm.training.checkpoints import read_state, restore
from loomlm.training.stage import Held, Stage

NAMED = 8
"""Examples of a batch that are named."""


class LostError(LoomlmError):
    """A stage is to go back to before a step that was lost."""

    def __init__(self, step: int, message: str) -> None:
        super().__init__(message)
        self.step = step


@define
class Losses:
    """Looks at a stage's updates as they become known. before: the last finite loss."""

    stage: Stage
    before: tuple[int, float] | None = None

    def see(self, scalars: Sequence[StepScalars], held: Sequence[Held]) -> None:
        """Act on each that was not finite; the weights are without it already.

        Raises LoomlmError where the stage stops, LostError where it goes back.
        """
        for one, batch in zip(scalars, held, strict=True):
            if one.finite:
                self.before = one.step, one.loss
            else:
                self._meet(one, batch)

    def _meet(self, lost: StepScalars, batch: Held) -> None:
        stage, trainer = self.stage, self.stage.trainer
        said = _what(stage, lost, self.before, batch)
        if trainer.non_finite == "stop":
            raise LoomlmError(f"{said} {_what_to_do(stage)}")
        count = len(stage.progress.left_out) + 1
        if count > trainer.max_skips:
            before = ", ".join(str(step) for _, step in stage.progress.left_out[-NAMED:])
            raise LoomlmError(
                f"{said} That is more often than stages.{stage.name}.trainer.max_skips = "
                f"{trainer.max_skips}: it was so at step {before} before. {_mend(stage)}"
            )
        if trainer.non_finite == "rollback":
            raise LostError(lost.step, said)
        stage.progress.left_out.append([lost.step - 1, lost.step])
        stage.say(f"{said} It goes on without this update, {count} of {trainer.max_skips}.")


def go_back(stage: Stage, lost: LostError) -> int:
    """Take weights and state of a checkpoint before a lost step, and stand behind that step.

    The checkpoint is the last of those that `checkpoint_every` makes. Where the stage has gone back
    there before, and came to none since then, it is the one before: its weights were on the wrong
    way already. Gives its step. Raises LoomlmError where it is not there.
    """
    every = stage.trainer.checkpoint_every
    assert isinstance(every, int)
    left_out = stage.progress.left_out
    target = (lost.step - 1) // every * every
    if left_out and target <= left_out[-1][1]:
        target = max(0, left_out[-1][0] - every)
    path = stage.checkpoints.path(target)
    try:
        verify(path)
    except DamagedError as error:
        raise LoomlmError(
            f"{lost} There is no checkpoint of step {target} to go back to ({error}). Keep more: "
            f"stages.{stage.name}.trainer.keep_last."
        ) from None
    progress, _ = read_state(path)
    restore(stage.engine, path)
    progress.left_out = [*left_out, [target, lost.step]]
    progress.step = lost.step
    stage.progress = progress
    stage.say(
        f"{lost} It goes back to step {target}, and on behind step {lost.step} without the batches "
        f"between, {len(progress.left_out)} of {stage.trainer.max_skips}."
    )
    return target


def summary(stage: Stage) -> str | None:
    """What a stage lacks at its end, if anything."""
    pairs = stage.progress.left_out
    if not pairs:
        return None
    shown = [str(last) if last - first == 1 else f"{first + 1} to {last}" for first, last in pairs]
    more = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
    count = len(set().union(*(range(first, last) for first, last in pairs)))
    updates = "an update" if count == 1 else f"{count:,} updates"
    return (
        f"{stage.name} went without {updates} of {stage.steps:,}, since a loss or gradient was not "
        f"finite: step {', '.join(shown[:NAMED])}{more}."
    )


def _what(stage: Stage, lost: StepScalars, before: tuple[int, float] | None, batch: Held) -> str:
    """What was not finite, where, and in which company."""
    of_loss = not isfinite(lost.loss)
    value = lost.loss if of_loss else lost.gradient_norm
    earlier = [] if of_loss else [f"the loss was {lost.loss:.4f}"]
    if before is not None:
        earlier.append(f"that of step {before[0]} was {before[1]:.4f}")
    known = f" ({'; '.join(earlier)})" if earlier else ""
    named = stage.places(batch)
    more = f" and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
    return (
        f"The {'loss' if of_loss else 'gradient'} was no finite number but {value} at step "
        f"{lost.step} of stage {stage.name!r}{known}. The update was left out, and the weights are "
        f"without it. Its batch: {', '.join(named[:NAMED])}{more}."
    )


def _what_to_do(stage: Stage) -> str:
    key = f"stages.{stage.name}.trainer"
    # The one that it will be may still be in flight: no step is named.
    since = "from the last checkpoint " if stage.checkpoints.steps() else ""
    return (
        f"{_mend(stage)} Or go on {since}without this update: --resume --set {key}.non_finite=skip."
    )


def _mend(stage: Stage) -> str:
    return (
        f"Look at these examples; lower stages.{stage.name}.trainer.learning_rate or gradient_clip."
    )
