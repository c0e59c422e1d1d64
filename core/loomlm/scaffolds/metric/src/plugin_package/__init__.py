"""A metric for Loomlm: what is registered, and its keys.

The entry point in `pyproject.toml` has this module imported whenever `loomlm` starts.
So it holds records and config classes, and imports no framework and no numpy. What a
record's `target` names is imported when a run needs it.
"""

from typing import Literal

from attrs import frozen
from loomlm.plugin import Component, hookimpl, key

loomlm_api = (1, 1)
"""The first and the last version of the plugin API that this plugin works with."""


@frozen
class KappaConfig:
    """The metric's keys, beside `type`. Types and bounds are strict."""

    weights: Literal["none", "linear", "quadratic"] = key(
        "how much a mistake counts: each the same, or by how far apart the two labels "
        "are in their order",
        "none",
    )


@hookimpl
def loomlm_metrics() -> list[Component]:
    return [
        Component(
            kind="metric",
            name="plugin_component",
            summary="plugin-summary",
            target="plugin_package.metric:Kappa",
            config=KappaConfig,
            # Sets of keys, by name, that checks try.
            trials={
                "default": {},
                "linear": {"weights": "linear"},
                "quadratic": {"weights": "quadratic"},
            },
        )
    ]
