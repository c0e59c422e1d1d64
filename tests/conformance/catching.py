"""Which properties a component breaks, for the kit's own tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from attrs import frozen

from loomlm.registry import Registry
from loomlm.testing.conformance.cases import NotApplicable, Subject

BROKEN = Path(__file__).parent / "broken"


@frozen
class Catcher:
    """The components of a plugin in `broken`, and the properties of their kind."""

    kind: str
    registry: Registry
    properties: Mapping[str, Callable[[Subject], None]]

    @classmethod
    def of(cls, kind: str) -> Catcher:
        checker = import_module(f"loomlm.testing.conformance.{kind}")
        registry = Registry.load([str(BROKEN / f"{kind}s.py")])
        return cls(kind, registry, {holds.__name__: holds for holds in checker.PROPERTIES})

    @property
    def names(self) -> set[str]:
        """The components of the plugin."""
        return {e.component.name for e in self.registry.of(self.kind) if not e.plugin.distribution}

    def broken(
        self,
        name: str,
        folder: Path,
        keys: Callable[[Path], Mapping[str, Any]] = lambda folder: {},
        **given: Any,
    ) -> dict[str, str]:
        """The properties that a component does not hold to, with what is said of it."""
        found = {}
        for property_name, holds in self.properties.items():
            place = folder / property_name
            place.mkdir()
            subject = Subject(
                registry=self.registry,
                component=self.registry.find(self.kind, name).component,
                keys=keys(place),
                given=given,
                folder=place,
            )
            try:
                holds(subject)
            except AssertionError as error:
                found[property_name] = str(error)
            except NotApplicable:
                continue
        return found
