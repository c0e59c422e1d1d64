"""What a run ran on: versions, plugins, machine."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from loomlm.config.settings import RunConfig
from loomlm.registry import Registry

LIBRARIES = ("loomlm", "numpy", "tokenizers", "safetensors", "torch", "tensorflow", "keras")


def environment(run: RunConfig, backend: str, registry: Registry) -> dict[str, Any]:
    """Versions of what takes part, and every plugin with where it came from."""
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
    }


def version_of(library: str) -> str | None:
    """The version of an installed library; some come in a distribution for CPUs alone."""
    for distribution in (library, f"{library}-cpu"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None
