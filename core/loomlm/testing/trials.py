"""What is checked, read from the registry: backbones with tasks, and optimizers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen

from loomlm.config.check import misfits
from loomlm.config.settings import (
    BackboneChoice,
    Choice,
    MetricChoice,
    OptimizerChoice,
    TaskChoice,
)
from loomlm.config.structure import make_converter, structure
from loomlm.contracts import Backbone, Generates, Joins, Task, produced
from loomlm.errors import LoomlmError, PluginError
from loomlm.registry import Registry

HINTS: Mapping[str, Any] = {
    "backbone": BackboneChoice,
    "task": TaskChoice,
    "optimizer": OptimizerChoice,
    "metric": MetricChoice,
}

What = Literal["logits", "metrics", "greedy", "loss", "resume"]
Labels = Literal["one", "several", "number", "tags", "answers"]


@frozen
class Trial:
    """A component with one of its `trials`: the keys, as a config gives them."""

    type: str
    name: str
    keys: Mapping[str, Any] = field(hash=False)

    def __str__(self) -> str:
        return self.type if self.name == "default" else f"{self.type}/{self.name}"

    @property
    def table(self) -> dict[str, Any]:
        """What stands in a config."""
        return {"type": self.type, **self.keys}


@frozen
class Case:
    """A backbone that does a task.

    generates: whether the task writes text. labels: what an example is labelled with. reads: the
    further texts that the task reads.
    """

    backbone: Trial
    task: Trial
    generates: bool
    labels: Labels
    reads: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.backbone}, {self.task}"

    @property
    def slug(self) -> str:
        """A name for a folder."""
        return re.sub(r"[^\w.]+", "-", str(self))


@frozen
class Check:
    """One comparison of two backends.

    optimizer: what trains, where something does. begins: where a run begins that the other
    backend goes on with.
    """

    what: What
    case: Case
    optimizer: Trial | None = None
    begins: str = ""

    @property
    def name(self) -> str:
        """What is compared, for people."""
        parts = (self.what, str(self.optimizer or ""), self.begins and f"from {self.begins}")
        return " ".join(part for part in parts if part)

    def __str__(self) -> str:
        return f"{self.case}: {self.name}"


@frozen
class Plan:
    """All checks of two backends. left_out: a sentence for each component that none is about."""

    checks: tuple[Check, ...]
    left_out: tuple[str, ...]


def checks(registry: Registry, backends: tuple[str, str], thorough: bool = True) -> Plan:
    """Every check that the registry's components allow; or those of a few minutes.

    Each backbone that both backends build, with the first of those tasks that need the same of it:
    logits, metrics and, of tasks that write, text; for each of them it is trained with the default
    optimizer, and for the first with the first trial of every optimizer. Other tasks and trials
    are checked with the first backbone of each type, and trained on the first that fits; an
    optimizer's further trials on the first of all. What a backbone's first task is trained for
    with the default optimizer, or is the first with another, is gone on with on the other backend.

    Not thorough: other tasks and trials with the first backbone that fits alone; one backbone of
    each type is trained for what tasks need, and the first with the other optimizers; the first
    alone is gone on with.
    """
    left_out: list[str] = []
    cases = list(_cases(registry, backends, left_out))
    optimizers = [
        trial
        for name in _built("optimizer", registry, backends, left_out)
        for trial in _trials("optimizer", name, registry, left_out)
    ]
    choose = _Choose(cases, optimizers, thorough)
    found: list[Check] = []
    for case in cases:
        if choose.is_used(case):
            found += [Check("logits", case), Check("metrics", case)]
            found += [Check("greedy", case)] if case.generates else []
        for optimizer in optimizers:
            if choose.is_trained(case, optimizer):
                found.append(Check("loss", case, optimizer))
                if choose.is_resumed(case, optimizer):
                    found += [Check("resume", case, optimizer, backend) for backend in backends]
    return Plan(tuple(found), tuple(dict.fromkeys(left_out)))


@frozen
class _Choose:
    """Which cases are worth their time; see `checks`."""

    cases: list[Case]
    optimizers: list[Trial]
    thorough: bool

    def is_used(self, case: Case) -> bool:
        further = self._first_of_type if self.thorough else self._first_with_trial
        return self._first_with_needs(case) or further(case)

    def is_trained(self, case: Case, optimizer: Trial) -> bool:
        if case == self.cases[0] and (self.thorough or self._first_of_optimizer(optimizer)):
            return True
        if optimizer == self.optimizers[0] and self._first_with_trial(case):
            return True
        if self.thorough:
            default = optimizer == self.optimizers[0]
            if self._first_of_backbone(case):
                return self._first_of_optimizer(optimizer)
            return default and self._first_with_needs(case)
        return optimizer == self.optimizers[0] and self._first_of_types(case)

    def is_resumed(self, case: Case, optimizer: Trial) -> bool:
        default = optimizer == self.optimizers[0]
        first = self.thorough and default and self._first_of_backbone(case)
        return case == self.cases[0] or first

    def _first_with_trial(self, case: Case) -> bool:
        return case == next(c for c in self.cases if c.task == case.task)

    def _first_of_backbone(self, case: Case) -> bool:
        return case == next(c for c in self.cases if c.backbone == case.backbone)

    def _first_with_needs(self, case: Case) -> bool:
        key = (case.backbone, case.needs)
        return case == next(c for c in self.cases if (c.backbone, c.needs) == key)

    def _first_of_type(self, case: Case) -> bool:
        key = (case.backbone.type, case.task)
        return case == next(c for c in self.cases if (c.backbone.type, c.task) == key)

    def _first_of_types(self, case: Case) -> bool:
        types = (case.backbone.type, case.needs)
        return case == next(c for c in self.cases if (c.backbone.type, c.needs) == types)

    def _first_of_optimizer(self, optimizer: Trial) -> bool:
        return optimizer == next(o for o in self.optimizers if o.type == optimizer.type)


def _cases(registry: Registry, backends: tuple[str, str], left_out: list[str]) -> Iterator[Case]:
    tasks = [
        (trial, task)
        for entry in registry.of("task")
        for trial in _trials("task", entry.component.name, registry, left_out)
        if (task := _made("task", trial, registry, left_out)) is not None
    ]
    for name in _built("backbone", registry, backends, left_out):
        for trial in _trials("backbone", name, registry, left_out):
            backbone = _made("backbone", trial, registry, left_out)
            if backbone is not None:
                yield from _with_tasks(trial, backbone, tasks, left_out)


def _with_tasks(
    trial: Trial, backbone: Backbone, tasks: list[tuple[Trial, Task]], left_out: list[str]
) -> Iterator[Case]:
    """The cases of a backbone. A task that it is not made for is no case, and no news."""
    found = False
    for of_task, task in tasks:
        clauses = list(misfits(str(trial), backbone, str(of_task), task))
        if not clauses:
            found = True
            yield case_of(trial, of_task, task)
        elif task.needs <= backbone.capabilities and _reads_alike(task, backbone):
            left_out += [f"{trial} with {of_task}: {clause}." for clause in clauses]
    if not found:
        left_out.append(f"{trial}: no installed task fits it.")


def case_of(backbone: Trial, of_task: Trial, task: Task) -> Case:
    """The case of a backbone with a task that fits it."""
    return Case(
        backbone=backbone,
        task=of_task,
        generates=isinstance(task, Generates),
        labels=labels_of(task),
        reads=tuple(getattr(task, "reads", ())),
        # Documents in one row are no other backbone.
        needs=task.needs - {"segments"},
    )


def labels_of(task: Task) -> Labels:
    """What an example is labelled with, by what the task gives to metrics."""
    kinds = produced(task)
    by_kind: dict[str, Labels] = {
        "label_sets": "several",
        "numbers": "number",
        "tag_sequences": "tags",
    }
    if "texts" in kinds and isinstance(task, Joins):
        return "answers"
    for kind, labels in by_kind.items():
        if kind in kinds:
            return labels
    return "one"


def _reads_alike(task: Task, backbone: Backbone) -> bool:
    """Both read a source besides, or neither does."""
    return ("encoder_decoder" in task.needs) == ("encoder_decoder" in backbone.capabilities)


def _built(
    kind: str, registry: Registry, backends: tuple[str, str], left_out: list[str]
) -> Iterator[str]:
    """The components of a kind that both backends build, the default first."""
    names = [entry.component.name for entry in registry.of(kind)]
    for name in sorted(names, key=lambda name: name != registry.default(kind)):
        lacking = [one for one in backends if name not in registry.built_by(one, kind)]
        if lacking:
            left_out.append(f"{kind} {name}: it has no builder for {' and '.join(lacking)}.")
        else:
            yield name


def _trials(kind: str, name: str, registry: Registry, left_out: list[str]) -> Iterator[Trial]:
    try:
        component = registry.usable(kind, name)
    except PluginError as error:
        left_out.append(f"{kind} {name}: {error}")
        return
    for trial, keys in component.trials.items():
        yield Trial(name, trial, dict(keys))


def choice_of(kind: str, trial: Trial, registry: Registry) -> Choice:
    """The component with its own config. Raises PluginError for keys that it does not take."""
    found, mistakes = structure(trial.table, HINTS[kind], make_converter(registry, Path()))
    if mistakes:
        key = ".".join(map(str, mistakes[0].path))
        raise PluginError(f"its trial {trial.name!r}: {key}: {mistakes[0].message}.")
    return found


def _made(kind: str, trial: Trial, registry: Registry, left_out: list[str]) -> Any:
    try:
        choice = choice_of(kind, trial, registry)
        return registry.target(kind, trial.type)(choice.config)
    except LoomlmError as error:
        left_out.append(f"{kind} {trial}: {error}")
        return None
