"""Byte-level BPE by another engine: the ids are the library's, whatever the text and the file."""

import gzip
import json
import lzma
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers

from loomlm_tokenizers import fast
from loomlm_tokenizers import tokenizer as module
from loomlm_tokenizers.config import BPEConfig
from loomlm_tokenizers.fast import MARK, fast_byte_pairs, spans
from loomlm_tokenizers.tokenizer import BPE
from loomlm_tokenizers.training import well_formed

SETS = Path(__file__).parents[4] / "shared" / "data"

TEXTS = [
    "The quick brown fox's friends don't jump over 123 lazy dogs; they'll sleep.",
    "Über naïve cafés: 日本語の文 😀👩‍👩‍👧 <end> <pad>\n\n\tA second  line,   the same.",
    "ΟΔΟΣ οδος İstanbul ǅ ﬁ ½ ²٣४",
    "",
] * 20
NAMES = ["<pad>", "<end>", "<|endoftext|>", MARK, MARK[:2], MARK[1:]]
SPACES = " \t\n\r\x0b\x0c\x1c\x1d\x85\xa0\u1680\u180e\u2003\u2028\u2029\u200b\u3000\ufeff"
SIGMAS, DOTS = "\u03a3\u03c3\u03c2", "İI\u0131\u017fK"
JOINING = "\u0301\u0345\u200d\ufe0f\U0001f469\u0e33"
ODD = f"{SPACES}{SIGMAS}{DOTS}{JOINING}\0'sdmtlvre\u0663\ud800\udfff"
PIECES = st.sampled_from([*NAMES, *ODD, "'s", "'LL", "  ", " a", "1"])
HOSTILE = st.one_of(
    st.text(st.characters(), max_size=40),
    st.lists(PIECES, max_size=20).map("".join),
)


@pytest.fixture(scope="module")
def trained():
    made = {}

    def get(lowercase=False):
        if lowercase not in made:
            config = BPEConfig(vocab_size=420, lowercase=lowercase)
            made[lowercase] = BPE.train(config, iter(TEXTS))
        return made[lowercase]

    return get


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """However short the texts are."""
    monkeypatch.setattr(module, "MANY", 0)


def library_s(tokenizer, texts):
    library = tokenizers.Tokenizer.from_str(tokenizer.files()["tokenizer.json"].decode())
    library.encode_special_tokens = True
    encoded = library.encode_batch_fast(list(map(well_formed, texts)), add_special_tokens=False)
    return [row.ids for row in encoded]


def ours(tokenizer, texts):
    rows = tokenizer.encode_many(texts)
    assert rows.values.dtype == np.int32
    assert rows.offsets.dtype == np.int64
    return [row.tolist() for row in rows]


both = pytest.mark.parametrize("lowercase", [False, True])


@both
@settings(max_examples=150, deadline=None)
@given(texts=st.lists(HOSTILE, max_size=6))
@example(texts=["a" + MARK, MARK + "b", "", MARK])
@example(texts=["\ud83d", "\ude00", "x \ud83d\ude00"])
def test_hostile_texts(trained, lowercase, texts):
    tokenizer = trained(lowercase)
    assert ours(tokenizer, texts) == library_s(tokenizer, texts)


@both
def test_every_kind_of_character_among_letters_digits_and_spaces(trained, lowercase):
    tokenizer = trained(lowercase)
    # Without the insides of Han, Hangul and what is private: one class each.
    kinds = (range(0x3500), range(0x9FF0, 0xAC10), range(0xD7A0, 0xD800), range(0xF8F0, 0x1FFFF))
    codes = [code for part in (*kinds, range(0xE0000, 0xE0200)) for code in part]
    texts = [f"a{c}b {c}{c}'s 1{c}  {c}" for c in map(chr, codes)]
    rows = ours(tokenizer, texts)
    differ = [
        hex(code)
        for code, row, theirs in zip(codes, rows, library_s(tokenizer, texts), strict=True)
        if row != theirs
    ]
    assert differ == []


def test_what_the_engines_do_not_know_alike_goes_to_the_library(trained, monkeypatch):
    tokenizer = trained()
    pretended = fast._CodePoints.of(chr(code) for code in range(0xD800) if code != ord("é"))
    monkeypatch.setattr(fast, "_same_classes", lambda: pretended)
    asked = []

    def library(texts):
        asked.extend(texts)
        return tokenizer._encode_slowly(texts)

    texts = ["plain", "café", "ü", "\U0001f600"]
    rows = fast_byte_pairs(tokenizer._tokenizer).encode_many(texts, library)
    assert asked == ["café", "\U0001f600"]
    assert [row.tolist() for row in rows] == library_s(tokenizer, texts)


LONG = [
    "a" * 300_000,
    "ab" * 300_000,
    " " * 1_200_000 + "x",
    "\n " * 200_000,
    "日本" * 150_000,
    "word, word\n" * 80_000 + "  \n" * 1000,
]


@pytest.mark.parametrize("text", LONG, ids=lambda text: repr(text[:6]))
def test_long_texts_end_and_are_the_same(trained, text):
    tokenizer = trained()
    texts = ["before", text, "", "behind"]
    assert ours(tokenizer, texts) == library_s(tokenizer, texts)


