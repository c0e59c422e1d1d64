"""Config classes of the built-in observers."""

from pathlib import Path

from attrs import frozen

from loomlm.plugin import key


@frozen
class TensorBoardConfig:
    """Where TensorBoard's event files go."""

    folder: Path | None = key(
        "folder of event files, with one for the run in it; by default RUN/tensorboard", None
    )
