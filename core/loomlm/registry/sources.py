"""The source files behind a plugin's component, as far as they can be found."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from loomlm.registry.plugins import Plugin


def code_of(plugin: Plugin, target: str) -> str:
    """A digest of the code that a target's package holds; empty for what is built in.

    What was prepared with code that was edited since is not used again: an author need not think of
    it. The built-in components say by their version when results change.
    """
    if plugin.built_in:
        return ""
    if plugin.module.endswith(".py"):
        return _digest([Path(plugin.module)])  # It is imported anew with each registry.
    return _digest_of_package(_root(target))


def file_of(module: str) -> str:
    """The file of a module, found without importing it; empty where there is none."""
    try:
        spec = find_spec(module)
    # The packages around it are imported, which may fail in any way.
    except Exception:
        return ""
    return (spec.origin or "") if spec is not None else ""


def _root(target: str) -> str:
    return target.partition(":")[0].partition(".")[0]


@cache
def _digest_of_package(name: str) -> str:
    """Of all Python files of a package, or of a module. A process does not see them change."""
    file = Path(file_of(name))
    return _digest(sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file])


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:32]
