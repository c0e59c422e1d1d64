"""Checks of what the texts look like."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from loomlm.data.inspection.checks.finding import (
    BY_CLEANING,
    Finding,
    counted,
    of_rows,
    percent,
    unless_rare,
)
from loomlm.data.inspection.counting import script
from loomlm.data.inspection.defects import other_scripts
from loomlm.data.inspection.gathered import Stage
from loomlm.data.inspection.texts import whole_texts

EMPTY_FAILS = 0.1
"""Of the examples: where a tenth say nothing, a column or a delimiter is wrong."""

SHORT = 3
"""Characters that most texts have: a word of any language that says something."""

SHORT_SHARE = 0.01

LONG = 10
LONG_LEAST = 2_000
"""A text is far longer than the others from ten times their 95th percentile on, and from about a
page: below that a long one costs nothing."""

LONG_WORD = 120
"""Characters without white space: the longest words of agglutinating languages are half of that;
what is longer is encoded data, a URL or code without its spaces."""

ONE_CHARACTER = 0.3
"""Of all characters: a space is about 18% of text in any language that has them, a letter less."""

ONE_WORD = 0.5
REPETITIVE_WORDS = 20
"""A text of at least 20 words, of which one is half, repeats itself: the commonest word of a
language is 5% to 8% of its words."""

SAMPLE = 20_000
"""Texts whose lines are compared: enough to see a line that stands in one of a hundred."""

LINE = 20
LINE_SHARE = 0.02
LINE_LEAST = 10
"""A line of 20 characters or more that 2% of the texts have, and at least ten, is no part of what
they say."""

PLACEHOLDERS = frozenset(
    [
        "nan",
        "null",
        "none",
        "n/a",
        "na",
        "nil",
        "undefined",
        "unknown",
        "missing",
        "-",
        "--",
        "?",
        ".",
        "...",
        "tbd",
        "todo",
        "lorem",
        "ipsum",
        "[removed]",
        "[deleted]",
        "#n/a",
        "#name?",
        "#ref!",
        "#value!",
        "<na>",
    ]
)


def empty(stage: Stage) -> Iterator[Finding]:
    """Every text says something."""
    for name, split in stage.splits.items():
        rows = stage.counted[name].blank
        if len(rows):
            level = "fail" if len(rows) >= EMPTY_FAILS * len(split) else "warn"
            yield of_rows(
                stage,
                name,
                rows,
                "texts are empty or white space",
                f"Check data.text; take out what stays. {BY_CLEANING}",
                level,
            )


def short(stage: Stage) -> Iterator[Finding]:
    """Texts have at least a word."""
    for name, one in stage.counted.items():
        rows = np.flatnonzero((one.characters > 0) & (one.characters < SHORT))
        if len(rows) >= SHORT_SHARE * len(one) and len(rows):
            yield of_rows(
                stage,
                name,
                rows,
                f"texts have fewer than {SHORT} characters",
                "Check data.text, and that no delimiter cuts the texts.",
            )


def long(stage: Stage) -> Iterator[Finding]:
    """No text is far longer than the others."""
    for name, one in stage.counted.items():
        if len(one) < SHORT_SHARE * 10_000:
            continue
        usual = float(np.percentile(one.characters, 95))
        rows = np.flatnonzero(one.characters > max(LONG * usual, LONG_LEAST))
        if len(rows):
            rows = rows[np.argsort(-one.characters[rows])]
            most = int(one.characters[rows[0]])
            yield of_rows(
                stage,
                name,
                rows,
                f"texts are more than {LONG} times as long as 95% of them; the longest has "
                f"{most:,} characters",
                "Look whether a quote or a line end is missing there: several examples may have "
                "become one.",
            )


def placeholders(stage: Stage) -> Iterator[Finding]:
    """No text stands for one that is missing."""
    for name, split in stage.splits.items():
        texts = enumerate(whole_texts(split))
        rows = [row for row, text in texts if text.strip().lower() in PLACEHOLDERS]
        if rows:
            what = "texts are a word for what is missing, such as nan, null or [removed]"
            yield of_rows(stage, name, rows, what, "Take these examples out.")


def of_kind(kind: str, what: str, step: str) -> Callable[[Stage], Iterator[Finding]]:
    """A check for a kind of defect, which a few of many texts may have."""

    def check(stage: Stage) -> Iterator[Finding]:
        for name, defects in stage.defects.items():
            yield from unless_rare(stage, name, defects.get(kind, []), f"texts have {what}", step)

    return check


def scripts(stage: Stage) -> Iterator[Finding]:
    """The texts are of one script, or of several in good numbers."""
    for name, split in stage.splits.items():
        one = stage.counted[name]
        for other, rows in other_scripts(split, one).items():
            if len(rows) <= EMPTY_FAILS * len(split):
                main = next(iter(one.scripts))
                yield from unless_rare(
                    stage,
                    name,
                    rows,
                    f"texts are written in {other}, most in {main}",
                    f"Keep them where they are meant. {BY_CLEANING}",
                )


def characters(stage: Stage) -> Iterator[Finding]:
    """No character stands for too many of all."""
    for name, one in stage.counted.items():
        total = int(one.codes.sum())
        code = int(np.argmax(one.codes))
        if total and one.codes[code] > ONE_CHARACTER * total:
            yield Finding(
                "warn",
                f"{name}: {percent(float(one.codes[code] / total))} of all characters are "
                f"{chr(code)!r} (U+{code:04X})",
                f"Look at `loomlm data sample`. {BY_CLEANING}",
                count=int(one.codes[code]),
                split=name,
            )


def words(stage: Stage) -> Iterator[Finding]:
    """No word is longer than words are."""
    pattern = re.compile(rf"\S{{{LONG_WORD},}}")
    for name, split in stage.splits.items():
        rows = [
            row
            for row, text in enumerate(whole_texts(split))
            if (found := pattern.search(text)) and _spaced(found[0])
        ]
        what = f"texts have {LONG_WORD} characters or more without white space"
        step = f"Mask URLs, and take encoded data out. {BY_CLEANING}"
        yield from unless_rare(stage, name, rows, what, step)


def _spaced(word: str) -> bool:
    """Whether a word's script has spaces at all."""
    scripts_of = Counter(map(script, map(ord, word[:LONG_WORD])))
    return sum(scripts_of[s] for s in ("Cjk", "Hiragana", "Katakana", "Thai", "Lao", "Khmer")) < 20


