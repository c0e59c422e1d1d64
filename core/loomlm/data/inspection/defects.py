"""Characters and marks that show that something went wrong with a text before it came here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from loomlm.data.examples import Split
from loomlm.data.inspection.counting import Counted, script
from loomlm.data.inspection.texts import whole_texts


@frozen
class Kind:
    """A kind of defect. hint: characters without one of which no text has it."""

    name: str
    pattern: re.Pattern[str]
    hint: Iterable[int]


def _codes(*spans: int | tuple[int, int]) -> tuple[int, ...]:
    """Code points, alone or from the first to the last of a span."""
    found: list[int] = []
    for span in spans:
        found += [span] if isinstance(span, int) else range(span[0], span[1] + 1)
    return tuple(found)


def _characters(name: str, *spans: int | tuple[int, int]) -> Kind:
    parts = [chr(s) if isinstance(s, int) else f"{chr(s[0])}-{chr(s[1])}" for s in spans]
    return Kind(name, re.compile(f"[{''.join(parts)}]"), _codes(*spans))


KINDS = {
    kind.name: kind
    for kind in (
        # All but tab, line feed and carriage return; NUL has a finding of its own.
        _characters("control", (0x01, 0x08), (0x0B, 0x0C), (0x0E, 0x1F), (0x7F, 0x9F)),
        _characters("nul", 0x00, 0xFEFF),
        _characters("replacement", 0xFFFD),
        _characters("private", (0xE000, 0xF8FF), (0xF0000, 0xFFFFD), (0x100000, 0x10FFFD)),
        _characters("surrogate", (0xD800, 0xDFFF)),
        # Not the joiners: Persian, Hindi and emoji are written with them.
        _characters(
            "invisible",
            0xAD,
            0x200B,
            (0x200E, 0x200F),
            (0x202A, 0x202E),
            (0x2060, 0x2064),
            (0x2066, 0x2069),
        ),
        # UTF-8 that was read as Latin-1 or Windows-1252: what the first bytes of two and of three
        # become, and a second byte.
        Kind(
            "mojibake",
            re.compile(
                "[\u00c2\u00c3\u00c5\u00d0\u00d1][\u0080-\u00bf\u0152\u0153\u0160\u0161\u2018-\u2022\u2122]"
                "|\u00e2(?:\u20ac|\u0080)[\u0080-\u00bf\u0152\u0153\u2018-\u2022\u2122\u02dc]"
            ),
            _codes(0xC2, 0xC3, 0xC5, 0xD0, 0xD1, 0xE2),
        ),
        Kind(
            "markup",
            re.compile(
                r"</?[a-zA-Z][a-zA-Z0-9]{0,15}(?:\s[^<>]*)?/?>|&(?:[a-z]{2,8}|#\d{2,6}|#x[0-9a-f]{2,5});"
            ),
            _codes(ord("<"), ord("&")),
        ),
        # Letters of two alphabets that look alike, within a word.
        Kind(
            "alphabets",
            re.compile(
                "[A-Za-z](?=[\u0400-\u04ff])|[\u0400-\u04ff](?=[A-Za-z])"
                "|[A-Za-z](?=[\u0391-\u03c9])|[\u0391-\u03c9](?=[A-Za-z])"
            ),
            _codes((0x391, 0x3C9), (0x400, 0x4FF)),
        ),
    )
}
"""The kinds of defects by name; what none of the characters of a split hints at is not sought."""


def find_defects(split: Split, counted: Counted) -> dict[str, NDArray[np.int64]]:
    """The rows that have a defect, by its kind; kinds without a row are left out."""
    kinds = [kind for kind in KINDS.values() if counted.codes[np.array(kind.hint)].any()]
    rows: dict[str, list[int]] = {kind.name: [] for kind in kinds}
    if kinds:
        for row, text in enumerate(whole_texts(split)):
            for kind in kinds:
                if kind.pattern.search(text):
                    rows[kind.name].append(row)
    return {name: np.array(found, np.int64) for name, found in rows.items() if found}


def other_scripts(split: Split, counted: Counted) -> Mapping[str, list[int]]:
    """Rows at least half of whose letters are of another script than most of the split's."""
    names = list(counted.scripts)
    found: dict[str, list[int]] = {}
    if len(names) < 2:
        return found
    for row, text in enumerate(whole_texts(split)):
        if text.isascii() and names[0] == "Latin":
            continue
        letters = [name for name in (script(ord(letter)) for letter in text) if name]
        if not letters:
            continue
        most = max(set(letters), key=letters.count)
        if most != names[0] and letters.count(most) * 2 >= len(letters):
            found.setdefault(most, []).append(row)
    return found
