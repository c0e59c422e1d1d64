"""Loomlm trains language models end to end from one config, on PyTorch or TensorFlow.

The user's API. Names are imported on first use, so that `import loomlm` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loomlm.config.load import Config, load_config
    from loomlm.errors import ConfigError, DataError, LoomlmError, PluginError, UsageError
    from loomlm.inference.model import Model, load_model
    from loomlm.training.folds import Folds, cross_validate
    from loomlm.training.run import Run, run

__all__ = [
    "Config",
    "ConfigError",
    "DataError",
    "Folds",
    "LoomlmError",
    "Model",
    "PluginError",
    "Run",
    "UsageError",
    "cross_validate",
    "load_config",
    "load_model",
    "run",
]

_HOMES = {
    "Config": "loomlm.config.load",
    "load_config": "loomlm.config.load",
    "ConfigError": "loomlm.errors",
    "DataError": "loomlm.errors",
    "LoomlmError": "loomlm.errors",
    "PluginError": "loomlm.errors",
    "UsageError": "loomlm.errors",
    "Model": "loomlm.inference.model",
    "load_model": "loomlm.inference.model",
    "Folds": "loomlm.training.folds",
    "cross_validate": "loomlm.training.folds",
    "Run": "loomlm.training.run",
    "run": "loomlm.training.run",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("loomlm")
    if name not in _HOMES:
        raise AttributeError(f"module 'loomlm' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
