"""A backbone for Loomlm: what is registered, and its keys.

The entry point in `pyproject.toml` has this module imported whenever `loomlm` starts.
So it holds records and config classes, and imports no framework and no numpy. What a
record's `target` names is imported when a run needs it.
"""

from attrs import frozen
from loomlm.plugin import Builder, Component, hookimpl, key

loomlm_api = (1, 1)
"""The first and the last version of the plugin API that this plugin works with."""


@frozen
class PhrasesConfig:
    """The keys of `[backbone]` beside `type`; types and bounds are strict."""

    width: int = key("size of a token's embedding", 64, minimum=1)
    phrases: int = key("how many detectors", 128, minimum=1)
    words: int = key("tokens that a detector reads", 3, minimum=1)
    dropout: float = key(
        "share left out of the embeddings and of what the detectors found, in training",
        0.0,
        minimum=0,
        maximum=0.95,
    )


@hookimpl
def loomlm_backbones() -> list[Component]:
    return [
        Component(
            kind="backbone",
            name="plugin_component",
            summary="plugin-summary",
            target="plugin_package.backbone:Phrases",
            config=PhrasesConfig,
            # Sets of keys, by name, that the conformance kit tries: small, and together
            # all that the code can do.
            trials={
                "default": {"width": 8, "phrases": 12},
                "one_word": {"width": 8, "phrases": 12, "words": 1},
            },
        )
    ]


@hookimpl
def loomlm_builders() -> list[Builder]:
    """The module for each backend; a backend without one refuses the backbone."""
    return [
        Builder(
            kind="backbone",
            name="plugin_component",
            backend=backend,
            target=f"plugin_package.{backend}_module:Phrases",
        )
        for backend in ("torch", "tensorflow")
    ]
