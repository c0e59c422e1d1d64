"""Which tokens of a vocabulary go on with a word, and which begin one."""

from __future__ import annotations

import json
from collections.abc import Sequence

import tokenizers

from loomlm_tokenizers.fast import byte_characters
from loomlm_tokenizers.training import ANY_CHARACTER

SPACE = "\u2581"
"""What SentencePiece writes for a space."""


def going_on(tokenizer: tokenizers.Tokenizer, vocabulary: Sequence[str]) -> list[bool]:
    """For each token whether it goes on with a word. Special ones never do.

    WordPiece marks what goes on by a prefix, SentencePiece what begins by its space. Byte-level BPE
    marks spaces too, but a punctuation mark without one in front begins a word as well, and so it
    is with single characters. Words of a vocabulary of words stand alone.
    """
    state = json.loads(tokenizer.to_str())
    model, cut = state["model"], state["pre_tokenizer"] or {}
    special = {token["content"] for token in state["added_tokens"]}
    prefix = model.get("continuing_subword_prefix")
    if model["type"] == "WordLevel" and cut.get("pattern") != {"Regex": ANY_CHARACTER}:
        return [False] * len(vocabulary)
    if prefix:
        found = [token.startswith(prefix) for token in vocabulary]
    elif any(token.startswith(SPACE) for token in vocabulary):
        found = [not token.startswith(SPACE) for token in vocabulary]
    else:
        by_bytes = "ByteLevel" in json.dumps(cut)
        bytes_ = {c: byte for byte, c in enumerate(byte_characters())} if by_bytes else {}
        found = [_is_inside(bytes_.get(token[:1], ord(token[:1] or " "))) for token in vocabulary]
    pairs = zip(vocabulary, found, strict=True)
    return [inside and token not in special for token, inside in pairs]


def _is_inside(code: int) -> bool:
    """Whether a character, or a byte, is one that a word has inside."""
    return code >= 0x80 or chr(code).isalnum()