def repetitive(stage: Stage) -> Iterator[Finding]:
    """Texts do not repeat one word over and over."""
    for name, split in stage.splits.items():
        rows = [row for row, text in enumerate(whole_texts(split)) if _repeats(text)]
        what = "texts are one word for the most part"
        yield from unless_rare(stage, name, rows, what, f"Take them out. {BY_CLEANING}")


def _repeats(text: str) -> bool:
    listed = text.split()
    if len(listed) < REPETITIVE_WORDS:
        return False
    # A word that is half of all stands in the middle of them when they are sorted, and counting
    # the words of each text would take several times as long.
    middle = sorted(listed)[len(listed) // 2]
    return listed.count(middle) >= ONE_WORD * len(listed)


def lines(stage: Stage) -> Iterator[Finding]:
    """Texts have few lines in common."""
    for name, split in stage.splits.items():
        again = set(stage.counted[name].repeats.tolist())
        chosen = (text for row, text in enumerate(whole_texts(split)) if row not in again)
        counts: Counter[str] = Counter()
        total = 0
        for text in islice(chosen, SAMPLE):
            total += 1
            counts.update({part for part in _parts(text) if len(part) >= LINE})
        least = max(LINE_LEAST, LINE_SHARE * total)
        often = [(line, count) for line, count in counts.most_common(20) if count >= least]
        if often:
            line, count = often[0]
            yield Finding(
                "warn",
                f"{name}: {len(often)} lines, beginnings or ends stand in many texts; "
                f"{_shortened(line)!r} in {counted(count, total)}",
                f"Cut it off where the texts are made. {BY_CLEANING}",
                count=count,
                split=name,
            )


def _parts(text: str) -> list[str]:
    """The lines of a text; the beginning and the end of one that has no more."""
    listed = [line.strip() for line in text.split("\n")]
    if len(listed) > 1:
        return listed
    return [text[:LINE], text[-LINE:]] if len(text) > 2 * LINE else []


def _shortened(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
