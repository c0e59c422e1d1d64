"""The one tokenizer class behind every built-in type, and the factories that make it.

A file that is loaded keeps its vocabulary, normalisation and decoding. Padding, truncation and
tokens around a text, which it may ask for, are left to tasks. Special tokens are found by the
names in a `tokenizer_config.json` beside it, else by usual names; without a padding token,
`pad_id` is `end_id`, or 0 without that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from attrs import evolve, frozen
from numpy.typing import NDArray

from loomlm.plugin import Ragged, UsageError
from loomlm_tokenizers import training, words
from loomlm_tokenizers.fast import FastBytePairs, fast_byte_pairs, spans
from loomlm_tokenizers.fast_words import FastWords, fast_words
from loomlm_tokenizers.places import located

FILE, SETTINGS = "tokenizer.json", "tokenizer_config.json"
CHUNK, PART = 1000, 1 << 22
"""At most so many texts, and about so many characters, are with the library at once."""

MANY = 1 << 16
"""From so many characters on, making a faster engine ready pays."""

PAD_NAMES = ("<pad>", "[PAD]", "<|pad|>", "<PAD>", "<|padding|>")
UNKNOWN_NAMES = ("<unk>", "[UNK]", "<|unk|>", "<UNK>")
END_NAMES = (
    "<end>", "<|endoftext|>", "</s>", "<eos>", "<|end_of_text|>", "[EOS]", "<EOS>", "[SEP]",
)  # fmt: skip
MASK_NAMES = (training.MASK, "[MASK]", "<|mask|>", "<MASK>")

# The library warns, on stderr, when a process forks after its threads have run, unless this
# variable says what is wanted. A child has no such threads, so there it must be off.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: os.environ.update(TOKENIZERS_PARALLELISM="false"))


class HubTokenizer:
    """A `tokenizers.Tokenizer` with what the contract asks for.

    Names of special tokens in a text are text: only tasks put special tokens into ids.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, settings: Mapping[str, Any]) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        vocabulary = tokenizer.get_vocab()
        several = len(set(vocabulary.values())) < len(vocabulary)  # of one id
        order = itemgetter(1, 0) if several else itemgetter(1)
        self._vocabulary = dict(sorted(vocabulary.items(), key=order))
        state = json.loads(tokenizer.to_str())
        self._characters = _character_table(state, self._vocabulary)
        self.vocab_size: int = max(self._vocabulary.values(), default=-1) + 1
        self.end_id = self._find(_name(settings, "eos_token"), *END_NAMES)
        self.unknown_id = self._find_unknown(state["model"])
        self._pad = self._find(_name(settings, "pad_token"), *PAD_NAMES)
        self.pad_id: int = next(i for i in (self._pad, self.end_id, 0) if i is not None)
        self.mask_id = self._find(_name(settings, "mask_token"), *MASK_NAMES)

    def encode_many(self, texts: Sequence[str]) -> Ragged:
        """Ids of each text, (texts,) rows of int32, without padding or truncation.

        A surrogate that stands alone is read as U+FFFD.
        """
        if self._characters is not None:
            return _encode_characters(texts, self._characters)
        if sum(map(len, texts)) >= MANY and self._fast is not None:
            return self._fast.encode_many(texts, self._encode_slowly)
        rows: list[NDArray[np.int32]] = []
        for part in spans(texts, PART, CHUNK):
            rows += self._encode_slowly(list(texts[part]))
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return Ragged(np.concatenate(rows) if rows else np.zeros(0, np.int32), offsets)

    def encode_spans(
        self, texts: Sequence[str]
    ) -> tuple[Ragged, NDArray[np.int32], NDArray[np.int32]]:
        """Ids as of `encode_many`, with the start and end of each in characters of its text.

        See `loomlm.plugin.Locates`. By the library alone, which keeps what it normalised.
        """
        return located(self._tokenizer, texts)

    @cached_property
    def _fast(self) -> FastBytePairs | FastWords | None:
        return fast_byte_pairs(self._tokenizer) or fast_words(self._tokenizer)

    def _encode_slowly(self, texts: list[str]) -> list[NDArray[np.int32]]:
        try:
            encoded = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError):
            clean = [training.well_formed(text) for text in texts]
            encoded = self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)
        return [np.array(row.ids, np.int32) for row in encoded]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, special tokens left out."""
        return self._tokenizer.decode(list(map(int, ids)), skip_special_tokens=True)

    def vocabulary(self) -> Mapping[str, int]:
        """Each token with its id, in the order of ids."""
        return self._vocabulary

    def continues(self) -> NDArray[np.bool_]:
        """Which tokens go on with a word, (vocab_size,), by how the vocabulary marks words.

        Where it marks none, as words of characters and bytes, one goes on that begins with a
        letter, a digit or half a character.
        """
        found = np.zeros(self.vocab_size, bool)
        found[list(self._vocabulary.values())] = words.going_on(
            self._tokenizer, list(self._vocabulary)
        )
        return found

    def with_mask(self) -> HubTokenizer:
        """The tokenizer with a token for what is hidden, behind the others if it has none."""
        if self.mask_id is not None:
            return self
        settings = json.loads(self.files()[SETTINGS])
        state = tokenizers.Tokenizer.from_str(self._tokenizer.to_str())
        state.add_special_tokens([training.MASK])
        return HubTokenizer(state, {**settings, "mask_token": training.MASK})

    def files(self) -> Mapping[str, bytes]:
        """The files that `tokenizers` and `transformers` read."""
        names = {
            "pad_token": self._pad,
            "unk_token": self.unknown_id,
            "eos_token": self.end_id,
            "mask_token": self.mask_id,
        }
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            "split_special_tokens": True,
            **{
                name: self._tokenizer.id_to_token(number)
                for name, number in names.items()
                if number is not None
            },
        }
        return {
            FILE: self._tokenizer.to_str(pretty=True).encode(),
            SETTINGS: (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode(),
        }

    def _find(self, *names: str | None) -> int | None:
        """The id of the first of the names that stands in the vocabulary."""
        found = (self._vocabulary.get(name) for name in names if name is not None)
        return next((number for number in found if number is not None), None)

    def _find_unknown(self, model: Mapping[str, Any]) -> int | None:
        if model["type"] == "Unigram":
            return model["unk_id"]
        return self._find(model.get("unk_token"), *UNKNOWN_NAMES)


def _name(settings: Mapping[str, Any], key: str) -> str | None:
    """A special token's name, which stands there as it is or in a table."""
    value = settings.get(key)
    return value.get("content") if isinstance(value, dict) else value


