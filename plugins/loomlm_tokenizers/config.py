"""Config classes of the built-in tokenizers; nothing heavy."""

from pathlib import Path
from typing import Any

from attrs import frozen

from loomlm.plugin import key


def _vocab_size(default: int) -> Any:
    return key("most tokens of the vocabulary, special ones included", default, minimum=4)


def _frequency(default: int) -> Any:
    return key("how often a token must occur to be one", default, minimum=1)


def _lowercase(default: bool) -> Any:
    return key("fold letters to lower case", default)


def _file() -> Any:
    return key("a tokenizer.json, or a folder with one, to use instead of training", None)


@frozen
class BpeConfig:
    """Byte-level byte-pair encoding (Sennrich 2016, Radford 2019)."""

    vocab_size: int = _vocab_size(16_000)
    min_frequency: int = _frequency(2)
    lowercase: bool = _lowercase(False)
    file: Path | None = _file()


@frozen
class WordPieceConfig:
    """WordPiece (Schuster 2012, Devlin 2019)."""

    vocab_size: int = _vocab_size(16_000)
    min_frequency: int = _frequency(2)
    lowercase: bool = _lowercase(True)
    file: Path | None = _file()


@frozen
class UnigramConfig:
    """Unigram language model (Kudo 2018)."""

    vocab_size: int = _vocab_size(16_000)
    lowercase: bool = _lowercase(False)
    file: Path | None = _file()


@frozen
class WordConfig:
    """Words and punctuation marks."""

    vocab_size: int = _vocab_size(50_000)
    min_frequency: int = _frequency(1)
    lowercase: bool = _lowercase(True)
    file: Path | None = _file()


@frozen
class CharacterConfig:
    """Single characters."""

    vocab_size: int | None = key("most characters, special tokens included; all by default", None)
    min_frequency: int = _frequency(1)
    file: Path | None = _file()
