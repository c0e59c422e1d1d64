"""The cleaning steps: each is made from its config, and is a pure function of the text."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from functools import partial
from html.entities import html5

from loomlm.plugin import NoConfig
from loomlm_cleaning.config import EMAIL, URL, MaskConfig, UnicodeConfig, WhitespaceConfig

Step = Callable[[str], str]

# Control characters but tab and line ends; soft hyphen, zero-width space, word joiner, byte-order
# mark, bidirectional and annotation controls. Joiners (U+200C, U+200D) stay: Persian, Indic scripts
# and emoji need them.
CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u200b\u200e\u200f"
    "\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]"
)
CARRIAGE_RETURNS = re.compile("\r+\n")
# Not html.parser: it takes "</3" and what follows for a comment, leaves out all behind a <script>
# that is never closed, and changes with the patch releases of Python, as cleaned text must not.
MARKUP = re.compile(
    r"""<!--.*?-->
    | <(?P<hidden>script|style)\b[^<>]*>.*?</(?P=hidden)\s*>
    | <[!?][a-z][^<>]*>
    | </?(?P<tag>[a-z][a-z0-9:-]*)(?:\s(?:"[^"]*"|'[^']*'|[^<>"'])*|\s[^<>]*)?/?>
    | &(?P<entity>(?:\#[0-9]+|\#x[0-9a-f]+|[a-z][a-z0-9]*);)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE | re.ASCII,
)
SPACE = re.compile(r"\s+")
SPACE_IN_LINE = re.compile(r"[^\S\n]+")
LINE_ENDS = re.compile(r" ?\n\s*")
# A letter on both sides; a soft hyphen and U+2010 are hyphens too.
CUT_WORD = re.compile(r"(?<=[^\W\d_])[-\u00ad\u2010][^\S\n]*\n[^\S\n]*(?=([^\W\d_]))")
BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "figcaption",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "td",
        "th",
        "tr",
        "ul",
    ]
)


def unicode_step(config: UnicodeConfig) -> Step:
    """Unicode normalisation, UAX 15."""
    return partial(unicodedata.normalize, config.form)


def control_step(config: NoConfig) -> Step:
    """Drops what CONTROL names; carriage returns before line feeds go too."""
    return lambda text: CARRIAGE_RETURNS.sub("\n", CONTROL.sub("", text))


def whitespace_step(config: WhitespaceConfig) -> Step:
    """One space for a run of white space, none at the ends."""
    if config.keep_lines:
        return lambda text: LINE_ENDS.sub("\n", SPACE_IN_LINE.sub(" ", text)).strip()
    return lambda text: SPACE.sub(" ", text).strip()


def lowercase_step(config: NoConfig) -> Step:
    """Lower case, as Unicode defines it."""
    return str.lower


def hyphens_step(config: NoConfig) -> Step:
    """Words that a line's end cut in two, together; "Anglo-\\nSaxon" and "1990-\\n1995" stay."""
    return lambda text: CUT_WORD.sub(lambda cut: "" if cut[1].islower() else cut[0], text)


def mask_step(config: MaskConfig) -> Step:
    """A word for each URL and each e-mail address."""
    masks = [(URL, config.url), (EMAIL, config.email)]
    wanted = [(pattern, word) for pattern, word in masks if word is not None]

    def mask(text: str) -> str:
        for pattern, word in wanted:
            text = pattern.sub(lambda found, word=word: word, text)
        return text

    return mask


def html_step(config: NoConfig) -> Step:
    """Text of markup: tags gone, blocks apart, entities resolved, scripts and styles dropped."""
    return html_to_text


def html_to_text(text: str) -> str:
    """See `html_step`. What only looks like markup ("a < b", "</3", "AT&T") stays as it is."""
    return MARKUP.sub(_plain, text)


def _plain(markup: re.Match[str]) -> str:
    if markup["entity"]:
        return _character(markup["entity"])
    return "\n" if (markup["tag"] or "").lower() in BLOCKS else ""


def _character(entity: str) -> str:
    if entity.startswith("#"):
        return html.unescape(f"&{entity}")
    # html.unescape takes "&notebook;" for "&not" with letters behind it.
    return html5.get(entity, f"&{entity}")
