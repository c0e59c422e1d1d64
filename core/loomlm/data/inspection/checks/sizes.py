"""Checks of how much data there is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from loomlm.data.inspection.checks.finding import BY_CLEANING, Finding, counted
from loomlm.data.inspection.gathered import SHOWN, Stage
from loomlm.data.plans import BatchSize

TOO_FEW = 10
FEW = 100
"""Training examples: with fewer than 10 there is nothing to generalise from; with fewer than 100 a
tenth for validation is nine examples or less."""

FEW_TO_SCORE = 100
"""Examples to evaluate on: of fewer than 100, each moves the score by more than a point."""

LARGER = {"test": 2}
"""Times as large as train that a split may be: a public set may come with as large a test split,
off whose train validation is cut."""

FEW_WINDOWS = 100
"""Rows of `context` tokens that a training text should have: fewer are learnt by heart within a
few epochs."""


def readable(stage: Stage) -> Iterator[Finding]:
    """All of the data can be read."""
    if stage.failure:
        failure = stage.failure.rstrip(".")  # A full stop is put behind each finding.
        yield Finding("fail", failure, "Mend what it names; the other checks wait for it.")


def skipped(stage: Stage) -> Iterator[Finding]:
    """No line was left out since it could not be read."""
    for name, notes in stage.notes.items():
        files = stage.skipped.get(name, {})
        for note in notes:
            of = [file for file in files if note.startswith(file)]
            where = tuple(f"{file}:{line}" for file in of for line in files[file][1][:SHOWN])
            yield Finding(
                "warn",
                f"{name}: {note.rstrip('.')}",
                "Look at these lines: a wrong delimiter or encoding loses many.",
                where,
                sum(files[file][0] for file in of),
                split=name,
            )


def examples(stage: Stage) -> Iterator[Finding]:
    """There are enough examples to learn from."""
    count = len(stage.splits["train"])
    if count < FEW:
        level = "fail" if count < TOO_FEW else "warn"
        yield Finding(
            level,
            f"train: {count:,} examples; fewer than {TOO_FEW if level == 'fail' else FEW}",
            "Label more, or begin with a pretrained model: init_from.",
            count=count,
            split="train",
        )


def to_score(stage: Stage) -> Iterator[Finding]:
    """There are enough examples to evaluate on."""
    for name in stage.evaluated:
        count = len(stage.splits[name])
        if count < FEW_TO_SCORE:
            yield Finding(
                "warn",
                f"{name}: {count:,} examples, so each moves a score by {100 / max(count, 1):.1f} "
                "points",
                "Take more of them, or read differences between scores with care.",
                count=count,
                split=name,
            )


def share(stage: Stage) -> Iterator[Finding]:
    """Most of the data is trained on."""
    train = stage.counted["train"]
    for name in stage.evaluated:
        other = stage.counted[name]
        sizes = (other.bytes, train.bytes) if stage.stream else (len(other), len(train))
        if sizes[0] > sizes[1] * LARGER.get(name, 1):
            unit = "bytes" if stage.stream else "examples"
            yield Finding(
                "warn",
                f"{name} is larger than train: {sizes[0]:,} {unit} and {sizes[1]:,}",
                "Check that the files are not exchanged, and that the cut is the one you mean.",
                count=sizes[0],
                split=name,
            )


def batch(stage: Stage) -> Iterator[Finding]:
    """A batch is a part of the data."""
    assert stage.config is not None
    assert stage.task is not None
    size = BatchSize.of(stage.config.trainer).rows(stage.task.context)
    rows, what = len(stage.splits["train"]), "examples"
    if stage.stream:
        rows, what = int(stage.tokens["train"].lengths.sum()) // stage.task.context, "windows"
    if rows < size:
        yield Finding(
            "warn",
            f"train: {rows:,} {what}, and a batch has {size:,}: it holds some of them twice or is "
            "not full",
            f"Lower trainer.batch_size to {max(1, rows // 10):,} or so, or batch_tokens.",
            count=rows,
            split="train",
        )


def context(stage: Stage) -> Iterator[Finding]:
    """The text is long enough for the task's rows."""
    assert stage.task is not None
    for name in stage.splits:
        tokens, wide = int(stage.tokens[name].lengths.sum()), stage.task.context
        least = wide + 1 if name == "train" else 2
        few = FEW_WINDOWS * wide if name == "train" else wide
        if tokens < few:
            yield Finding(
                "fail" if tokens < least else "warn",
                f"{name}: {tokens:,} tokens in all, and a row has {wide:,}",
                "Give more text, or lower task.context.",
                count=tokens,
                split=name,
            )


def repeated_text(stage: Stage) -> Iterator[Finding]:
    """Little of the training text is the same text again."""
    train = stage.counted["train"]
    again = int(train.characters[train.repeats].sum())
    total = int(train.characters.sum())
    # Lee et al. 2022 find models to copy what was repeated; they had 3% to 14% in known corpora.
    if again > 0.03 * total:
        yield Finding(
            "warn",
            f"train: {counted(again, total)} characters are texts that stood there before",
            f"Take them out. {BY_CLEANING}",
            stage.places("train", train.repeats),
            len(train.repeats),
            split="train",
        )


def lengths_alike(stage: Stage) -> Iterator[Finding]:
    """What is evaluated on is as long as what is trained on."""
    train = stage.counted["train"].characters
    for name in stage.evaluated:
        other = stage.counted[name].characters
        if min(len(train), len(other)) < FEW_TO_SCORE:
            continue
        medians = [max(float(np.median(part)), 1.0) for part in (train, other)]
        # Half or twice: no random cut of a hundred examples or more comes near that.
        if max(medians) > 2 * min(medians):
            yield Finding(
                "warn",
                f"{name}: half of the texts have {medians[1]:,.0f} characters or more, in train "
                f"{medians[0]:,.0f}",
                "Check that both come from the same place and are cleaned alike.",
                count=len(other),
                split=name,
            )
