"""Keeps texts of some scripts, by Unicode's property of each character."""

from __future__ import annotations

from collections.abc import Iterator

import regex

from loomlm.plugin import UsageError, nearest
from loomlm_cleaning.config import ScriptConfig
from loomlm_cleaning.ratios import Filter

# What a misspelt name is compared with.
KNOWN = (
    *("Arabic", "Armenian", "Bengali", "Cyrillic", "Devanagari", "Ethiopic", "Georgian", "Greek"),
    *("Gujarati", "Gurmukhi", "Han", "Hangul", "Hebrew", "Hiragana", "Kannada", "Katakana"),
    *("Khmer", "Lao", "Latin", "Malayalam", "Mongolian", "Myanmar", "Sinhala", "Tamil", "Telugu"),
    *("Thai", "Tibetan"),
)


def script_step(config: ScriptConfig) -> Filter:
    """Keeps texts whose letters are of some scripts, by Unicode's property Script (UAX 24).

    Letters that belong to no script of their own count neither way. Holds nothing in memory.
    """
    named = "".join(map(_script, config.scripts))
    wanted = regex.compile(rf"(?V1)[\p{{L}}&&[{named}]]+")
    others = regex.compile(rf"(?V1)[\p{{L}}--[{named}\p{{Script=Common}}\p{{Script=Inherited}}]]+")

    def reasons(text: str) -> Iterator[str]:
        inside, outside = (sum(map(len, pattern.findall(text))) for pattern in (wanted, others))
        if not inside + outside:
            yield "no letters"
        elif inside < config.share * (inside + outside):
            yield f"too few letters in {', '.join(config.scripts)}"

    return Filter(reasons, config.splits)


def _script(name: str) -> str:
    written = rf"\p{{Script={name}}}"
    try:
        regex.compile(written)
    except regex.error:
        near = nearest(name, KNOWN)
        hint = f"Did you mean {near!r}?" if near else "Unicode's Scripts.txt lists them."
        raise UsageError(f"Unicode knows no script {name!r}. {hint}") from None
    return written
