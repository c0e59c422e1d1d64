"""The cleaning steps: each is made from its config, and is a pure function of the text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser

from loomlm.plugin import NoConfig
from loomlm_cleaning.config import UnicodeConfig, WhitespaceConfig

Step = Callable[[str], str]

# Control characters but tab and line ends; soft hyphen, zero-width space, word joiner, byte-order
# mark, bidirectional controls. Joiners (U+200C, U+200D) stay: Persian, Indic scripts and emoji
# need them.
CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f"
    "\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]"
)
# A tag starts with a letter right behind the bracket, so "a < b" and "<3" are none.
MARKUP = re.compile(r"<[a-zA-Z!/?]|&[a-zA-Z#]")
SPACE = re.compile(r"\s+")
SPACE_IN_LINE = re.compile(r"[^\S\n]+")
LINE_ENDS = re.compile(r" ?\n\s*")
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
HIDDEN = frozenset(("script", "style"))


def unicode_step(config: UnicodeConfig) -> Step:
    """Unicode normalisation, UAX 15."""
    return partial(unicodedata.normalize, config.form)


def control_step(config: NoConfig) -> Step:
    """Drops what CONTROL names; carriage returns before line feeds go too."""
    return lambda text: CONTROL.sub("", text.replace("\r\n", "\n"))


def whitespace_step(config: WhitespaceConfig) -> Step:
    """One space for a run of white space, none at the ends."""
    if config.keep_lines:
        return lambda text: LINE_ENDS.sub("\n", SPACE_IN_LINE.sub(" ", text)).strip()
    return lambda text: SPACE.sub(" ", text).strip()


def lowercase_step(config: NoConfig) -> Step:
    """Lower case, as Unicode defines it."""
    return str.lower


def html_step(config: NoConfig) -> Step:
    """Text of markup: tags gone, blocks apart, entities resolved, scripts and styles dropped."""
    return html_to_text


def html_to_text(text: str) -> str:
    """See `html_step`."""
    if not MARKUP.search(text):
        return text
    parser = _Text()
    parser.feed(text)
    parser.close()
    return "".join(parser.parts)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in HIDDEN:
            self._hidden += 1
        elif tag in BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)
