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


@frozen
class AverageConfig:
    """The keys of `[backbone]` beside `type`; types and bounds are strict."""

    width: int = key("size of a token's embedding", 64, minimum=1)


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
            # Sets of keys, by name, that the conformance kit tries.
            trials={"default": {}, "float64": {"arithmetic": "float64"}},
        )
    ]


@hookimpl
def loomlm_backbones() -> list[Component]:
    """A backbone that is small enough to write its gradients out by hand."""
    return [
        Component(
            kind="backbone",
            name="plugin_component",
            summary="the mean of a text's embeddings",
            target="plugin_package.backbone:Average",
            config=AverageConfig,
            trials={"default": {"width": 8}},
        )
    ]


@hookimpl
def loomlm_builders() -> list[Builder]:
    """What the backend builds backbones and optimizers with; all others are refused.

    Those of Loomlm, `mlp`, `rnn` and `transformer`, `muon` and `sgd`, are one more line
    each, and the code that the line names.
    """
    return [
        _builder("backbone", "plugin_component", "plugin_package.model:Average"),
        _builder("optimizer", "adamw", "plugin_package.optimizer:AdamW"),
    ]


def _builder(kind: str, name: str, target: str) -> Builder:
    return Builder(kind=kind, name=name, backend="plugin_component", target=target)
