"""An encoder-decoder that learns to copy its source: what the plugin adds stands on this page."""

from loomlm.plugin import Builder, Component, hookimpl
from loomlm_copying.config import CopyConfig, EncoderDecoderConfig

loomlm_api = (1, 1)
"""The plugin API that this plugin works with, first and last."""


@hookimpl
def loomlm_tasks() -> list[Component]:
    return [
        Component(
            kind="task",
            name="copy",
            summary="write the source once more",
            target="loomlm_copying.task:Copy",
            config=CopyConfig,
            trials={"short": {"context": 16}},
        )
    ]


@hookimpl
def loomlm_backbones() -> list[Component]:
    return [
        Component(
            kind="backbone",
            name="encoder_decoder",
            summary="two GRUs, and attention between them",
            target="loomlm_copying.backbone:EncoderDecoder",
            config=EncoderDecoderConfig,
            trials={"small": {"width": 32, "longest": 16}},
        )
    ]


@hookimpl
def loomlm_builders() -> list[Builder]:
    return [
        Builder(
            kind="backbone",
            name="encoder_decoder",
            backend=backend,
            target=f"loomlm_copying.{backend}_modules:EncoderDecoder",
        )
        for backend in ("torch", "tensorflow")
    ]