def _character_table(
    state: Mapping[str, Any], vocabulary: Mapping[str, int]
) -> NDArray[np.int32] | None:
    """The id of each code point, (0x110000,), where a token is a character and nothing else."""
    model, split = state["model"], state["pre_tokenizer"] or {}
    unknown = vocabulary.get(model.get("unk_token", ""))
    single = (
        model["type"] == "WordLevel"
        and split.get("pattern") == {"Regex": training.ANY_CHARACTER}
        and split.get("behavior") == "Isolated"
        and state["normalizer"] is None
        and all(token["special"] for token in state["added_tokens"])
    )
    if not single or unknown is None:
        return None
    table = np.full(0x110000, unknown, np.int32)
    for token, number in vocabulary.items():
        if len(token) == 1:
            table[ord(token)] = number
    return table


def _encode_characters(texts: Sequence[str], table: NDArray[np.int32]) -> Ragged:
    """What the library gives for single characters, by a table: much faster."""
    try:
        codes = "".join(texts).encode("utf-32-le")
    except UnicodeEncodeError:
        texts = [training.well_formed(text) for text in texts]
        codes = "".join(texts).encode("utf-32-le")
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return Ragged(table[np.frombuffer(codes, np.uint32)], offsets)


# --- factories -------------------------------------------------------------------------------


@frozen
class Factory:
    """Makes tokenizers of one type: its name, the library's model for it, and how it is learnt."""

    name: str
    model: str
    learn: training.Train

    def train(self, config: Any, texts: Iterable[str]) -> HubTokenizer:
        """Learn a vocabulary from texts, or read the one that `config.file` names.

        Raises UsageError for a vocabulary too small, for no text, and for a file that is none.
        """
        if config.file is not None:
            return self._read(config.file)
        trained = self.learn(config, training.readable(texts))
        return HubTokenizer(trained, {"pad_token": training.PAD, "eos_token": training.END})

    def train_masked(self, config: Any, texts: Iterable[str]) -> HubTokenizer:
        """As `train`, with a token for what is hidden, the last of as many as the config says."""
        if config.file is None and config.vocab_size is not None:
            config = evolve(config, vocab_size=config.vocab_size - 1)
        return self.train(config, texts).with_mask()

    def load(self, config: Any, files: Mapping[str, bytes]) -> HubTokenizer:
        """The tokenizer whose `files()` these are."""
        settings = json.loads(files[SETTINGS]) if SETTINGS in files else {}
        return HubTokenizer(tokenizers.Tokenizer.from_str(files[FILE].decode()), settings)

    def _read(self, path: Path) -> HubTokenizer:
        """A tokenizer.json, or a folder's, with the tokenizer_config.json beside it."""
        file = path / FILE if path.is_dir() else path
        try:
            content = file.read_bytes()
        except OSError as error:
            raise UsageError(
                f"tokenizer.file: {file} cannot be read: {error.strerror}. "
                f"Name a {FILE}, or a folder that has one."
            ) from None
        try:
            read = tokenizers.Tokenizer.from_str(content.decode())
        except Exception as error:  # the library raises plain Exception
            raise UsageError(
                f"tokenizer.file: {file} is no {FILE} of the tokenizers library: {error}."
            ) from None
        model = type(read.model).__name__
        if model != self.model:
            fitting = [factory.name for factory in FACTORIES if factory.model == model]
            raise UsageError(
                f"tokenizer.file: {file} holds a {model} model, and type is {self.name!r}. "
                f"Set tokenizer.type to {' or '.join(map(repr, fitting))}."
            )
        return HubTokenizer(read, _settings(file.with_name(SETTINGS)))


def _settings(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_bytes())
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}. Mend or remove it.") from None
    return settings if isinstance(settings, dict) else {}


BPE = Factory("bpe", "BPE", training.train_bpe)
WordPiece = Factory("wordpiece", "WordPiece", training.train_wordpiece)
Unigram = Factory("unigram", "Unigram", training.train_unigram)
Word = Factory("word", "WordLevel", training.train_word)
Character = Factory("character", "WordLevel", training.train_character)
FACTORIES = (BPE, WordPiece, Unigram, Word, Character)
