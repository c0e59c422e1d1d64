"""Plugins that tests write, and what is loaded of them."""

from __future__ import annotations

import pytest

from loomlm.errors import PluginWarning
from loomlm.registry import Registry

METRIC = """
from loomlm.plugin import Component, hookimpl

@hookimpl
def loomlm_metrics():
    return [Component(kind="metric", name="{name}", summary="s", target="{target}", {more})]
"""


def metric(name: str, target: str = "nowhere:Nothing", more: str = "") -> str:
    """The source of a plugin that registers a metric."""
    return METRIC.format(name=name, target=target, more=more)


def load_with_fault() -> Registry:
    """The registry where a plugin is at fault, which is told."""
    with pytest.warns(PluginWarning):
        return Registry.load()
