"""What `loomlm data check` looks at: a small function for each, in one table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import evolve, frozen

from loomlm.data.inspection.checks import labels, repeats, sizes, texts, tokens
from loomlm.data.inspection.checks.finding import BY_CLEANING, Check, Finding, Level
from loomlm.data.inspection.checks.texts import of_kind
from loomlm.data.inspection.gathered import Stage
from loomlm.errors import UsageError

LEVELS: tuple[Level, ...] = ("pass", "warn", "fail")


def _always(stage: Stage) -> bool:
    return True


def _read(stage: Stage) -> bool:
    return not stage.failure


def _labelled(stage: Stage) -> bool:
    return _read(stage) and stage.labelled


def _labels(stage: Stage) -> bool:
    return _labelled(stage) and bool(stage.counted["train"].labels)


def _sorted(stage: Stage) -> bool:
    return _labels(stage) and labels.order_matters(stage)


def _rows(stage: Stage) -> bool:
    return _read(stage) and not stage.stream


def _several_splits(stage: Stage) -> bool:
    return _read(stage) and bool(stage.evaluated)


def _rows_to_score(stage: Stage) -> bool:
    return _rows(stage) and bool(stage.evaluated)


def _stream(stage: Stage) -> bool:
    return _read(stage) and stage.stream and stage.tokenizer is not None


def _cut_stream(stage: Stage) -> bool:
    return _stream(stage) and bool(stage.evaluated)


def _tokens(stage: Stage) -> bool:
    return _read(stage) and stage.tokenizer is not None


def _row_tokens(stage: Stage) -> bool:
    return _tokens(stage) and not stage.stream


DATA, TEXTS, LABELS, COPIES, TOKENS = "Data", "Texts", "Labels", "Copies", "Tokens"
AS_BYTES = "Read the files in the encoding that they were written in: data.encoding."
MOJIBAKE = "Read the files in their own encoding, or repair the texts."

CHECKS = (
    Check("readable", DATA, "all of the data can be read", sizes.readable, _always),
    Check("skipped-lines", DATA, "no line was left out", sizes.skipped, _read),
    Check("few-examples", DATA, "there are enough examples to learn from", sizes.examples, _rows),
    Check("few-to-score", DATA, "there are enough to evaluate on", sizes.to_score, _rows_to_score),
    Check("split-sizes", DATA, "most of the data is trained on", sizes.share, _several_splits),
    Check("batch-size", DATA, "a batch is a part of the data", sizes.batch, _tokens),
    Check("context", DATA, "the text is long enough for the task's rows", sizes.context, _stream),
    Check("lengths-alike", DATA, "splits have texts of like length", sizes.lengths_alike, _rows),
    Check("empty-texts", TEXTS, "every text says something", texts.empty, _rows),
    Check("short-texts", TEXTS, "texts have at least a word", texts.short, _rows),
    Check("long-texts", TEXTS, "no text is far longer than the others", texts.long, _rows),
    Check(
        "placeholders", TEXTS, "no text stands for one that is missing", texts.placeholders, _read
    ),
    Check(
        "control-characters",
        TEXTS,
        "no control characters",
        of_kind("control", "control characters", f"Take them out. {BY_CLEANING}"),
        _read,
    ),
    Check(
        "nul-and-bom",
        TEXTS,
        "no NUL and no byte-order mark",
        of_kind(
            "nul", "a NUL or a byte-order mark", f"{AS_BYTES} utf-8-sig has a mark, utf-16 NULs."
        ),
        _read,
    ),
    Check(
        "replacement-characters",
        TEXTS,
        "no U+FFFD, which stands for what could not be decoded",
        of_kind("replacement", "U+FFFD, which stands for lost characters", AS_BYTES),
        _read,
    ),
    Check(
        "surrogates",
        TEXTS,
        "no half of a surrogate pair",
        of_kind(
            "surrogate", "a half of a surrogate pair", "Mend the \\u escapes of the JSON file."
        ),
        _read,
    ),
    Check(
        "private-use",
        TEXTS,
        "no characters for private use",
        of_kind(
            "private",
            "characters for private use, which only one font knows",
            f"Write them as what they mean, or take them out. {BY_CLEANING}",
        ),
        _read,
    ),
    Check(
        "invisible-characters",
        TEXTS,
        "no invisible characters",
        of_kind(
            "invisible",
            "invisible characters (zero width, soft hyphen, direction)",
            f"Take them out: words that look alike are different tokens. {BY_CLEANING}",
        ),
        _read,
    ),
    Check(
        "mojibake",
        TEXTS,
        "no UTF-8 that was read as something else",
        of_kind("mojibake", "UTF-8 that was read as something else", f"{MOJIBAKE} {BY_CLEANING}"),
        _read,
    ),
    Check(
        "markup",
        TEXTS,
        "no HTML tags and entities",
        of_kind("markup", "HTML tags or entities", f"Turn them into text. {BY_CLEANING}"),
        _read,
    ),
    Check(
        "mixed-alphabets",
        TEXTS,
        "no word mixes Latin, Greek and Cyrillic letters",
        of_kind(
            "alphabets",
            "a word of letters of two alphabets",
            "Letters that look alike were exchanged: look at them, and write them as one.",
        ),
        _read,
    ),
    Check("scripts", TEXTS, "no few texts in another script", texts.scripts, _read),
    Check("one-character", TEXTS, "no character is too many of all", texts.characters, _read),
    Check("long-words", TEXTS, "no word is longer than words are", texts.words, _read),
    Check("repetitive", TEXTS, "no text is one word over and over", texts.repetitive, _read),
    Check("boilerplate", TEXTS, "texts have few lines in common", texts.lines, _read),
    Check("unlabelled", LABELS, "every example has a label", labels.there, _labelled),
    Check("one-label", LABELS, "there are at least two labels", labels.several, _labels),
    Check("untrained-labels", LABELS, "every label stands in train", labels.trained, _labels),
    Check("unscored-labels", LABELS, "every label is evaluated", labels.evaluated, _labels),
    Check("labels-once", LABELS, "no label occurs once", labels.once, _labels),
    Check("few-for-label", LABELS, "each label has enough examples", labels.few, _labels),
    Check("label-spelling", LABELS, "no label is written in two ways", labels.spelling, _labels),
    Check("unbalanced", LABELS, "no label is far more frequent", labels.balance, _labels),
    Check("label-shift", LABELS, "labels are spread alike in all splits", labels.shift, _labels),
    Check("conflicting-labels", LABELS, "no text has two labels", labels.conflicting, _labels),
    Check("label-in-text", LABELS, "texts do not say their label", labels.said, _labels),
    Check("label-by-length", LABELS, "length does not tell the label", labels.by_length, _labels),
    Check("sorted", LABELS, "examples are not sorted by label", labels.order, _sorted),
    Check("duplicates", COPIES, "few texts stand in a split twice", repeats.same, _read),
    Check("near-duplicates", COPIES, "few texts are nearly another", repeats.near, _read),
    Check("leakage", COPIES, "no text stands in two splits", repeats.leakage, _several_splits),
    Check(
        "near-leakage",
        COPIES,
        "no text is nearly one of another split",
        repeats.near_leakage,
        _several_splits,
    ),
    Check(
        "contamination",
        COPIES,
        "what is evaluated stands in no training text",
        repeats.contaminated,
        _several_splits,
    ),
    Check(
        "shared-documents",
        COPIES,
        "no document is on both sides of a cut",
        repeats.documents,
        _rows_to_score,
    ),
    Check(
        "neighbours", COPIES, "running text is not cut at random", repeats.neighbours, _cut_stream
    ),
    Check("repeated-text", COPIES, "little text is trained on again", sizes.repeated_text, _stream),
    Check("truncated", TOKENS, "texts fit into the task's rows", tokens.truncated, _row_tokens),
    Check("unknown-tokens", TOKENS, "the vocabulary knows the texts", tokens.unknown, _tokens),
    Check("no-tokens", TOKENS, "every text has a token", tokens.nothing, _row_tokens),
    Check("fertility", TOKENS, "a word is a token or two", tokens.fertility, _tokens),
    Check("unseen-tokens", TOKENS, "most of the vocabulary occurs", tokens.unseen, _tokens),
    Check("one-token", TOKENS, "no token is too many of all", tokens.dominant, _tokens),
)
"""All checks, in the order in which they are told; the cheap ones of a group first."""


@frozen
class Result:
    """What came of a check: its findings, or why it could not be made."""

    check: Check
    findings: tuple[Finding, ...]
    not_made: str = ""

    @property
    def level(self) -> Level:
        """The worst of its findings."""
        return LEVELS[max((LEVELS.index(found.level) for found in self.findings), default=0)]


def check(stage: Stage, checks: Iterable[Check] = CHECKS) -> Iterator[Result]:
    """Make the checks that apply to a stage, one by one."""
    for one in checks:
        if not one.applies(stage):
            continue
        try:
            found = tuple(evolve(finding, check=one.name) for finding in one.run(stage))
        except UsageError as error:  # A library for it is not installed.
            yield Result(one, (), str(error))
        else:
            yield Result(one, found)
