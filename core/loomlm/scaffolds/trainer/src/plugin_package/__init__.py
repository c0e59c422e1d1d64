"""A trainer for Loomlm, that is a backend: what is registered, and its keys.

The entry point in `pyproject.toml` has this module imported whenever `loomlm` starts.
So it holds records and config classes, and imports no framework and no numpy. What a
record's `target` names is imported when a run needs it.
"""

from typing import Literal

from attrs import frozen
from loomlm.plugin import Builder, Component, hookimpl, key

loomlm_api = (1, 1)
"""The first and the last version of the plugin API that this plugin works with."""


@frozen
class BackendConfig:
    """The keys of `[backends.plugin_component]`; types and bounds are strict.

    What every backend knows, such as the learning rate, stands in a stage's `trainer`.
    """

    arithmetic: Literal["float32", "float64"] = key(
        "what sums are carried out in; weights are float32 in both", "float32"
    )


@hookimpl
def loomlm_trainers() -> list[Component]:
    return [
        Component(
            kind="trainer",
            name="plugin_component",
            summary="plugin-summary",
            target="plugin_package.trainer:Backend",
            config=BackendConfig,
            # Modules that must be there: for a backend, its framework. `install` says
            # what to type where one is not.
            requires=("numpy",),
            install="pip install numpy",
            trials={"default": {}, "float64": {"arithmetic": "float64"}},
        )
    ]


@hookimpl
def loomlm_builders() -> list[Builder]:
    """What the backend builds backbones and optimizers with; all others are refused."""
    return [
        _builder("backbone", "mlp", "plugin_package.model:Pooled"),
        _builder("optimizer", "adamw", "plugin_package.optimizer:AdamW"),
    ]


def _builder(kind: str, name: str, target: str) -> Builder:
    return Builder(kind=kind, name=name, backend="plugin_component", target=target)
