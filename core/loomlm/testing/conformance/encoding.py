"""A tokenizer that was trained for a check, and what it gives, as plain lists.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loomlm.contracts import Ragged, Tokenizer
from loomlm.testing.conformance.cases import Subject
from loomlm.testing.conformance.drawing import doing, shown
from loomlm.testing.conformance.texts import TEXTS


def texts_of(subject: Subject) -> tuple[str, ...]:
    """What the tokenizer is trained on."""
    return tuple(subject.given.get("texts", TEXTS))


def trained(subject: Subject) -> Tokenizer:
    """A tokenizer that has learnt from the texts, which come once, one by one."""
    return subject.component.load().train(subject.config, iter(texts_of(subject)))


def special_of(tokenizer: Tokenizer) -> dict[str, int]:
    """The ids of the special tokens that there are, by what they are for."""
    ids = {
        "pad_id": tokenizer.pad_id,
        "unknown_id": tokenizer.unknown_id,
        "end_id": tokenizer.end_id,
    }
    return {name: number for name, number in ids.items() if number is not None}


def has_unknown(tokenizer: Tokenizer, ids: Sequence[int]) -> bool:
    """Whether the vocabulary lacked something of the text."""
    return tokenizer.unknown_id is not None and tokenizer.unknown_id in ids


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text alone."""
    (ids,) = encode_all(tokenizer, [text])
    return ids


def encode_all(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """The ids of each of some texts at once."""
    return [list(map(int, row)) for row in rows_of(tokenizer, texts)]


def rows_of(tokenizer: Tokenizer, texts: Sequence[str], refusal: bool = False) -> Ragged:
    """The rows of some texts, which must be as many. refusal: as in `doing`."""
    with doing(f"encode_many({shown(list(texts))})", refusal):
        rows = tokenizer.encode_many(list(texts))
    assert len(rows) == len(texts), f"{len(texts)} texts were given, and {len(rows)} rows came"
    return rows


def check_rows(tokenizer: Tokenizer, texts: Sequence[str], refusal: bool = False) -> None:
    """The ids of texts are as the contract says. refusal: as in `doing`."""
    rows = rows_of(tokenizer, texts, refusal)
    given = f"encode_many({shown(list(texts))})"
    values, offsets = rows.values, rows.offsets
    assert isinstance(rows, Ragged), f"{given} gave {shown(rows)}, which is not Ragged"
    assert values.dtype == np.int32, f"{given} gave ids of {values.dtype}, not int32"
    assert offsets.dtype == np.int64, f"{given} gave offsets of {offsets.dtype}, not int64"
    steps = np.diff(offsets)
    assert offsets[0] == 0, f"{given} gave offsets that begin with {offsets[0]}"
    assert (steps >= 0).all(), f"{given} gave offsets that fall: {shown(offsets.tolist())}"
    assert offsets[-1] == len(values), f"{given} gave {len(values)} ids in {offsets[-1]} places"
    size = tokenizer.vocab_size
    wrong = values[(values < 0) | (values >= size)]
    assert not len(wrong), f"{given} gave the id {wrong[0]}; vocab_size is {size}"


def decode(tokenizer: Tokenizer, ids: Any) -> str:
    """The text of ids."""
    with doing(f"decode({shown(ids)})"):
        return tokenizer.decode(ids)


def many(texts: Sequence[str], count: int) -> list[str]:
    """So many texts, each another, none of them long."""
    short = [text[:200] for text in texts]
    return [f"{short[number % len(short)]} {number}" for number in range(count)]


def same_rows(
    texts: Sequence[str], alone: list[list[int]], rows: list[list[int]], where: str
) -> None:
    """The texts have the same ids as alone."""
    for text, one, other in zip(texts, alone, rows, strict=True):
        assert one == other, f"{shown(text)} has {shown(one)} alone, and {shown(other)} {where}"


def same_files(one: Mapping[str, bytes], other: Mapping[str, bytes], when: str) -> None:
    """The files are equal, byte for byte."""
    assert set(one) == set(other), f"{when}, there are {sorted(other)}, and were {sorted(one)}"
    for name, content in one.items():
        assert other[name] == content, (
            f"{when}, {name} differs: {shown(_around(content, other[name]))} and "
            f"{shown(_around(other[name], content))}"
        )


def _around(content: bytes, other: bytes) -> bytes:
    """Where a file differs from another."""
    pairs = enumerate(zip(content, other, strict=False))
    first = next((at for at, (x, y) in pairs if x != y), min(len(content), len(other)))
    return content[max(0, first - 10) :][:60]
