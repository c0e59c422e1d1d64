"""What there is to check, as the registry says."""

from __future__ import annotations

from pathlib import Path

import pytest

from loomlm.registry import Registry
from loomlm.testing import Plan, checks

PLUGIN = '''
from attrs import frozen
from loomlm.plugin import Builder, Component, hookimpl, key

@frozen
class Config:
    """Keys."""
    width: int = key("size", {default})

@hookimpl
def loomlm_backbones():
    return [Component(
        kind="backbone", name="third", summary="one", config=Config, {more}
        target=__name__ + ":make",
    )]

@hookimpl
def loomlm_builders():
    return [
        Builder(kind="backbone", name="third", backend=backend, target="nowhere:at_all")
        for backend in {backends}
    ]

class make:
    capabilities = frozenset({{{capabilities}}})
    longest = {longest}
    def __init__(self, config):
        self.config = config
'''
BOTH = ("torch", "tensorflow")


@pytest.fixture
def planned(tmp_path: Path):
    """The plan with a third party's backbone."""

    def plan(
        *,
        default: str = "8",
        more: str = "",
        backends: tuple[str, ...] = BOTH,
        capabilities: str = '"sequence"',
        longest: int | None = None,
    ) -> Plan:
        (tmp_path / "third.py").write_text(
            PLUGIN.format(
                default=default,
                more=more,
                backends=backends,
                capabilities=capabilities,
                longest=longest,
            )
        )
        return checks(Registry.load([str(tmp_path / "third.py")]), BOTH)

    return plan


def of_third(plan: Plan) -> set[str]:
    return {str(check.case) for check in plan.checks if check.case.backbone.type == "third"}


def test_a_backbone_without_trials_is_checked_as_it_is_by_default(planned):
    plan = planned()

    assert {case.split(", ")[0] for case in of_third(plan)} == {"third"}
    assert {check.case.task.type for check in plan.checks if str(check).startswith("third")} == {
        "classification",
        "regression",
    }
    assert plan.left_out == ()


def test_trials_are_cases_of_their_own(planned):
    plan = planned(more='trials={"small": {"width": 2}, "smaller": {"width": 1}},')

    assert {case.split(", ")[0] for case in of_third(plan)} == {"third/small", "third/smaller"}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"backends": ("torch",)}, "backbone third: it has no builder for tensorflow."),
        ({"backends": ()}, "backbone third: it has no builder for torch and tensorflow."),
        ({"capabilities": '"telepathy"'}, "third: no installed task fits it."),
        ({"more": 'requires=("no_such_module",),'}, "which is not installed"),
        (
            {"more": 'trials={"wide": {"widht": 2}},'},
            "backbone third/wide: its trial 'wide': widht: there is no such key. Did you mean",
        ),
        (
            {"longest": 4},
            "third with classification/one_label: rows of up to 16 tokens are longer than the 4 "
            "that third is configured to read.",
        ),
    ],
)
def test_what_cannot_be_checked_is_told(how, said, planned):
    plan = planned(**how)

    assert of_third(plan) == set()
    assert [sentence for sentence in plan.left_out if said in sentence], plan.left_out


def test_the_short_plan_has_each_backbone_and_each_optimizer():
    registry = Registry.load()
    short, whole = checks(registry, BOTH, thorough=False), checks(registry, BOTH)

    assert set(short.checks) < set(whole.checks)
    assert {c.case.backbone for c in short.checks} == {c.case.backbone for c in whole.checks}
    assert {c.case.task for c in short.checks} == {c.case.task for c in whole.checks}
    for what in ("loss", "resume"):
        names = {c.optimizer.type for c in short.checks if c.what == what and c.optimizer}
        assert names == {"adamw", "muon", "sgd"}
    trained = [c.case for c in short.checks if c.what == "loss"]
    assert {(c.backbone.type, c.needs) for c in trained} == {
        (c.case.backbone.type, c.case.needs) for c in whole.checks
    }
    assert {c.task.type for c in trained} == {c.case.task.type for c in whole.checks}


def test_checks_have_names_of_their_own():
    names = [str(check) for check in checks(Registry.load(), BOTH).checks]

    assert len(set(names)) == len(names)
