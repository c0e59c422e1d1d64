"""A backend's own options."""

from __future__ import annotations

from typing import Any

from loomlm.config.load import Config
from loomlm.config.structure import make_converter


def engine_options(config: Config, backend: str) -> Any:
    """The config of `[backends.NAME]`, as the trainer's own class."""
    component = config.registry.find("trainer", backend).component
    converter = make_converter(config.registry, config.folder)
    return converter.structure(config.settings.backends.get(backend, {}), component.config)
