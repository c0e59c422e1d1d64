"""The keys of `[backends.numpy]`."""

from attrs import frozen

from loomlm.plugin import key


@frozen
class NumpyConfig:
    """What only this backend knows."""

    logits_at_once: int = key(
        "numbers of the head's result that are held at once while the loss is taken: a large "
        "vocabulary needs no more memory than this",
        1 << 22,
        minimum=1,
    )
