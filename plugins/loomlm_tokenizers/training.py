"""Trains each of the five models. The same texts give the same tokenizer.json, byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from loomlm.plugin import UsageError
from loomlm_tokenizers.config import (
    BpeConfig,
    CharacterConfig,
    UnigramConfig,
    WordConfig,
    WordPieceConfig,
)
from loomlm_tokenizers.tokenizer import END, FILE, PAD, UNKNOWN, HuggingFaceTokenizer, from_json

SPECIAL = [PAD, UNKNOWN, END]


class _Factory:
    """`load`, and `train` with the training left to `make`: shared by the five factories."""

    make: Callable[[Any, Iterable[str]], Backend]

    @classmethod
    def train(cls, config: Any, texts: Iterable[str]) -> HuggingFaceTokenizer:
        """Learn a vocabulary from texts, or read the file that the config names."""
        if config.file is not None:
            return _read(config.file)
        some = _Some(texts)
        try:
            backend = cls.make(config, some)
        except UsageError:
            raise
        # The library raises bare Exceptions, and panics, when texts and options do not fit.
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise UsageError(f"The tokenizer cannot be trained: {error}.") from None
        if not some.found:
            raise UsageError("The tokenizer cannot be trained: the training text is empty.")
        return HuggingFaceTokenizer(Backend.from_str(backend.to_str()))

    @classmethod
    def load(cls, config: Any, files: Mapping[str, bytes]) -> HuggingFaceTokenizer:
        """The tokenizer of its files."""
        return from_json(files[FILE], FILE)


class _Some:
    """Texts, and whether there was any character in them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = texts
        self.found = False

    def __iter__(self) -> Any:
        for text in self._texts:
            self.found = self.found or bool(text.strip())
            yield text


class Bpe(_Factory):
    """Byte-level byte-pair encoding: nothing is unknown."""

    @staticmethod
    def make(config: BpeConfig, texts: Iterable[str]) -> Backend:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        special = [PAD, END]
        _check_size(config.vocab_size, len(alphabet) + len(special), "256 bytes")
        backend = Backend(models.BPE())
        if config.lowercase:
            backend.normalizer = normalizers.Lowercase()
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=config.vocab_size,
            min_frequency=config.min_frequency,
            special_tokens=special,
            initial_alphabet=alphabet,
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        return backend


class WordPiece(_Factory):
    """Pieces of words; `##` marks one that continues a word."""

    @staticmethod
    def make(config: WordPieceConfig, texts: Iterable[str]) -> Backend:
        backend = Backend(models.WordPiece(unk_token=UNKNOWN, max_input_chars_per_word=100))
        backend.normalizer = normalizers.BertNormalizer(lowercase=config.lowercase)
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        backend.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(
            vocab_size=config.vocab_size,
            min_frequency=config.min_frequency,
            special_tokens=SPECIAL,
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        _check_trained(backend, config.vocab_size)
        return backend


class Unigram(_Factory):
    """Pieces chosen by a unigram language model."""

    @staticmethod
    def make(config: UnigramConfig, texts: Iterable[str]) -> Backend:
        backend = Backend(models.Unigram())
        backend.normalizer = _unigram_normalizer(config.lowercase)
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        backend.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=config.vocab_size,
            special_tokens=SPECIAL,
            unk_token=UNKNOWN,
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        _check_trained(backend, config.vocab_size)
        return backend


class Word(_Factory):
    """Whole words and single punctuation marks; Chinese characters are words of their own."""

    @staticmethod
    def make(config: WordConfig, texts: Iterable[str]) -> Backend:
        backend = Backend(models.WordLevel(unk_token=UNKNOWN))
        backend.normalizer = normalizers.BertNormalizer(
            lowercase=config.lowercase, strip_accents=False
        )
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordLevelTrainer(
            vocab_size=config.vocab_size,
            min_frequency=config.min_frequency,
            special_tokens=SPECIAL,
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        return backend


class Character(_Factory):
    """Single characters, spaces and line ends among them."""

    @staticmethod
    def make(config: CharacterConfig, texts: Iterable[str]) -> Backend:
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
        kept = [
            character
            for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            if count >= config.min_frequency and not _lone_surrogate(character)
        ]
        if config.vocab_size is not None:
            kept = kept[: config.vocab_size - len(SPECIAL)]
        vocabulary = {token: number for number, token in enumerate([*SPECIAL, *kept])}
        backend = Backend(models.WordLevel(vocabulary, unk_token=UNKNOWN))
        backend.add_special_tokens(SPECIAL)
        backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        backend.decoder = decoders.Fuse()
        return backend


def _lone_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


def _read(file: Path) -> HuggingFaceTokenizer:
    path = file / FILE if file.is_dir() else file
    try:
        return from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise UsageError(f"The tokenizer {path} cannot be read: {error.strerror}.") from None


def _unigram_normalizer(lowercase: bool) -> Any:
    steps = [normalizers.NFKC(), *([normalizers.Lowercase()] if lowercase else [])]
    return normalizers.Sequence(steps)


def _check_size(size: int, needed: int, what: str) -> None:
    if size < needed:
        raise UsageError(
            f"tokenizer.vocab_size = {size} is too small for {what} and the special tokens. "
            f"The smallest that works is {needed}."
        )


def _check_trained(backend: Backend, size: int) -> None:
    """The library keeps the whole alphabet, whatever size was asked for."""
    _check_size(size, min(backend.get_vocab_size(), 1 << 30), "the characters of the text")
