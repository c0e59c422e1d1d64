"""What goes away, all of it: hooks, arguments of hooks, keys of configs, names of `loomlm.plugin`.

Each warns for one minor release, at the line of who uses it; then it goes from here and from where
it stood. A test fails when something is overdue.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from loomlm.errors import LoomlmDeprecationWarning


@frozen
class Gone:
    """What goes away. with_version: the first release without it. instead: what to write now."""

    with_version: str
    instead: str


HOOKS: dict[str, Gone] = {}
"""By name."""

ARGUMENTS: dict[tuple[str, str], Gone] = {}
"""By hook and argument."""

KEYS: dict[tuple[str, str], Gone] = {}
"""By the name of the config class and the key."""

NAMES: dict[str, tuple[Gone, Any]] = {}
"""Of `loomlm.plugin`, each with what it still means."""


def warn_of_hooks(plugin: Any) -> None:
    """Warn at the functions of a plugin, a module or an object, that implement what goes away."""
    for name, gone in HOOKS.items():
        function = getattr(plugin, name, None)
        if hasattr(function, "loomlm_impl"):
            _warn_at(function, f"the hook {name}", gone)
    for (name, argument), gone in ARGUMENTS.items():
        function: Any = getattr(plugin, name, None)
        if hasattr(function, "loomlm_impl") and argument in inspect.signature(function).parameters:
            _warn_at(function, f"the argument {argument!r} of the hook {name}", gone)


def warn_of_keys(settings: Any, origins: Mapping[tuple[str | int, ...], str]) -> None:
    """Warn at the lines of a config whose keys go away. origins: the place of each given key."""
    for path, place in origins.items() if KEYS else ():
        gone = KEYS.get(_key_at(settings, path))
        if gone is None:
            continue
        file, _, line = place.rpartition(":")
        known = line.isdigit()
        warnings.warn_explicit(
            _says(f"the key {path[-1]!r}", gone),
            LoomlmDeprecationWarning,
            filename=file if known else place,
            lineno=int(line) if known else 1,
        )


def name_of(module: str, name: str) -> Any:
    """What a name that goes away still means, with a warning at the line that takes it.

    Raises AttributeError for every other name.
    """
    if name not in NAMES:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    gone, value = NAMES[name]
    warnings.warn(_says(f"{module}.{name}", gone), LoomlmDeprecationWarning, stacklevel=3)
    return value


def _key_at(settings: Any, path: tuple[str | int, ...]) -> tuple[str, str]:
    """The class and the key that a path in a config leads to."""
    owner, value = "", settings
    for step in path:
        value = getattr(value, "config", value) if hasattr(value, "kind") else value
        owner = type(value).__name__
        if isinstance(value, tuple | list) and isinstance(step, int) and step < len(value):
            value = value[step]
        elif isinstance(value, Mapping):
            value = value.get(step)
        else:
            value = getattr(value, str(step), None)
    return owner, str(path[-1]) if path else ""


def _warn_at(function: Any, what: str, gone: Gone) -> None:
    code = inspect.unwrap(function).__code__
    warnings.warn_explicit(
        _says(what, gone),
        LoomlmDeprecationWarning,
        filename=code.co_filename,
        lineno=code.co_firstlineno,
    )


def _says(what: str, gone: Gone) -> str:
    return f"{what} goes away in loomlm {gone.with_version}: {gone.instead}."
