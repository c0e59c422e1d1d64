"""How each kind of vocabulary is learnt: one function each, from texts to a `tokenizers` object.

The same texts give the same tokenizer, byte for byte, in any process and with any number of
threads. The library's own trainers keep that for BPE and words only:

- its WordPiece trainer numbers the `##` characters in the order of a randomly seeded hash map,
  and breaks ties by those numbers, so they are fixed here before;
- its unigram trainer sums floats in such an order, so SentencePiece trains that model, with a
  fixed number of threads, which its sums depend on.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from loomlm.plugin import UsageError
from loomlm_tokenizers.alphabet import alphabet
from loomlm_tokenizers.config import (
    BPEConfig,
    CharacterConfig,
    UnigramConfig,
    WordConfig,
    WordPieceConfig,
)
from loomlm_tokenizers.fast_words import count_words

PAD, UNKNOWN, END, MASK = "<pad>", "<unk>", "<end>", "<mask>"
SPECIAL = [PAD, UNKNOWN, END]
ANY_CHARACTER = r"[\s\S]"
_SENTENCEPIECE_THREADS = 2

Train = Callable[[Any, Iterable[str]], Tokenizer]


def train_bpe(config: BPEConfig, texts: Iterable[str]) -> Tokenizer:
    """Byte-level BPE (Sennrich 2016; bytes and word pattern as in GPT-2, Radford 2019)."""
    special = [PAD, END]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    _check_size("bpe", config.vocab_size, len(alphabet) + len(special), "every byte")
    tokenizer = Tokenizer(models.BPE())
    if config.lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=special,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def train_wordpiece(config: WordPieceConfig, texts: Iterable[str]) -> Tokenizer:
    """WordPiece (Schuster 2012), with BERT's cleaning and words (Devlin 2019).

    Lowercasing strips accents too, as BERT's does. Reads the texts twice, and keeps them.
    """
    texts = list(texts)
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=config.lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    normalizer, cutter = tokenizer.normalizer, tokenizer.pre_tokenizer

    def words(text: str) -> list[str]:
        return [word for word, _ in cutter.pre_tokenize_str(normalizer.normalize_str(text))]

    characters = alphabet(texts, words)
    _check_size("wordpiece", config.vocab_size, len(characters) + len(SPECIAL), "every character")
    trainer = trainers.WordPieceTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=SPECIAL + characters,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    # A model of its own: in the one that was trained, the characters are special tokens.
    model = models.WordPiece(tokenizer.get_vocab(), unk_token=UNKNOWN)
    trained = Tokenizer(model)
    trained.normalizer = tokenizer.normalizer
    trained.pre_tokenizer = tokenizer.pre_tokenizer
    trained.decoder = decoders.WordPiece()
    trained.add_special_tokens(SPECIAL)
    return trained


def train_word(config: WordConfig, texts: Iterable[str]) -> Tokenizer:
    """Words between spaces and punctuation marks; of equally frequent ones the alphabet's first.

    With split = "spaces" what stands between spaces, as it is; `<unk>` is the unknown word then.
    """
    _check_size("word", config.vocab_size, len(SPECIAL) + 1, "one word")
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    if config.split == "spaces":
        return _train_split_words(config, texts, tokenizer)
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=config.lowercase, strip_accents=False
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    counts = count_words(texts, config.lowercase, lambda rest: _count_words(tokenizer, rest))
    return _of_words(config, counts, tokenizer)


def _train_split_words(config: WordConfig, texts: Iterable[str], tokenizer: Tokenizer) -> Tokenizer:
    """Words of texts that are split already."""
    if config.lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    parts = [
        pre_tokenizers.Split(Regex(r"\n"), "isolated"),
        pre_tokenizers.Split(Regex(r"[^\S\n]+"), "removed"),
        # Names of the other special tokens are text.
        pre_tokenizers.Split(Regex(r"<(?=(?:pad|end|mask)>)"), "isolated"),
    ]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    return _of_words(config, _count_words(tokenizer, texts), tokenizer)


def _of_words(config: WordConfig, counts: Mapping[str, int], tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer with the words that were counted often enough."""
    # `<unk>` may stand in a text that is split already; it has its id.
    often = [w for w, n in counts.items() if n >= config.min_frequency and w != UNKNOWN]
    ranked = sorted(often, key=lambda word: (-counts[word], word))
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *ranked][: config.vocab_size])}
    tokenizer.model = models.WordLevel(vocabulary, unk_token=UNKNOWN)
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def train_character(config: CharacterConfig, texts: Iterable[str]) -> Tokenizer:
    """Unicode characters, the most frequent ones; of equally frequent ones the lower code."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    if config.vocab_size is not None:
        _check_size("character", config.vocab_size, len(SPECIAL) + 1, "one character")
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    tokens = [*SPECIAL, *ranked][: config.vocab_size]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(ANY_CHARACTER), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def train_unigram(config: UnigramConfig, texts: Iterable[str]) -> Tokenizer:
    """A unigram language model over parts of words (Kudo 2018), trained by SentencePiece.

    Text is normalised as SentencePiece does: NFKC, and white space of any kind to one space.
    """
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    steps = [normalizers.Nmt(), normalizers.NFKC()]
    if config.lowercase:
        steps.append(normalizers.Lowercase())
    steps += [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    tokenizer.normalizer = normalizers.Sequence(steps)
    # With "<" alone, no piece of a text can be the name of a special token.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Split("<", "isolated")]
    )
    words = _count_words(tokenizer, texts)
    characters = {character for word in words for character in word}
    smallest = len(characters) + len(SPECIAL) + 1
    _check_size("unigram", config.vocab_size, smallest, "every character")
    tokenizer.model = models.Unigram(_pieces(config.vocab_size, words), unk_id=1)
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def _count_words(tokenizer: Tokenizer, texts: Iterable[str]) -> dict[str, int]:
    """How often each word stands in the texts, counted by the library's threads; sorted."""
    trainer = trainers.WordLevelTrainer(vocab_size=0, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    # The trainer keeps its counts to itself; they are part of the state that pickle takes.
    counts = json.loads(trainer.__getstate__())["WordLevelTrainer"]["words"]
    return dict(sorted(counts.items()))


def _pieces(vocab_size: int, words: dict[str, int]) -> list[tuple[str, float]]:
    """Pieces of words and their log probabilities, special ones first."""
    try:
        import sentencepiece
    except ImportError:
        raise UsageError(
            "Training a unigram tokenizer needs sentencepiece. Install it: "
            "pip install sentencepiece. A tokenizer that is trained already needs it no more."
        ) from None
    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(  # pyright: ignore[reportAttributeAccessIssue]
            sentence_iterator=(f"{word}\t{count}" for word, count in words.items()),
            input_format="tsv",
            model_writer=written,
            model_type="unigram",
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            max_sentence_length=1 << 24,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            num_threads=_SENTENCEPIECE_THREADS,
            pad_id=0,
            unk_id=1,
            eos_id=2,
            bos_id=-1,
            pad_piece=PAD,
            unk_piece=UNKNOWN,
            eos_piece=END,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise UsageError(
            f"SentencePiece could not train a unigram tokenizer: {str(error).strip()}. "
            'Give more training text, or take another tokenizer, e.g. type = "bpe".'
        ) from None
    model: Any = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    # Six digits, as many as SentencePiece's floats have, so that a file read is as it was written.
    return [
        (model.id_to_piece(number), round(model.get_score(number), 6))
        for number in range(model.get_piece_size())
    ]


def _check_size(name: str, size: int, smallest: int, what: str) -> None:
    if size < smallest:
        raise UsageError(
            f"tokenizer.vocab_size = {size} is too small: {name} needs at least {smallest}, "
            f"for the special tokens and {what} of the training text."
        )


def readable(texts: Iterable[str]) -> Iterator[str]:
    """The texts as the library can take them; raises UsageError where there is no text at all."""
    empty = True
    for text in texts:
        empty = empty and not text.strip()
        yield well_formed(text)
    if empty:
        raise UsageError(
            "There is no training text to learn a vocabulary from. Check the data's text column."
        )


def well_formed(text: str) -> str:
    """The text with surrogates that stand alone, which UTF-8 has no bytes for, as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
