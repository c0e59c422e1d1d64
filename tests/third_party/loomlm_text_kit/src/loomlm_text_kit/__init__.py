"""Parts for short, noisy texts: what the plugin adds to Loomlm stands on this page."""

from loomlm.plugin import Builder, Component, hookimpl
from loomlm_text_kit.config import (
    DeduplicateConfig,
    InverseRootConfig,
    LionConfig,
    RepeatsConfig,
)

loomlm_api = (1, 1)
"""The plugin API that this plugin works with, first and last."""


@hookimpl
def loomlm_cleaners() -> list[Component]:
    return [
        Component(
            kind="cleaner",
            name="repeats",
            summary="runs of one character cut to a few",
            target="loomlm_text_kit.cleaning:repeats",
            config=RepeatsConfig,
        )
    ]


@hookimpl
def loomlm_extensions() -> list[Component]:
    return [
        Component(
            kind="extension",
            name="deduplicate",
            summary="leaves out training texts that stood there before",
            target="loomlm_text_kit.deduplicate:Deduplicate",
            config=DeduplicateConfig,
        )
    ]


@hookimpl
def loomlm_optimizers() -> list[Component]:
    return [
        Component(
            kind="optimizer",
            name="lion",
            summary="the sign of a momentum, with decoupled weight decay (Chen 2023)",
            target="loomlm_text_kit.optimizers:lion",
            config=LionConfig,
            # A sign turns where rounding does: with larger steps, curves part that are both right.
            trials={"default": {"learning_rate": 1e-4}},
        )
    ]


@hookimpl
def loomlm_builders() -> list[Builder]:
    return [
        Builder(
            kind="optimizer",
            name="lion",
            backend=backend,
            target=f"loomlm_text_kit.{backend}_optimizers:Lion",
        )
        for backend in ("torch", "tensorflow")
    ]


@hookimpl
def loomlm_schedules() -> list[Component]:
    return [
        Component(
            kind="schedule",
            name="inverse_root",
            summary="warm-up, then one over the root of the step (Vaswani 2017)",
            target="loomlm_text_kit.schedules:inverse_root",
            config=InverseRootConfig,
        )
    ]


@hookimpl
def loomlm_templates() -> list[Component]:
    return [
        Component(
            kind="template",
            name="messages",
            summary="a label for each of many short, noisy texts",
            target="loomlm_text_kit.template:messages",
        )
    ]
