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


@frozen
class SamplesConfig:
    """What a language model is asked to go on from while it trains."""

    prompts: tuple[str, ...] = key("what to go on from; an empty one begins a document", ("",))
    max_tokens: int = key("the most new tokens of a sample", 100, minimum=1)
    every: int = key("evaluations between samples", 1, minimum=1)
    seed: int = key("of what is drawn; with the same one, samples differ by the model alone", 0)

    def __attrs_post_init__(self) -> None:
        if not self.prompts:
            raise ValueError("prompts must not be empty")
