"""Config classes of the built-in tokenizers."""

from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from loomlm.plugin import key


def _size(default: int | None, what: str = "tokens") -> Any:
    return key(f"most {what} in the vocabulary, special ones included", default, minimum=1)


def _lowercase(default: bool) -> Any:
    return key("take capital letters as small ones", default)


def _frequency(default: int, what: str) -> Any:
    return key(f"how often {what} must stand in the training text", default, minimum=1)


def _file() -> Any:
    return key("a tokenizer.json, or a folder with one, to take instead of training", None)


@frozen
class BPEConfig:
    """Byte-level byte pair encoding."""

    vocab_size: int = _size(16000)
    lowercase: bool = _lowercase(False)
    min_frequency: int = _frequency(2, "a pair to be merged")
    file: Path | None = _file()


@frozen
class WordPieceConfig:
    """Parts of words; all but a word's first begin with ##."""

    vocab_size: int = _size(16000)
    lowercase: bool = _lowercase(True)
    min_frequency: int = _frequency(2, "a pair to be merged")
    file: Path | None = _file()


@frozen
class UnigramConfig:
    """Parts of words, chosen by their probabilities."""

    vocab_size: int = _size(16000)
    lowercase: bool = _lowercase(False)
    file: Path | None = _file()


@frozen
class WordConfig:
    """Words and punctuation marks."""

    split: Literal["punctuation", "spaces"] = key(
        "what parts words: spaces and punctuation marks; or spaces alone, with line ends for words "
        "too: of texts that are split already, as WikiText's, whose perplexities count them so",
        "punctuation",
    )
    vocab_size: int = _size(50000, "words")
    lowercase: bool = _lowercase(True)
    min_frequency: int = _frequency(1, "a word")
    file: Path | None = _file()


@frozen
class CharacterConfig:
    """Single characters, spaces and line ends among them."""

    vocab_size: int | None = _size(None, "characters")
    file: Path | None = _file()
