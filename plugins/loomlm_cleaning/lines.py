"""Steps that take lines out of texts: the rules of C4, boilerplate."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from attrs import evolve, frozen

from loomlm.plugin import Dropped, Example
from loomlm_cleaning.config import BoilerplateConfig, C4Config
from loomlm_cleaning.digests import Digests, digest, folded

# Not behind an initial: "U.S. troops".
SENTENCE_END = re.compile(r"(?<!\b[A-Z])[.!?]+[\"'\u2019\u201d)\]]*(?=\s|$)")
ELLIPSES = ("...", "\u2026")


@frozen
class C4:
    """See `c4_step`."""

    config: C4Config
    splits: tuple[str, ...]

    def example(self, example: Example) -> Example | Dropped:
        """The example with the lines that stay, or why it goes."""
        lowered = example.text.lower()
        for phrase in self.config.page_phrases:
            if phrase in lowered:
                return Dropped(f"holds {phrase!r}")
        lines = [line for line in map(str.strip, example.text.splitlines()) if self._stays(line)]
        if sum(map(_sentences, lines)) < self.config.min_sentences:
            return Dropped(f"fewer than {self.config.min_sentences} sentences")
        return evolve(example, text="\n".join(lines))

    def _stays(self, line: str) -> bool:
        config, words = self.config, line.split()
        if config.ends and (not line.endswith(config.ends) or line.endswith(ELLIPSES)):
            return False
        if (
            len(words) < config.min_words
            or max(map(len, words), default=0) > config.max_word_length
        ):
            return False
        lowered = line.lower()
        return not any(phrase in lowered for phrase in config.line_phrases)


def c4_step(config: C4Config) -> C4:
    """Keeps lines that end as sentences do, and texts that are prose, as C4 was made (Raffel et al.
    2020, section 2.2).

    The bad words of the paper, its deduplication and its language are steps of their own or yours.
    Sentences are counted by a rule: one ends at ".", "!" or "?" before white space and not
    behind an initial; a line that stays has at least one.
    Changes `text` and no other field. Holds nothing in memory.
    """
    return C4(config, config.splits)


def _sentences(line: str) -> int:
    return max(len(SENTENCE_END.findall(line)), 1)


class Patterns:
    """Takes out the lines in which a pattern is found."""

    def __init__(self, config: BoilerplateConfig) -> None:
        self.splits = config.splits
        self._patterns = [re.compile(pattern) for pattern in config.patterns]

    def example(self, example: Example) -> Example | Dropped:
        """The example without them, or that nothing is left of it."""
        return without_lines(example, self._known)

    def _known(self, line: str) -> bool:
        return any(pattern.search(line) for pattern in self._patterns)


class Boilerplate(Patterns):
    """Takes out the lines that many texts have, too."""

    def __init__(self, config: BoilerplateConfig, documents: int) -> None:
        super().__init__(config)
        self._documents, self._least = documents, config.min_words
        self._common: frozenset[bytes] = frozenset()

    def fit(self, examples: Iterable[Example], others: Iterable[Example]) -> None:
        """Count the texts that each line stands in."""
        lines = Digests()
        for example in examples:
            lines.add({digest(line) for line in self._candidates(example.text)})
        self._common = frozenset(lines.in_at_least(self._documents))

    def _candidates(self, text: str) -> list[str]:
        return [
            plain
            for line in text.split("\n")
            if len((plain := folded(line)).split()) >= self._least
        ]

    def _known(self, line: str) -> bool:
        plain = folded(line)
        common = len(plain.split()) >= self._least and digest(plain) in self._common
        return common or super()._known(line)


def boilerplate_step(config: BoilerplateConfig) -> Patterns:
    """Takes lines out that stand in many texts: menus, notices, signatures.

    Lines are compared without case, with one space for a run of white space. An example is left out
    where nothing remains of a text that had something. Changes `text` and no other field.

    Memory: 65 bytes for each line of the split while lines are counted, then some 100 for each
    that is taken out. Without `documents` it holds nothing and needs no pass of its own.
    """
    if config.documents is None:
        return Patterns(config)
    return Boilerplate(config, config.documents)


def without_lines(example: Example, goes: Callable[[str], bool]) -> Example | Dropped:
    """The example without some lines of its text; as it is where none goes."""
    lines = example.text.split("\n")
    stay = [line for line in lines if not line.strip() or not goes(line)]
    return with_parts(example, stay, len(lines), "\n")


def with_parts(example: Example, stay: list[str], before: int, joined_by: str) -> Example | Dropped:
    """The example with those parts of its text that stay, of so many before."""
    if len(stay) == before:
        return example
    if not any(part.strip() for part in stay):
        return Dropped("nothing left of it")
    return evolve(example, text=joined_by.join(stay))
