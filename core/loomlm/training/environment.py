"""What a run ran on: versions, plugins, machine."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import attrs

from loomlm.config.settings import Choice, RunConfig
from loomlm.models.folder import changed, made_by
from loomlm.registry import Registry
from loomlm.storage.foreign import read_json

LIBRARIES = (
    "loomlm",
    "numpy",
    "tokenizers",
    "tiktoken",
    "safetensors",
    "torch",
    "tensorflow",
    "keras",
)


def environment(run: RunConfig, backend: str, registry: Registry) -> dict[str, Any]:
    """Versions of what takes part, every plugin with where it came from, and what made each part:
    of which distribution, at which version of it and of the component.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "backend": backend,
        "libraries": {name: v for name in LIBRARIES if (v := version_of(name))},
        "plugins": [
            {
                "name": plugin.name,
                "module": plugin.module,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "state": plugin.state,
            }
            for plugin in registry.plugins
        ],
        "made_by": {
            f"{choice.kind}:{choice.type}": made_by(registry, choice)
            for choice in (Choice("trainer", backend, None), *_choices(run))
        },
    }


def changes(folder: Path, run: RunConfig, backend: str, registry: Registry) -> Iterator[str]:
    """What is not as it was when the run in a folder began: a clause for each component."""
    path = folder / "environment.json"
    if not path.is_file():
        return
    known = read_json(path).get("made_by", {})
    now = environment(run, backend, registry)["made_by"]
    for name, made in known.items():
        said = changed(made, now[name], " ".join(name.split(":", 1))) if name in now else None
        if said is not None:
            yield said


def _choices(value: Any) -> Iterator[Choice]:
    """Every component that a config names."""
    if isinstance(value, Choice):
        yield value
    elif isinstance(value, tuple):
        for inner in value:
            yield from _choices(inner)
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from _choices(getattr(value, field.name))


def version_of(library: str) -> str | None:
    """The version of an installed library; some come in a distribution for CPUs alone."""
    for distribution in (library, f"{library}-cpu"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None
