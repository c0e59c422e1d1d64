"""Tells a URL when a run has ended: what the plugin adds to Loomlm stands on this page.

Its command, `loomlm notify-test`, is an entry point of its own in `pyproject.toml`.
"""

from loomlm.plugin import Component, hookimpl
from loomlm_notify.config import NotifyConfig

loomlm_api = (1, 1)
"""The plugin API that this plugin works with, first and last."""


@hookimpl
def loomlm_observers() -> list[Component]:
    return [
        Component(
            kind="observer",
            name="notify",
            summary="tells a URL when the run has ended, and how",
            target="loomlm_notify.observer:Notify",
            config=NotifyConfig,
        )
    ]