@both
@settings(max_examples=100, deadline=None)
@given(texts=st.lists(HOSTILE, max_size=6), part=st.integers(1, 12))
def test_where_texts_are_cut_makes_no_difference(trained, lowercase, texts, part):
    tokenizer = trained(lowercase)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "PART", part)
        rows = ours(tokenizer, texts)
    assert rows == library_s(tokenizer, texts)


@settings(deadline=None)
@given(
    st.lists(st.text("ab", max_size=9), max_size=20),
    st.integers(1, 30),
    st.one_of(st.none(), st.integers(1, 5)),
)
def test_spans_hold_every_text_once_and_no_more_than_is_asked(texts, most, rows):
    parts = [texts[part] for part in spans(texts, most, rows)]
    assert [text for part in parts for text in part] == texts
    for part in parts:
        assert part
        assert sum(map(len, part[:-1])) < most
        assert rows is None or len(part) <= rows


# --- files -----------------------------------------------------------------------------------


def byte_pairs(merges=(), extra=(), ids=None, **keys):
    """A byte-level BPE with these merges, written as another program writes it."""
    tokens = [*fast.byte_characters(), *dict.fromkeys(map("".join, merges)), *extra]
    numbers = ids or range(len(tokens))
    vocabulary = dict(zip(tokens, numbers, strict=True))
    made = tokenizers.Tokenizer(models.BPE(vocabulary, list(merges), **keys))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return made


WORDS = [("Ġ", "a"), ("b", "c"), ("a", "bc"), ("Ġa", "bc"), ("c", "c")]
SAMPLES = ["abc abc", " abcc cc'abc", "Abc ABC é", "END abc", "", "a", "xyz abc " * 9]


def held_against_the_library(made):
    tokenizer = BPE.load(BPEConfig(), {"tokenizer.json": made.to_str().encode()})
    assert ours(tokenizer, SAMPLES) == library_s(tokenizer, SAMPLES)
    return fast_byte_pairs(made) is not None


def test_ids_in_any_order():
    ids = np.random.default_rng(0).permutation(256 + len(WORDS)).tolist()
    assert held_against_the_library(byte_pairs(WORDS, ids=ids))


def test_a_token_that_its_own_text_does_not_come_to_is_left_to_the_library():
    # "abc" is ab and c by the rules, and the token abc by its bytes.
    assert not held_against_the_library(byte_pairs([("a", "b"), ("b", "c"), ("a", "bc")]))


def test_one_token_of_two_rules_is_left_to_the_library():
    pairs = [("a", "b"), ("b", "c"), ("a", "bc"), ("ab", "c")]
    assert not held_against_the_library(byte_pairs(pairs))


def changed(**parts):
    made = byte_pairs(WORDS)
    for name, value in parts.items():
        setattr(made, name, value)
    return made


def with_added(special):
    made = byte_pairs(WORDS)
    token = tokenizers.AddedToken("bc", special=special)
    (made.add_special_tokens if special else made.add_tokens)([token])
    return made


@pytest.mark.parametrize(
    ("made", "is_fast"),
    [
        (changed(), True),
        (changed(normalizer=normalizers.Lowercase()), True),
        (with_added(special=True), True),
        (byte_pairs(WORDS, ignore_merges=True), True),
        (with_added(special=False), False),
        (changed(normalizer=normalizers.NFD()), False),
        (changed(normalizer=normalizers.Prepend("a")), False),
        (changed(pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True)), False),
        (changed(pre_tokenizer=pre_tokenizers.ByteLevel(False, use_regex=False)), False),
        (byte_pairs(WORDS, extra=["END"], ignore_merges=True), False),
        (byte_pairs(WORDS, end_of_word_suffix="x"), False),
    ],
    ids=str,
)
def test_what_a_file_may_ask_for(made, is_fast):
    assert held_against_the_library(made) is is_fast


def test_a_vocabulary_without_some_bytes_is_left_to_the_library():
    made = tokenizers.Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert not held_against_the_library(made)


# --- sets ------------------------------------------------------------------------------------


def lines(path, count=100):
    opened = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    with opened(path, "rt", encoding="utf-8") as file:
        return [file.readline(1 << 20) for _ in range(count)]


@pytest.mark.skipif(not SETS.is_dir(), reason=f"the public sets are not at {SETS}")
@both
def test_the_first_lines_of_every_file_of_the_public_sets(trained, lowercase):
    tokenizer = trained(lowercase)
    for path in sorted(path for path in SETS.glob("*/*") if path.is_file()):
        texts = lines(path)
        assert ours(tokenizer, texts) == library_s(tokenizer, texts), path


# --- cost ------------------------------------------------------------------------------------


def test_a_short_text_does_not_load_the_other_engine():
    script = """
import json, sys
from loomlm_tokenizers.config import BPEConfig
from loomlm_tokenizers.tokenizer import BPE
tokenizer = BPE.train(BPEConfig(vocab_size=300), ["some text"] * 100)
tokenizer.encode_many(["some text"])
before = "tiktoken" in sys.modules
tokenizer.encode_many(["some text " * 10_000])
print(json.dumps([before, "tiktoken" in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert json.loads(done.stdout) == [False, True]
