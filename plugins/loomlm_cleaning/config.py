"""Config classes of the built-in cleaning steps."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen

from loomlm.plugin import UsageError, key

# A scheme, or www. and a dot; the full stop or bracket behind it belongs to the sentence.
URL = re.compile(r"\b(?:(?:https?|ftp)://|www\.)[^\s<>\"]*[^\s<>\"'.,;:!?)\]}]", re.IGNORECASE)
EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")

Splits = tuple[Literal["train", "validation", "test"], ...]


def _splits(*default: str) -> Any:
    return key("the splits that it works on", default or ("train",))


@frozen
class UnicodeConfig:
    """Unicode normalisation."""

    form: Literal["NFC", "NFD", "NFKC", "NFKD"] = key("normalisation form", "NFC")


@frozen
class WhitespaceConfig:
    """White space."""

    keep_lines: bool = key("keep line ends, one for a run of them", False)


@frozen
class MaskConfig:
    """URLs and e-mail addresses, which name somebody and teach nothing."""

    url: str | None = key("what stands for a URL; none leaves URLs alone", "[URL]")
    email: str | None = key("what stands for an e-mail address; none leaves them alone", "[EMAIL]")

    def __attrs_post_init__(self) -> None:
        for word in filter(None, (self.url, self.email)):
            if URL.search(word) or EMAIL.search(word):
                raise UsageError(f"{word!r} would be masked itself; take another word")


@frozen
class LengthConfig:
    """How long a text must be, and may be."""

    min_words: int = key("words, by white space, that a text has at least", 0, minimum=0)
    max_words: int | None = key("and at most", None, minimum=1)
    min_characters: int = key("characters that a text has at least", 0, minimum=0)
    max_characters: int | None = key("and at most", None, minimum=1)
    splits: Splits = _splits()

    def __attrs_post_init__(self) -> None:
        for unit in ("words", "characters"):
            least, most = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if most is not None and most < least:
                raise UsageError(f"no text has at least {least} and at most {most} {unit}")


@frozen
class GopherQualityConfig:
    """The quality rules of MassiveText (Rae et al. 2021, arXiv:2112.11446, appendix A1.1), with its
    thresholds.
    """

    min_words: int = key("fewer words, by white space, leave a text out", 50, minimum=0)
    max_words: int = key("more words leave it out", 100_000, minimum=1)
    min_word_length: float = key("the least mean length of words", 3.0, minimum=0)
    max_word_length: float = key("the largest mean length of words", 10.0, above=0)
    max_hashes: float = key("hash symbols for each word, at most", 0.1, minimum=0)
    max_ellipses: float = key("ellipses for each word, at most", 0.1, minimum=0)
    max_bullet_lines: float = key(
        "share of lines that begin with a bullet, at most", 0.9, minimum=0, maximum=1
    )
    max_ellipsis_lines: float = key(
        "share of lines that end with an ellipsis, at most", 0.3, minimum=0, maximum=1
    )
    min_alphabetic: float = key(
        "share of words with at least one letter, at least", 0.8, minimum=0, maximum=1
    )
    min_stop_words: int = key("different stop words in a text, at least", 2, minimum=0)
    stop_words: tuple[str, ...] = key(
        "the stop words, in lower case",
        ("the", "be", "to", "of", "and", "that", "have", "with"),
    )
    splits: Splits = _splits()

    def __attrs_post_init__(self) -> None:
        if self.min_stop_words > len(set(self.stop_words)):
            raise UsageError(
                f"min_stop_words is {self.min_stop_words}, and stop_words has "
                f"{len(set(self.stop_words))}"
            )


def _most(what: str, share: float) -> Any:
    return key(f"share of {what}, at most", share, minimum=0, maximum=1)


@frozen
class GopherRepetitionConfig:
    """The repetition rules of MassiveText (Rae et al. 2021, arXiv:2112.11446, table A1), with its
    thresholds; 1 puts a rule out.
    """

    duplicate_lines: float = _most("lines that repeat an earlier one", 0.3)
    duplicate_paragraphs: float = _most("paragraphs that repeat an earlier one", 0.3)
    duplicate_line_characters: float = _most("characters in lines that do", 0.2)
    duplicate_paragraph_characters: float = _most("characters in paragraphs that do", 0.2)
    top_2: float = _most("characters in the most frequent run of 2 words", 0.2)
    top_3: float = _most("characters in that of 3", 0.18)
    top_4: float = _most("characters in that of 4", 0.16)
    duplicate_5: float = _most("characters in runs of 5 words that repeat an earlier one", 0.15)
    duplicate_6: float = _most("characters in those of 6", 0.14)
    duplicate_7: float = _most("characters in those of 7", 0.13)
    duplicate_8: float = _most("characters in those of 8", 0.12)
    duplicate_9: float = _most("characters in those of 9", 0.11)
    duplicate_10: float = _most("characters in those of 10", 0.1)
    splits: Splits = _splits()


@frozen
class C4Config:
    """The rules of C4 (Raffel et al. 2020, JMLR 21:140, section 2.2), with its numbers."""

    ends: tuple[str, ...] = key(
        "what a line must end in to stay; empty for anything", (".", "!", "?", '"', "\u201d")
    )
    min_words: int = key("lines of fewer words go", 5, minimum=0)
    max_word_length: int = key("lines with a longer word go", 1000, minimum=1)
    line_phrases: tuple[str, ...] = key(
        "lines with one of these go, in lower case",
        (
            "javascript",
            "terms of use",
            "privacy policy",
            "cookie policy",
            "uses cookies",
            "use of cookies",
            "use cookies",
        ),
    )
    page_phrases: tuple[str, ...] = key(
        "texts with one of these are left out, in lower case", ("lorem ipsum", "{")
    )
    min_sentences: int = key("texts with fewer sentences are left out", 3, minimum=0)
    splits: Splits = _splits()


@frozen
class ScriptConfig:
    """Which scripts a text may be written in."""

    scripts: tuple[str, ...] = key(
        "names of scripts as Unicode has them: Latin, Cyrillic, Arabic, Han, Hiragana ...",
        ("Latin",),
    )
    share: float = key("share of a text's letters that are of these, at least", 0.8, above=0)
    splits: Splits = _splits()


@frozen
class LanguageConfig:
    """Which languages a text may be in."""

    languages: tuple[str, ...] = key("ISO 639 codes of the languages to keep", ("en",))
    probability: float = key("how sure the language has to be, at least", 0.5, minimum=0, maximum=1)
    splits: Splits = _splits()


@frozen
class BoilerplateConfig:
    """Which lines are not a text's own."""

    documents: int | None = key(
        "lines that stand in so many texts go; none for those of `patterns` alone", 10, minimum=2
    )
    min_words: int = key("shorter lines stay, however often they stand", 3, minimum=1)
    patterns: tuple[str, ...] = key(
        "lines in which one of these regular expressions is found go", ()
    )
    splits: Splits = _splits()

    def __attrs_post_init__(self) -> None:
        for pattern in self.patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise UsageError(f"{pattern!r} is no regular expression: {error}") from None


