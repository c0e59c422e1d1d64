"""Each check of a backbone finds its own mistake, and finds nothing in one that is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from loomlm.registry import Registry
from loomlm.testing.conformance import agreeing, backbone, writing
from loomlm.testing.conformance.cases import Subject

pytest.importorskip("torch", reason="the broken backbones are of PyTorch")

BROKEN = Path(__file__).parent / "broken" / "backbones.py"

MISTAKES = {
    "unstated array": (backbone.batches_are_as_stated, "batch_spec states"),
    "another type": (backbone.batches_are_as_stated, "inside is float32 .* states float64"),
    "changes its input": (backbone.batches_are_as_stated, "changes what it was given: tokens"),
    "draws in prepare": (backbone.batches_are_as_stated, "two answers for one batch: inside"),
    "missing parameter": (backbone.the_module_is_its_layout, "mix.bias"),
    "unstated parameter": (backbone.the_module_is_its_layout, "more"),
    "another shape": (backbone.the_module_is_its_layout, r"mix.weight: built \(8, 8\)"),
    "another place": (backbone.logits_have_the_heads_shape, "logits are float32"),
    "divides by nothing": (backbone.logits_have_the_heads_shape, "not finite"),
    "looks ahead": (
        backbone.later_tokens_change_nothing_before_them,
        "other tokens from place 1 on move outputs before it",
    ),
    "mean over padding": (backbone.padding_changes_nothing, "gives other logits among rows"),
    "among other rows": (backbone.padding_changes_nothing, "gives other logits among rows"),
    "dead matrix": (backbone.gradients_reach_every_parameter, "no gradient reaches .*mix.weight"),
    "dead rows": (backbone.gradients_reach_every_parameter, "some rows of .*embedding.weight"),
    "own generator": (backbone.the_same_seed_gives_the_same_training, "gave other values"),
    "global generator": (backbone.the_same_seed_gives_the_same_training, "gave other values"),
    "same for every seed": (
        backbone.the_same_seed_gives_the_same_training,
        "another seed gives the same",
    ),
    "drops in use": (backbone.dropout_is_off_in_use, "dropout moves its predictions"),
    "running mean": (backbone.a_saved_model_gives_the_same, "when it was saved and loaded"),
    "forgets the place": (writing.token_by_token_is_the_whole_row, "behind token 1"),
    "outside of the cache": (writing.token_by_token_is_the_whole_row, "behind token 3, reordered"),
    "another backend": (agreeing.backends_agree, "torch and torch_again: FAIL"),
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load([str(BROKEN)])


@pytest.fixture
def subject(registry, tmp_path, loomlm_shared):
    """Makes the backbone with a mistake."""

    def make(mistake: str = "nothing") -> Subject:
        return Subject(
            registry=registry,
            component=registry.find("backbone", "sums").component,
            keys={"mistake": mistake},
            backend="torch",
            folder=tmp_path,
            shared=loomlm_shared,
        )

    return make


@pytest.mark.loomlm("backbone:sums", plugins=[BROKEN])
def test_a_backbone_without_a_mistake_passes(conformance):
    conformance()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_by_its_check(mistake, subject):
    check, said = MISTAKES[mistake]

    with pytest.raises(AssertionError, match=said):
        check(subject(mistake))


def test_every_check_has_a_mistake_to_find():
    assert {check for check, _ in MISTAKES.values()} == set(backbone.PROPERTIES)


@pytest.mark.parametrize("check", backbone.PROPERTIES)
def test_a_backbone_that_no_task_fits_passes_nothing(check, subject):
    with pytest.raises(AssertionError, match="no installed task fits sums"):
        check(subject("fits nothing"))
