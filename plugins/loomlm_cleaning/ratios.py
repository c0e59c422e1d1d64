"""Steps that leave texts out by counting: length, the Gopher rules of quality and repetition."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

from attrs import frozen

from loomlm.plugin import Dropped, Example
from loomlm_cleaning.config import GopherQualityConfig, GopherRepetitionConfig, LengthConfig

LETTER = re.compile(r"[^\W\d_]")
BULLETS = ("\u2022", "\u2023", "\u2043", "\u25aa", "\u25cf", "\u25e6", "*", "-")
ELLIPSES = ("...", "\u2026")
PARAGRAPHS = re.compile(r"\n\s*\n")


@frozen
class Filter:
    """Leaves out the examples whose text has a reason to be: a pure function of the text."""

    reasons: Callable[[str], Iterable[str]]
    splits: tuple[str, ...]

    def example(self, example: Example) -> Example | Dropped:
        """The example, or the first reason."""
        for reason in self.reasons(example.text):
            return Dropped(reason)
        return example


def length_step(config: LengthConfig) -> Filter:
    """Leaves out texts that are too short or too long; holds nothing in memory."""

    def reasons(text: str) -> Iterator[str]:
        if len(text) < config.min_characters:
            yield f"fewer than {config.min_characters} characters"
        if config.max_characters is not None and len(text) > config.max_characters:
            yield f"more than {config.max_characters} characters"
        if config.min_words or config.max_words is not None:
            words = len(text.split())
            if words < config.min_words:
                yield f"fewer than {config.min_words} words"
            if config.max_words is not None and words > config.max_words:
                yield f"more than {config.max_words} words"

    return Filter(reasons, config.splits)


def gopher_quality_step(config: GopherQualityConfig) -> Filter:
    """Leaves out what is hardly prose, by the rules of MassiveText (Rae et al. 2021, A1.1).

    Words are what stands between white space, lines those that are not blank. The paper says
    neither. Holds nothing in memory.
    """
    alternatives = "|".join(map(re.escape, sorted(config.stop_words)))
    stop_word = re.compile(rf"\b(?:{alternatives})\b", re.IGNORECASE)

    def reasons(text: str) -> Iterator[str]:
        words = text.split()
        count = max(len(words), 1)
        if len(words) < config.min_words:
            yield f"fewer than {config.min_words} words"
        if len(words) > config.max_words:
            yield f"more than {config.max_words} words"
        length = sum(map(len, words)) / count
        if length < config.min_word_length:
            yield "words too short"
        if length > config.max_word_length:
            yield "words too long"
        if text.count("#") > config.max_hashes * count:
            yield "too many hash symbols"
        if sum(map(text.count, ELLIPSES)) > config.max_ellipses * count:
            yield "too many ellipses"
        lines = _lines(text)
        bullets = sum(line.startswith(BULLETS) for line in lines)
        if bullets > config.max_bullet_lines * len(lines):
            yield "too many lines with a bullet"
        trailing = sum(line.endswith(ELLIPSES) for line in lines)
        if trailing > config.max_ellipsis_lines * len(lines):
            yield "too many lines that end with an ellipsis"
        if sum(map(bool, map(LETTER.search, words))) < config.min_alphabetic * len(words):
            yield "too few words with a letter"
        if not _has_different(stop_word, text, config.min_stop_words):
            yield "too few stop words"

    return Filter(reasons, config.splits)


def gopher_repetition_step(config: GopherRepetitionConfig) -> Filter:
    """Leaves out what repeats itself, by the rules of MassiveText (Rae et al. 2021, table A1).

    Characters are those of words, white space left out. A repeated line, paragraph or run of words
    counts from its second time on, each character once; the most frequent run counts each time, if
    it stands there twice at all. Holds nothing in memory.
    """
    tops = {2: config.top_2, 3: config.top_3, 4: config.top_4}
    duplicates = {n: getattr(config, f"duplicate_{n}") for n in range(5, 11)}

    def reasons(text: str) -> Iterator[str]:
        for what, parts, most, most_characters in (
            (
                "lines",
                _lines(text),
                config.duplicate_lines,
                config.duplicate_line_characters,
            ),
            (
                "paragraphs",
                [part.strip() for part in PARAGRAPHS.split(text) if part.strip()],
                config.duplicate_paragraphs,
                config.duplicate_paragraph_characters,
            ),
        ):
            again = _repeated(parts)
            if len(again) > most * len(parts):
                yield f"too many {what} twice"
            if _characters(again) > most_characters * _characters(parts):
                yield f"too much in {what} that stand twice"
        yield from _runs_too_often(text.split(), tops, duplicates)

    return Filter(reasons, config.splits)


def _lines(text: str) -> list[str]:
    return [line for line in map(str.strip, text.splitlines()) if line]


def _has_different(pattern: re.Pattern[str], text: str, least: int) -> bool:
    """Whether as many different words as that are found; reads no further than it must."""
    seen: set[str] = set()
    if least == 0:
        return True
    for found in pattern.finditer(text):
        seen.add(found[0].lower())
        if len(seen) >= least:
            return True
    return False


def _repeated(parts: list[str]) -> list[str]:
    """Those that stand earlier in the list, too."""
    seen: set[str] = set()
    return [part for part in parts if part in seen or seen.add(part)]


def _characters(parts: Iterable[str]) -> int:
    return sum(len(word) for part in parts for word in part.split())


def _runs_too_often(
    words: list[str], tops: Mapping[int, float], duplicates: Mapping[int, float]
) -> Iterator[str]:
    """Reasons of runs of 2 to 10 words; a longer one can only repeat where its parts do."""
    total = sum(map(len, words))
    runs: dict[int, Hashable] = dict(enumerate(words))
    for n in range(2, 11):
        longer = {at: (run, runs[at + 1]) for at, run in runs.items() if at + 1 in runs}
        counts = Counter(longer.values())
        # A number stands for a run, so that those of more words are not nested ever deeper.
        numbers = {run: number for number, run in enumerate(counts) if counts[run] > 1}
        runs = {at: numbers[run] for at, run in longer.items() if run in numbers}
        if not runs:
            return
        if n in tops:
            covered = _covered(_of_the_top(runs, words, n), n)
            if sum(len(words[at]) for at in covered) > tops[n] * total:
                yield f"one run of {n} words too often"
        if n in duplicates:
            covered = _covered(_later(runs), n)
            if sum(len(words[at]) for at in covered) > duplicates[n] * total:
                yield f"too much in runs of {n} words that stand twice"


def _of_the_top(runs: Mapping[int, Hashable], words: list[str], n: int) -> list[int]:
    """Where the most frequent run begins; of several the longest, then the first."""
    places: dict[Hashable, list[int]] = {}
    for at, run in runs.items():
        places.setdefault(run, []).append(at)

    def weight(found: list[int]) -> tuple[int, int]:
        return len(found), sum(map(len, words[found[0] : found[0] + n]))

    return max(places.values(), key=weight)


def _later(runs: Mapping[int, Hashable]) -> list[int]:
    seen: set[Hashable] = set()
    return [at for at, run in runs.items() if run in seen or seen.add(run)]


def _covered(starts: Iterable[int], n: int) -> set[int]:
    """The places of the words of runs."""
    return {place for start in starts for place in range(start, start + n)}
