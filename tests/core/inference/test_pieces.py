"""Pieces of text join to what decoding everything at once gives."""

from __future__ import annotations

from functools import cache
from os.path import commonprefix
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.inference.generate import Pieces
from loomlm.registry import Registry

TEXTS = [
    "The naïve café — 5 € for a crêpe, isn't it?",
    "Ein Mädchen läuft über die Straße. 日本語 and 👩‍🚀 too!",
    "the cat sat on the mat, and the dog did not.",
] * 4
KINDS = {
    "bpe": {"vocab_size": 300},
    "wordpiece": {"vocab_size": 120},
    "unigram": {"vocab_size": 90},
    "word": {"vocab_size": 40},
    "character": {},
}


@cache
def tokenizer(kind: str) -> Any:
    component = Registry.load().usable("tokenizer", kind)
    return component.load().train(component.config(**KINDS[kind]), TEXTS)


def pieces(decoder: Any, prompt: list[int], new: list[int]) -> list[str]:
    text, found = Pieces(decoder, list(prompt)), []
    for token in new:
        text.add(token)
        found.append(text.next())
    return [*found, text.rest()]


def added(decoder: Any, prompt: list[int], new: list[int]) -> str:
    """What all the tokens say beyond what the prompt says."""
    before, whole = decoder.decode(prompt), decoder.decode([*prompt, *new])
    return whole[len(commonprefix([before, whole])) :]  # noqa: RUF071 - of characters


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_pieces_of_any_tokens_join_to_their_text(kind, data):
    made = tokenizer(kind)
    ids = st.lists(st.integers(0, made.vocab_size - 1), max_size=20)
    prompt, new = data.draw(ids), data.draw(ids)

    assert "".join(pieces(made, prompt, new)) == added(made, prompt, new)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_pieces_of_a_text_are_cut_from_it(kind, data):
    made = tokenizer(kind)
    ids = made.encode_many([data.draw(st.sampled_from(TEXTS))]).values.tolist()
    cut = data.draw(st.integers(0, len(ids)))

    found = pieces(made, ids[:cut], ids[cut:])

    assert made.decode(ids[:cut]) + "".join(found) == made.decode(ids) or kind == "bpe"
    assert "".join(found) == added(made, ids[:cut], ids[cut:])
    assert "\ufffd" not in "".join(found)


def test_a_character_is_held_back_until_it_is_whole():
    made = tokenizer("bpe")
    ids = made.encode_many(["x🦊y"]).values.tolist()
    assert len(ids) > 3, "no merge of these bytes was learnt"

    found = pieces(made, [], ids)

    assert [piece for piece in found if piece] == ["x", "🦊", "y"]


def test_a_character_that_never_becomes_whole_is_told_at_the_end():
    made = tokenizer("bpe")
    ids = made.encode_many(["x🦊"]).values.tolist()[:-1]

    assert pieces(made, [], ids)[-1] == "\ufffd"


class Rewriting:
    """Writes n before g otherwise, as some decoders do with marks and accents."""

    def decode(self, ids: list[int]) -> str:
        return "".join(map(chr, ids)).replace("ng", "ŋ")


def written(prompt: str, new: str) -> str:
    return "".join(pieces(Rewriting(), list(map(ord, prompt)), list(map(ord, new))))


@pytest.mark.parametrize(
    ("prompt", "new", "expected"),
    [("ki", "ng", "nŋ"), ("kin", "g", "ŋ"), ("kin", "gs", "ŋs"), ("kin", "d", "d"), ("", "", "")],
)
def test_a_decoder_that_writes_the_prompt_otherwise_loses_no_text(prompt, new, expected):
    assert written(prompt, new) == expected