@frozen
class DuplicatesConfig:
    """What counts as a duplicate, and of what."""

    by: Literal["document", "paragraph", "line"] = key(
        "what is compared: whole examples, or parts of their texts", "document"
    )
    folded: bool = key("compare without case, and with one space for a run of white space", True)
    min_words: int = key("shorter paragraphs and lines stay", 1, minimum=1)
    across: bool = key("what stands in a split that came before counts too", True)
    splits: Splits = _splits()


@frozen
class NearDuplicatesConfig:
    """How near a near-duplicate is."""

    threshold: float = key(
        "Jaccard similarity of the shingles of two texts, at least", 0.8, above=0, maximum=1
    )
    words: int = key("words of a shingle", 3, minimum=1)
    permutations: int = key("hashes of a text's signature", 128, minimum=16)
    across: bool = key("what stands in a split that came before counts too", True)
    splits: Splits = _splits()


@frozen
class LabelsConfig:
    """What labels are called, and which are left out."""

    map: Mapping[str, str] = key("labels as they are, with what they are to be", dict)
    drop: tuple[str, ...] = key("labels to leave out, as they are behind `map`", ())
    splits: Splits = _splits("train", "validation", "test")

    def __attrs_post_init__(self) -> None:
        for name in self.drop:
            if name in self.map and name not in self.map.values():
                raise UsageError(
                    f"{name!r} stands in map and in drop: no label is {name!r} by then"
                )


@frozen
class SampleConfig:
    """Some of the examples, by chance."""

    examples: int = key("how many are taken", minimum=1)
    seed: int = key("which ones", 0, minimum=0)
    stratify: bool = key("keep the shares of the labels", True)
    splits: Splits = _splits()


@frozen
class AugmentConfig:
    """Copies of training examples with some words altered."""

    copies: int = key("copies of each example, besides itself", 1, minimum=1, maximum=100)
    delete: float = key("share of words that a copy lacks", 0.1, minimum=0, maximum=0.9)
    swap: float = key("share of words that are exchanged with the next", 0.1, minimum=0, maximum=1)

    def __attrs_post_init__(self) -> None:
        if not self.delete and not self.swap:
            raise UsageError("`delete` and `swap` are 0: a copy would be the example itself")
