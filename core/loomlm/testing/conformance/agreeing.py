"""Backends that build one backbone, beside one another.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from pathlib import Path

from loomlm.testing.conformance.cases import NotApplicable, Subject, backends_of
from loomlm.testing.conformance.models import SmallModel, models_of
from loomlm.testing.parity import Parity
from loomlm.testing.processes import Worker
from loomlm.testing.sample import python_text
from loomlm.testing.trials import Check, Plan, Trial, case_of


def backends_agree(subject: Subject) -> None:
    """Backends give equal logits for equal weights, within the limit of `docs/parity.md`."""
    first, *others = backends_of(subject.registry, subject.component)
    if not others:
        raise NotApplicable(f"no other backend that builds it is installed than {first}")
    if subject.backend != first:
        raise NotApplicable(f"{first} is compared with the others")
    text = subject.folder / "text.txt"
    text.write_text(python_text(), encoding="utf-8")
    # What one did for a comparison serves the next.
    workers = {
        name: Worker(name, subject.folder / name, subject.shared.process(name))
        for name in (first, *others)
    }
    for model in models_of(subject):
        for other in others:
            _check(subject, model, workers[first], workers[other], text)


def _check(subject: Subject, model: SmallModel, first: Worker, other: Worker, text: Path) -> None:
    """The logits of two backends, each in a process of its own."""
    backbone = Trial(subject.component.name, "default", subject.keys)
    case = case_of(backbone, model.trial, model.recipe.task)
    check = Check("logits", case)
    plugins = [
        p.module for p in subject.registry.plugins if p.state == "loaded" and not p.distribution
    ]
    parity = Parity(Plan((check,), ()), (first, other), text, tuple(plugins))
    result = parity.result(check)
    assert result.ok, f"{first.backend} and {other.backend}: {result}"
