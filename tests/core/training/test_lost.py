"""What a stage does about a loss or gradient that is not finite, without a framework."""

from __future__ import annotations

from math import inf, nan
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from loomlm.contracts import StepScalars
from loomlm.errors import LoomlmError
from loomlm.training.checkpoints import Progress
from loomlm.training.lost import Losses, LostError, go_back, summary


def stage(policy: str, max_skips: int = 3) -> Any:
    """What is read of a stage; `said` is what a user is told."""
    said: list[str] = []
    return SimpleNamespace(
        name="pretrain",
        steps=1000,
        trainer=SimpleNamespace(non_finite=policy, max_skips=max_skips, checkpoint_every=100),
        progress=Progress(),
        checkpoints=SimpleNamespace(steps=lambda: [100, 200], path=lambda step: None),
        places=lambda held: [f"corpus.txt:{row}" for row in held],
        say=said.append,
        said=said,
    )


def scalars(step: int, loss: float = 2.0, norm: float = 1.0, finite: bool = True) -> StepScalars:
    return StepScalars(step=step, loss=loss, gradient_norm=norm, finite=finite)


def see(losses: Losses, *given: StepScalars, rows: int = 2) -> None:
    losses.see(given, [np.arange(rows) + one.step for one in given])


@pytest.mark.parametrize(
    ("loss", "norm", "expected"),
    [
        (nan, nan, "The loss was no finite number but nan at step 12 of stage 'pretrain' (that of"),
        (inf, nan, "The loss was no finite number but inf at step 12 of stage 'pretrain' (that of"),
        (
            2.5,
            inf,
            "The gradient was no finite number but inf at step 12 of stage 'pretrain' "
            "(the loss was 2.5000; that of step 11 was 2.0000).",
        ),
    ],
)
def test_the_message_says_which_of_loss_and_gradient_it_was(loss, norm, expected):
    with pytest.raises(LoomlmError) as error:
        see(Losses(stage("stop")), scalars(11), scalars(12, loss, norm, False), scalars(13))

    assert str(error.value).startswith(expected)
    assert "Its batch: corpus.txt:12, corpus.txt:13." in str(error.value)
    assert "stages.pretrain.trainer.learning_rate" in str(error.value)


def test_of_a_large_batch_eight_examples_are_named():
    with pytest.raises(LoomlmError, match=r"corpus.txt:19 and 24 more\.") as error:
        see(Losses(stage("stop")), scalars(12, nan, nan, False), rows=32)

    assert str(error.value).count("corpus.txt:") == 8


def test_what_is_skipped_is_said_once_each_and_at_the_end():
    one = stage("skip")
    losses = Losses(one)

    see(losses, scalars(11), scalars(12, nan, nan, False), scalars(13))
    see(losses, scalars(14, nan, nan, False))

    assert one.progress.left_out == [[11, 12], [13, 14]]
    assert [text.rsplit("update, ")[-1] for text in one.said] == ["1 of 3.", "2 of 3."]
    assert summary(one) == (
        "pretrain went without 2 updates of 1,000, since a loss or gradient was not finite: "
        "step 12, 14."
    )


def test_a_bound_counts_what_was_skipped_before_the_run_went_on():
    one = stage("skip", max_skips=2)
    one.progress.left_out = [[3, 4], [8, 9]]

    with pytest.raises(LoomlmError, match="max_skips = 2: it was so at step 4, 9 before"):
        see(Losses(one), scalars(12, nan, nan, False))


def test_where_nothing_was_left_out_nothing_is_said():
    assert summary(stage("skip")) is None


def test_going_back_to_a_checkpoint_that_is_not_there_says_what_keeps_it(tmp_path):
    one = stage("rollback")
    one.checkpoints.path = lambda step: tmp_path / f"{step:08d}"
    with pytest.raises(LostError) as lost:
        see(Losses(one), scalars(250, nan, nan, False))

    with pytest.raises(LoomlmError, match=r"no checkpoint of step 200 .*trainer\.keep_last"):
        go_back(one, lost.value)
