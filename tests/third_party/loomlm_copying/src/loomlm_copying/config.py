"""The keys of the task and of the backbone."""

from attrs import frozen

from loomlm.plugin import key


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
