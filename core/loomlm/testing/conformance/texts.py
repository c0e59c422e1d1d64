"""Texts that a tokenizer is trained on and tried with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loomlm.testing.conformance.drawing import strategies

HOSTILE = (
    "",
    " ",
    "\t\n\r\n",
    "  a  b   c  ",
    "wide\u00a0spaces\u2003\u3000of\u1680any\u2029kind\u2028\x85",
    "e\u0301 and \u00e9, \u1e9b\u0323, \u212b, A\u030a",  # composed, and not
    "Z\u0335\u0321\u031b\u0317a\u0334\u0301\u0353l\u0338\u0489g\u0336\u0341o\u0322",
    "\u0301starts with a mark",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 a family",  # four, joined
    "\U0001f3f3\ufe0f\u200d\U0001f308 \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fe",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 from right to left",
    "\u202eturned\u202c \u2067round\u2069",
    "\ufeffa mark of byte order, \ufeffand one within",
    "\x00\x01\x07\x08\x1b[31m\x7f controls",
    "\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8 \u4e2d\u6587 \ud55c\uad6d\uc5b4",
    "\u0e44\u0e21\u0e48\u0e21\u0e35\u0e0a\u0e48\u0e2d\u0e07 \u0928\u092e\u0938\u094d\u0924\u0947",
    "\ufdfa \ufb01 \u2460 \uff21 \u00bd \u1e9e\u00df \u0130\u0131 \u01c5 \u03a3\u03c3\u03c2",
    "\U0010ffff \ufffe\uffff \ue000 \U000e0041 \ufffd no characters",
    "\u200b\u2060\u00ad\u034f unseen",
    "'tis don't do not y'all's ''' ,.!? ...",
    "##ing \u2581piece \u0120word @@ </w> \u010a ##",  # as tokenizers write their tokens
    "<unk> <s></s> [CLS] [MASK] <|endoftext|> <0x0A>",
    "\\n \\u0041 %s {} ${x} &amp; \x00",
    "x" * 5000,
    "ab " * 2000,
)
"""Texts that have broken tokenizers; each is one that UTF-8 has bytes for."""

HALVES = ("broken \ud800 text", "\udfff", "\ude00\ud83d")
"""Halves of pairs, which JSON can write and UTF-8 cannot."""

TEXTS = (
    "The quick brown fox jumps over the lazy dog; the dog sleeps on.",
    "Thinking about thinkers who think the thinkable, thoughtfully thinking it over and over.",
    "Zw\u00f6lf Boxk\u00e4mpfer jagen Viktor \u00fcber den gro\u00dfen Sylter Deich, 12 of them!",
    "Na\u00efve caf\u00e9s: \u65e5\u672c\u8a9e \U0001f600 <end> <pad>\n\tA second line, the same.",
    "",
    *HOSTILE[:23],
) * 3
"""What a tokenizer is trained on, unless the author says other texts."""


def any_text(texts: Sequence[str]) -> Any:
    """A strategy for texts: of any characters, of troublesome ones, of words of the texts."""
    st = strategies()
    words = sorted({word for text in texts for word in text.split()}) or ["a"]
    piece = st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.text(st.sampled_from("\r\n\t\0\x85\u2028 \u0301\u200d\ufeff\u202ea<>[]endpk#\u2581'.")),
        st.sampled_from(HOSTILE[:23]),
        st.lists(st.sampled_from(words), max_size=6).map(" ".join),
    )
    return st.lists(piece, max_size=4).map("".join)
