"""Each check of a trainer finds its own mistake, and finds nothing in one that is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from loomlm.registry import Registry
from loomlm.testing.conformance import trainer
from loomlm.testing.conformance.cases import Subject

pytest.importorskip("torch", reason="the broken trainers are PyTorch's")

BROKEN = Path(__file__).parent / "broken" / "trainers.py"

MISTAKES = {
    "takes any device": (trainer.auto_is_settled, "a device that is not there"),
    "leaves auto": (trainer.auto_is_settled, "leaves precision at auto"),
    "settles what is given": (trainer.auto_is_settled, "settles threads, where nothing is auto"),
    "gives no reason": (trainer.auto_is_settled, "gives no reason for"),
    "mean score": (trainer.score_is_the_loss_of_the_logits, "score gives .*, the loss of the"),
    "scores all alike": (trainer.score_is_the_loss_of_the_logits, "score gives .*, the loss of"),
    "always logits": (trainer.score_is_the_loss_of_the_logits, "that were not asked for"),
    "reports sums": (trainer.score_is_the_loss_of_the_logits, "an update reports the loss"),
    "backwards": (trainer.scalars_come_in_order, r"scalars gives \[3, 2, 1\]"),
    "counts scalars": (trainer.scalars_come_in_order, r"the updates \[7\], scalars gives \[1\]"),
    "tells again": (trainer.scalars_come_in_order, r"\[7\], scalars gives \[1, 2, 3, 7\]"),
    "stands still": (trainer.the_loss_falls, "the loss does not fall"),
    "climbs": (trainer.the_loss_falls, "the loss does not fall"),
    "mean of means": (trainer.accumulation_is_exact, "in 2 microbatches, step 1 has the loss"),
    "last microbatch": (trainer.accumulation_is_exact, "in 2 microbatches, step 1 has the loss"),
    "forgets slots": (trainer.resuming_is_exact, "other values of"),
    "counts itself": (trainer.resuming_is_exact, "other values of"),
    "forgets some slots": (
        trainer.the_state_comes_back,
        "comes back with other .*square",
    ),
    "other names": (trainer.the_state_comes_back, "the model's state has"),
    "other slots": (trainer.the_state_comes_back, "'slot0', which is no `name.slot`"),
    "broadcasts": (trainer.the_state_comes_back, r"takes backbone.embedding.weight of shape \(1,"),
    "takes any name": (trainer.the_state_comes_back, "takes a name that there is not"),
    "draws in use": (trainer.evaluation_changes_nothing, "used between updates has other"),
    "learns while scoring": (trainer.evaluation_changes_nothing, "used between updates has other"),
    "mends gradients": (trainer.what_is_not_finite_is_left_out, "a gradient of nan changed"),
    "says nothing": (trainer.what_is_not_finite_is_left_out, "`finite` is"),
    "mends clipped ones": (trainer.gradients_are_clipped, "not finite was clipped, and changed"),
    "does not clip": (trainer.gradients_are_clipped, "change nothing"),
    "clips too much": (trainer.gradients_are_clipped, "an update moves by"),
    "clips small ones": (trainer.gradients_are_clipped, "larger than any gradient"),
    "reports clipped": (trainer.gradients_are_clipped, "the reported norm is"),
    "trains everything": (trainer.the_layout_is_heeded, "does not train, and"),
    "has one rate for all": (trainer.the_layout_is_heeded, "is not half as large"),
    "moves all rows": (trainer.rows_that_no_batch_names_wait, "which the batch does not use"),
    "moves all moments": (trainer.rows_that_no_batch_names_wait, "which the batch does not use"),
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load([str(BROKEN)])


@pytest.fixture
def subject(registry, tmp_path, loomlm_shared):
    """Makes the trainer with a mistake."""

    def make(mistake: str = "nothing", name: str = "wrong") -> Subject:
        return Subject(
            registry=registry,
            component=registry.find("trainer", name).component,
            keys={"mistake": mistake} if name == "wrong" else {},
            backend=name,
            folder=tmp_path,
            shared=loomlm_shared,
        )

    return make


@pytest.mark.loomlm("trainer:wrong", plugins=[BROKEN])
def test_a_trainer_without_a_mistake_passes(conformance):
    conformance()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_by_its_check(mistake, subject):
    check, said = MISTAKES[mistake]

    with pytest.raises(AssertionError, match=said):
        check(subject(mistake))


def test_every_check_has_a_mistake_to_find():
    assert {check for check, _ in MISTAKES.values()} == set(trainer.PROPERTIES)


@pytest.mark.parametrize("check", trainer.PROPERTIES)
def test_a_trainer_that_builds_nothing_passes_nothing(check, subject):
    with pytest.raises(AssertionError, match="builds no backbone that an installed task fits"):
        check(subject(name="builds_nothing"))
