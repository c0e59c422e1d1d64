"""Checks of texts that stand there more than once, in one split or in two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from attrs import evolve

from loomlm.data.inspection.checks.finding import (
    BY_CLEANING,
    RARE,
    Finding,
    counted,
    of_rows,
    percent,
    unless_rare,
)
from loomlm.data.inspection.contamination import MOST
from loomlm.data.inspection.gathered import Stage

LEAKAGE_FAILS = 0.05
"""Of the examples that are evaluated: with one in twenty learnt by heart, a score says little."""

DOCUMENTS = 10
"""Files from which on a file is taken for a document, and not for a whole set of examples."""


def same(stage: Stage) -> Iterator[Finding]:
    """Few examples stand in a split twice."""
    for copies in stage.same:
        if copies.split == copies.within:
            what = "texts stood in the split before"
            step = f"Take them out. {BY_CLEANING}"
            yield from unless_rare(stage, copies.split, copies.rows, what, step)


def near(stage: Stage) -> Iterator[Finding]:
    """Few examples are nearly another of their split."""
    for copies in stage.near:
        if copies.split == copies.within:
            what = "texts are nearly the same as one before"
            step = f"Take them out. {BY_CLEANING}"
            yield from unless_rare(stage, copies.split, copies.rows, what, step)


def leakage(stage: Stage) -> Iterator[Finding]:
    """No text stands in two splits."""
    for copies in stage.same:
        if copies.split != copies.within:
            share = len(copies) / len(stage.splits[copies.split])
            found = of_rows(
                stage,
                copies.split,
                copies.rows,
                f"texts stand in {copies.within} too",
                f"Take them out of {copies.within}, or the score is too good. {BY_CLEANING}",
                "fail" if share >= LEAKAGE_FAILS and not stage.stream else "warn",
            )
            yield _with_other(stage, found, copies.within, int(copies.of[0]))


def near_leakage(stage: Stage) -> Iterator[Finding]:
    """No text is nearly one of another split."""
    for copies in stage.near:
        if copies.split != copies.within:
            what = f"texts are nearly the same as one in {copies.within}"
            step = f"Take them out of {copies.within}, or the score is too good. {BY_CLEANING}"
            for found in unless_rare(stage, copies.split, copies.rows, what, step):
                yield _with_other(stage, found, copies.within, int(copies.of[0]))


def contaminated(stage: Stage) -> Iterator[Finding]:
    """What is evaluated does not stand in the training text of any stage."""
    for name, found in stage.contamination.items():
        if found.hits:
            first = found.hits[0]
            rare = found.share < RARE
            yield Finding(
                "pass" if rare else "warn",
                f"{name}: {counted(len(found.hits), found.examples)} examples have a run of "
                f"{found.n} words that stands in training text; {found.mostly:,} have "
                f"{percent(MOST)} of their runs there",
                ""
                if rare
                else "`loomlm data inspect` lists them with both places. Score without them, or "
                "take them out of the training text.",
                (f"{first.place} and {first.training}",),
                len(found.hits),
                split=name,
            )


def documents(stage: Stage) -> Iterator[Finding]:
    """Examples of one document do not stand on both sides of a cut."""
    train = stage.splits["train"]
    for name in stage.evaluated:
        split = stage.splits[name]
        if split.store is not train.store or split.part != train.part:
            continue
        files, known = _files(stage, name), set(_files(stage, "train"))
        if len(known) < DOCUMENTS or len(known) >= len(train):
            continue
        rows = [row for row, file in enumerate(files) if file in known]
        what = "examples are of a document that train has parts of"
        step = "Give each document to one split: name the files of each, or cut by position."
        yield from unless_rare(stage, name, rows, what, step)


def neighbours(stage: Stage) -> Iterator[Finding]:
    """A text that goes on from line to line is not cut at random."""
    assert stage.data is not None
    cut, files = stage.data.split, set(_files(stage, "train"))
    train = stage.splits["train"]
    own = [name for name in stage.evaluated if stage.splits[name].store is train.store]
    if own and cut.by != "position" and len(files) < DOCUMENTS:
        yield Finding(
            "warn",
            f"{' and '.join(own)}: cut off train line by line, by {cut.by}, so that the lines on "
            "both sides of one are trained on",
            'Where the lines are one text, set split.by = "position".',
            tuple(PurePath(file).name for file in sorted(files)[:1]),
            sum(len(stage.splits[name]) for name in own),
            split=own[0],
        )


def _with_other(stage: Stage, found: Finding, split: str, row: int) -> Finding:
    """The finding with the place that its first row repeats."""
    (other,) = stage.places(split, [row])
    first, *rest = found.where
    return evolve(found, where=(f"{first} and {other}", *rest))


def _files(stage: Stage, name: str) -> list[str]:
    """The file of each example of a split."""
    found = []
    for chunk in stage.splits[name].chunks():
        found += [example.place.rpartition(":")[0] for example in chunk]
    return found
