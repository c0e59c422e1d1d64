"""Words of plain text by Python's `re`: vocabulary and ids are the library's, whatever the text."""

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from loomlm_tokenizers import fast_words as fast
from loomlm_tokenizers import tokenizer as module
from loomlm_tokenizers import training
from loomlm_tokenizers.config import WordConfig
from loomlm_tokenizers.fast_words import FastWords, fast_words, is_plain
from loomlm_tokenizers.tokenizer import HubTokenizer

ASCII = st.text(st.characters(max_codepoint=0x7F), max_size=40)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TEXTS = st.lists(st.one_of(ASCII, ANY), max_size=6)
EVERY_CHARACTER = "".join(f"a{chr(code)}B 1{chr(code)}" for code in range(0x80))


def by_library(texts: list[str], lowercase: bool = True, **keys) -> Tokenizer:
    """Learnt by the library's own trainer."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordLevelTrainer(
        special_tokens=training.SPECIAL, show_progress=False, **keys
    )
    tokenizer.train_from_iterator(iter(texts), trainer)
    return tokenizer


@given(TEXTS, st.booleans(), st.sampled_from([5, 100]), st.sampled_from([1, 2]))
@example([EVERY_CHARACTER, "<unk> [UNK] <pad>", "été İ \x00\x1c"], True, 100, 1)
def test_the_vocabulary_is_that_of_the_librarys_trainer(texts, lowercase, size, least):
    config = WordConfig(vocab_size=size, min_frequency=least, lowercase=lowercase)

    found = training.train_word(config, iter(texts))

    wanted = by_library(texts, lowercase, vocab_size=size, min_frequency=least)
    assert json.loads(found.to_str()) == json.loads(wanted.to_str())


@given(TEXTS, st.booleans())
@example([EVERY_CHARACTER, "", "<unk> [UNK] <pad>", "été İ \x00\x1c", "a\ud800"], True)
def test_the_ids_are_the_librarys(texts, lowercase):
    learnt = by_library([EVERY_CHARACTER, "the été <unk>"], lowercase, vocab_size=90)
    tokenizer, slow = HubTokenizer(learnt, {}), HubTokenizer(learnt, {})
    slow.__dict__["_fast"] = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MANY", 0)
        patch.setattr(fast, "PART", 7)
        found = tokenizer.encode_many(texts)
    wanted = slow.encode_many(texts)
    assert isinstance(tokenizer._fast, FastWords)
    np.testing.assert_array_equal(found.values, wanted.values)
    np.testing.assert_array_equal(found.offsets, wanted.offsets)


def test_only_printable_ascii_and_white_space_is_plain():
    assert is_plain("A line.\n\tAnother, of 7 words~\r")
    assert not any(map(is_plain, ("é", "a\x00b", "a\x1cb", "a\x7fb", "a\x0bb")))


def test_other_words_than_berts_are_left_to_the_library():
    spaces = training.train_word(WordConfig(split="spaces"), iter(["a b"]))
    assert fast_words(spaces) is None
    learnt = by_library(["a b"])
    learnt.pre_tokenizer = pre_tokenizers.Whitespace()
    assert fast_words(learnt) is None
