"""A plugin for the tests: an encoder-decoder that learns to copy its source.

It holds the contracts to more than one array of tokens: source and target, beam search over a
cache that has the source's states in it. It uses `loomlm.plugin` alone.
"""

from attrs import frozen

from loomlm.plugin import Builder, Component, hookimpl, key


@frozen
class CopyConfig:
    """Copying."""

    context: int = key("the most tokens of a row", 32, minimum=2)


@frozen
class EncoderDecoderConfig:
    """A GRU that reads, and one that writes with attention to what was read."""

    width: int = key("of embeddings and states", 32, minimum=1)
    longest: int = key("positions", 32, minimum=1)
    dropout: float = key("share of an embedding that is dropped", 0.0, minimum=0, maximum=0.9)


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
