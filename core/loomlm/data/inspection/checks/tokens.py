"""Checks of what the tokenizer makes of the texts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from loomlm.contracts import Joins
from loomlm.data.inspection.checks.finding import Finding, counted, of_rows, percent, quoted
from loomlm.data.inspection.gathered import Stage

TRUNCATED = 0.05
"""Of the examples: of one in twenty, the model does not see all."""

UNKNOWN = 0.01
UNKNOWN_FAILS = 0.2
"""Of the tokens: a vocabulary of common words leaves out a few in a thousand; of one in five, the
text cannot be read."""

FERTILITY = 3.0
"""Tokens a word: a tokenizer that was trained on the language needs 1.1 to 2 (Rust et al. 2021)."""

CHARACTERS_A_WORD = 12
"""Where words are longer, the script has no spaces, and tokens a word say nothing."""

UNSEEN = 0.5
"""Of the vocabulary: where half never occurs in train, their vectors stay as they were drawn."""

ONE_TOKEN = 0.3
"""Of all tokens: a space is about 18% of characters, a comma 5% of words."""


def truncated(stage: Stage) -> Iterator[Finding]:
    """Texts fit into the task's longest row, or are read through several."""
    assert stage.task is not None
    if isinstance(stage.task, Joins):
        return
    for name, one in stage.tokens.items():
        rows = np.flatnonzero(one.lengths > stage.task.context)
        if len(rows):
            lost = int((one.lengths[rows] - stage.task.context).sum())
            few = len(rows) < TRUNCATED * len(one.lengths)
            yield of_rows(
                stage,
                name,
                rows,
                f"texts are longer than {stage.task.context:,} tokens and are cut off, "
                f"{percent(lost / max(int(one.lengths.sum()), 1))} of all tokens",
                "" if few else "Raise the task's longest row, or cut texts where it hurts least.",
                "pass" if few else "warn",
            )


def unknown(stage: Stage) -> Iterator[Finding]:
    """The vocabulary knows the texts."""
    for name, one in stage.tokens.items():
        total, lost = int(one.lengths.sum()), int(one.unknown.sum())
        if lost >= UNKNOWN * total and lost:
            rows = np.flatnonzero(one.unknown)
            rows = rows[np.argsort(-one.unknown[rows], kind="stable")]
            yield Finding(
                "fail" if lost >= UNKNOWN_FAILS * total else "warn",
                f"{name}: {counted(lost, total)} tokens are unknown",
                "Raise the tokenizer's vocab_size, or take one of parts of words or of bytes.",
                stage.places(name, rows),
                lost,
                split=name,
            )


def nothing(stage: Stage) -> Iterator[Finding]:
    """Every text has a token that is known."""
    for name, one in stage.tokens.items():
        rows = np.flatnonzero((one.lengths == one.unknown) & (stage.counted[name].characters > 0))
        if len(rows):
            what = "texts have no token that the vocabulary knows"
            step = "The model cannot tell them apart: take them out, or mend the tokenizer."
            yield of_rows(stage, name, rows, what, step)


def fertility(stage: Stage) -> Iterator[Finding]:
    """A word is a token or two."""
    assert stage.tokenizer is not None
    tokens, words = stage.tokens["train"], stage.words["train"]
    total = max(int(words.sum()), 1)
    a_word = int(tokens.lengths.sum()) / total
    if int(stage.counted["train"].characters.sum()) / total > CHARACTERS_A_WORD:
        return
    vocabulary = stage.tokenizer.vocabulary()
    by_character = np.median([len(token) for token in vocabulary] or [1]) <= 1
    if a_word > FERTILITY and not by_character:
        yield Finding(
            "warn",
            f"train: {a_word:.1f} tokens a word",
            "Train the tokenizer on this text, or raise its vocab_size.",
            count=int(tokens.lengths.sum()),
            split="train",
        )


def unseen(stage: Stage) -> Iterator[Finding]:
    """Most of the vocabulary occurs in train."""
    counts = stage.tokens["train"].counts
    never = int((counts == 0).sum())
    if never >= UNSEEN * len(counts):
        yield Finding(
            "warn",
            f"train: {counted(never, len(counts))} tokens of the vocabulary never occur",
            "Lower the tokenizer's vocab_size: the model gets smaller and learns as much.",
            count=never,
            split="train",
        )


def dominant(stage: Stage) -> Iterator[Finding]:
    """No token stands for too many of all."""
    assert stage.tokenizer is not None
    for name, one in stage.tokens.items():
        total, most = int(one.counts.sum()), int(np.argmax(one.counts))
        if total and one.counts[most] > ONE_TOKEN * total and most != stage.tokenizer.unknown_id:
            token = {at: token for token, at in stage.tokenizer.vocabulary().items()}.get(most, "")
            yield Finding(
                "warn",
                f"{name}: {percent(float(one.counts[most] / total))} of all tokens are "
                f"{quoted([token])}",
                "Look at `loomlm data sample`: a mask or boilerplate may stand for most of it.",
                count=int(one.counts[most]),
                split=name,
            )
