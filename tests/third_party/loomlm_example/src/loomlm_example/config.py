"""The keys of each component, with the documentation and the bounds that users see.

Nothing heavy is imported here: a config is checked, and its JSON Schema made, without numpy or
torch. What a type and its bounds cannot say is checked in `__attrs_post_init__`.
"""

from pathlib import Path

from attrs import frozen

from loomlm.plugin import key


@frozen
class WhitespaceConfig:
    """Words, parted by white space."""

    max_words: int = key("how many words are kept, the most frequent ones", 50_000, minimum=1)
    lower_case: bool = key("take upper and lower case as the same", True)


@frozen
class GatedMeanConfig:
    """Mean of gated embeddings."""

    width: int = key("size of an embedding", 64, minimum=1)
    dropout: float = key("share of the mean left out in training", 0.0, minimum=0, maximum=0.95)


@frozen
class SqliteConfig:
    """Tables of an SQLite file."""

    file: Path = key("the SQLite file")
    text: str = key("the column of the texts", "text")
    label: str | None = key("the column of the labels", None)
    train: str = key("the table of the training examples", "train")
    validation: str | None = key("the table of the validation examples", None)
    test: str | None = key("the table of the test examples", None)

    def __attrs_post_init__(self) -> None:
        if self.label == self.text:
            raise ValueError(f"label must be another column than text, got {self.label!r} for both")
