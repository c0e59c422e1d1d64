"""What is checked of a component: each property, with each of its trials, on each backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import field, frozen

from loomlm.components import KINDS as ALL_KINDS
from loomlm.components import Component
from loomlm.config.check import usable_backends
from loomlm.config.structure import make_converter, structure
from loomlm.errors import PluginError, UsageError, did_you_mean
from loomlm.registry import Registry
from loomlm.registry.plugins import words
from loomlm.testing.conformance.shared import Shared

KINDS = ("tokenizer", "backbone", "trainer", "metric", "data_source")
"""The kinds that have a checker, each in the module of its name."""


class NotApplicable(Exception):  # noqa: N818 - no error: the test is skipped
    """A property that this component does not promise, with the reason."""


@frozen(kw_only=True)
class Subject:
    """A component with one of its `trials`, as a property gets it.

    keys: its keys, as a config gives them. backend: what builds it, where something does.
    given: what else the author said, such as a metric's `reference`. folder: for files.
    shared: what checks share with those before them.
    """

    registry: Registry
    component: Component
    keys: Mapping[str, Any] = field(hash=False)
    backend: str = ""
    given: Mapping[str, Any] = field(factory=dict, hash=False)
    folder: Path = Path()
    shared: Shared = field(factory=Shared, eq=False)

    @property
    def config(self) -> Any:
        """The component's own config. Raises PluginError for keys that it does not take."""
        component = self.component
        converter = make_converter(self.registry, self.folder)
        found, mistakes = structure(dict(self.keys), component.config, converter)
        if mistakes:
            key = ".".join(map(str, mistakes[0].path))
            raise PluginError(f"{component.kind}:{component.name}: {key}: {mistakes[0].message}.")
        return found


@frozen(kw_only=True)
class Case:
    """One property of one component, with one of its trials, on one backend."""

    holds: Callable[[Subject], None]
    component: Component
    trial: str
    backend: str

    def __str__(self) -> str:
        parts = (self.backend, self.trial if self.trial != "default" else "", self.holds.__name__)
        return "-".join(part for part in parts if part)


def cases(registry: Registry, spec: str) -> Iterator[Case]:
    """Every case of the component that `kind:name` names, on the backends that can be used.

    Raises UsageError for another spelling or a kind without a checker; PluginError for a component
    that is not there or lacks something.
    """
    kind, name = _parts(spec)
    component = registry.usable(kind, name)
    for backend in backends_of(registry, component):
        for trial in component.trials:
            for holds in _properties(kind):
                yield Case(holds=holds, component=component, trial=trial, backend=backend)


def lacking(registry: Registry, spec: str) -> str:
    """Why the component cannot be checked here: a module that it requires is not installed.

    Raises UsageError and PluginError as `cases` does.
    """
    kind, name = _parts(spec)
    if not registry.find(kind, name).component.missing():
        return ""
    try:
        registry.usable(kind, name)
    except PluginError as error:
        return str(error)
    return ""


def check_keys(registry: Registry, spec: str, keys: object) -> None:
    """Raises UsageError for keys, or trials without any, that the component does not take.

    What a function gives, only a test can see.
    """
    if callable(keys):
        return
    kind, name = _parts(spec)
    component = registry.usable(kind, name)
    trials = component.trials.values() if keys is None else [keys]
    for trial in trials:
        subject = Subject(registry=registry, component=component, keys=_mapping(trial))
        try:
            _ = subject.config
        except PluginError as error:
            hint = "The mark takes keys={...}, or keys=function: from a folder to them."
            raise UsageError(f"{error} {hint}") from None


def _mapping(keys: Any) -> Mapping[str, Any]:
    if not isinstance(keys, Mapping):
        raise UsageError(
            f"The mark's `keys` is a table, or a function that gives one, not {keys!r}."
        )
    return keys


def check_given(spec: str, given: Mapping[str, Any]) -> None:
    """Raises UsageError for what the checker of the kind does not take in the mark."""
    kind, _ = _parts(spec)
    known = getattr(_checker(kind), "GIVEN", None)
    for name in given:
        if known is not None and name not in known:
            raise UsageError(
                f"The check of a {kind.replace('_', ' ')} takes no {name!r}. "
                f"{did_you_mean(name, ('plugins', 'keys', *known))}"
            )


def _parts(spec: str) -> tuple[str, str]:
    """Kind and name."""
    kind, _, name = spec.partition(":")
    if name and kind in ALL_KINDS and kind not in KINDS:
        raise UsageError(
            f"There is no check of a {words(kind)}: the kit has one of {', '.join(KINDS)}. A small "
            "run tests any part, and `loomlm doctor --parity` whether backends come to the same."
        )
    if kind not in KINDS or not name:
        raise UsageError(
            f"A component to check is KIND:NAME, such as tokenizer:bpe, not {spec!r}. "
            f"{did_you_mean(kind, KINDS)}"
        )
    return kind, name


def _checker(kind: str) -> ModuleType:
    """The module that checks a kind: PROPERTIES, and GIVEN, the names that a mark may have."""
    return import_module(f"loomlm.testing.conformance.{kind}")


def _properties(kind: str) -> Sequence[Callable[[Subject], None]]:
    return _checker(kind).PROPERTIES


def backends_of(registry: Registry, component: Component) -> Sequence[str]:
    """Those that build a backbone; a trainer is one; other kinds need none."""
    if component.kind == "trainer":
        return (component.name,)
    if component.kind != "backbone":
        return ("",)
    usable = usable_backends(registry)
    return [name for name in usable if component.name in registry.built_by(name, "backbone")]
