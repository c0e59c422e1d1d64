"""Which built-in components a file of marked tests leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loomlm.registry import Registry


def left_out(kind: str, tests: Mapping[str, Any]) -> set[str]:
    """The built-in components of a kind that no test of a module's `globals()` is marked for."""
    marks = (mark for test in tests.values() for mark in getattr(test, "pytestmark", ()))
    marked = {mark.args[0] for mark in marks if mark.name == "loomlm"}
    entries = Registry.load().of(kind)
    ours = {e.component.name for e in entries if e.plugin.built_in}
    assert ours
    return {name for name in ours if f"{kind}:{name}" not in marked}
