"""Checks of the labels, and of what gives them away."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from loomlm.data.inspection.checks.finding import Finding, counted, of_rows, percent, quoted
from loomlm.data.inspection.gathered import Stage
from loomlm.data.inspection.named import LEAST_NAMED, MORE_OFTEN, Naming, naming

FEW = 10
"""Training examples of a label: a validation split of a tenth has about one of so few."""

UNBALANCED = 20
"""Times as many examples as the rarest label has: a model that never says the rare one then loses
less than a twentieth."""

SHIFT = 0.2
SHIFT_LEAST = 100
"""Of the examples of another split, so many would have to have other labels to be spread as in
train: no random cut of a hundred or more comes near."""

BY_LENGTH = 0.2
BY_LENGTH_LEAST = 200
BINS = 20
"""The length alone tells a label when it is right in 20 points more of the examples than the
commonest label; in 20 bins of 200 examples or more, chance gives a few points."""

SORTED = 0.1
"""Of the changes of label from one example to the next that a random order has: with fewer than a
tenth of them, examples of a label stand together."""


def there(stage: Stage) -> Iterator[Finding]:
    """Every split has labels, and no label is blank."""
    for name, one in stage.counted.items():
        rows = [row for row, labels in enumerate(one.labels) if "" in map(str.strip, labels)]
        if not one.labels:
            yield Finding(
                "fail" if name == "train" else "warn",
                f"{name}: the examples have no label",
                "Name the label column: data.label; or leave the split out.",
                count=len(one),
                split=name,
            )
        elif rows:
            what = "examples have a blank label"
            yield of_rows(stage, name, rows, what, "Label them, or take them out.", "fail")


def several(stage: Stage) -> Iterator[Finding]:
    """There are at least two labels."""
    found = stage.counted["train"].label_counts
    if len(found) == 1:
        yield Finding(
            "fail",
            f"train: the only label is {next(iter(found))!r}",
            "Check data.label, and that the file is whole: it may be sorted and cut off.",
            count=len(stage.splits["train"]),
            split="train",
        )


def trained(stage: Stage) -> Iterator[Finding]:
    """Every label stands in train."""
    known = stage.counted["train"].label_counts
    for name in stage.evaluated:
        other = stage.counted[name].label_counts
        missing = [label for label in other if label not in known]
        if missing and known:
            rows = _with_labels(stage, name, set(missing))
            what = f"examples have a label that train lacks: {quoted(missing)}"
            step = "Mend the labels, or add such examples to train."
            yield of_rows(stage, name, rows, what, step, "fail")


def evaluated(stage: Stage) -> Iterator[Finding]:
    """Every label of train is evaluated."""
    known = stage.counted["train"].label_counts
    for name in stage.evaluated:
        other = stage.counted[name].label_counts
        missing = [label for label in known if label not in other]
        if missing and other:
            yield Finding(
                "warn",
                f"{name}: {counted(len(missing), len(known))} labels of train never occur: "
                f"{quoted(missing)}",
                "Their scores cannot be told. Add such examples, or cut with split.stratify.",
                count=len(missing),
                split=name,
            )


def once(stage: Stage) -> Iterator[Finding]:
    """No label occurs once."""
    counts = stage.counted["train"].label_counts
    names = {label for label, count in counts.items() if count == 1}
    if names:
        rows = _with_labels(stage, "train", names)
        what = f"examples are the only one of their label: {quoted(names)}"
        step = "Merge these labels with others, or add examples; look for misspelt ones."
        yield of_rows(stage, "train", rows, what, step)


def few(stage: Stage) -> Iterator[Finding]:
    """Each label has enough examples."""
    counts = stage.counted["train"].label_counts
    names = {label: count for label, count in counts.items() if 1 < count < FEW}
    if names:
        listed = ", ".join(f"{label!r} {count}" for label, count in sorted(names.items())[:5])
        yield Finding(
            "warn",
            f"train: {counted(len(names), len(counts))} labels have fewer than {FEW} examples: "
            f"{listed}{' ...' if len(names) > 5 else ''}",
            "Add examples, or merge labels.",
            stage.places("train", _with_labels(stage, "train", set(names))),
            len(names),
            split="train",
        )


def spelling(stage: Stage) -> Iterator[Finding]:
    """No two labels differ by case, white space or Unicode form alone."""
    forms: defaultdict[str, set[str]] = defaultdict(set)
    for one in stage.counted.values():
        for label in one.label_counts:
            folded = unicodedata.normalize("NFKC", label).casefold()
            forms["".join(folded.replace("_", " ").replace("-", " ").split())].add(label)
    for alike in forms.values():
        if len(alike) > 1:
            listed = sorted(alike)
            where, count = _where(stage, set(listed[1:]))
            yield Finding(
                "warn",
                f"labels that differ by case, white space or form alone: {quoted(listed)}",
                "Write them alike in the data.",
                where,
                count,
            )


def balance(stage: Stage) -> Iterator[Finding]:
    """No label has far more examples than another."""
    counts = stage.counted["train"].label_counts.most_common()
    if len(counts) < 2:
        return
    (most, many), (least, some) = counts[0], counts[-1]
    if many >= UNBALANCED * some:
        yield Finding(
            "warn",
            f"train: {most!r} has {many:,} examples, {least!r} {some:,}",
            "Judge by f1 rather than accuracy; give the rare ones more weight, or more examples.",
            count=some,
            split="train",
        )


def shift(stage: Stage) -> Iterator[Finding]:
    """Labels are spread in the other splits as in train."""
    known = stage.counted["train"].label_counts
    for name in stage.evaluated:
        other = stage.counted[name].label_counts
        sums = known.total(), other.total()
        if min(sums) < SHIFT_LEAST:
            continue
        shares = [
            abs(known[label] / sums[0] - other[label] / sums[1]) for label in known.keys() | other
        ]
        if sum(shares) / 2 >= SHIFT:
            worst = max(
                known.keys() | other, key=lambda a: abs(known[a] / sums[0] - other[a] / sums[1])
            )
            yield Finding(
                "warn",
                f"{name}: {worst!r} is {percent(other[worst] / sums[1])} of the labels, in train "
                f"{percent(known[worst] / sums[0])}",
                "Check how the splits were made; a score by label tells more than one of all.",
                count=round(sum(shares) / 2 * sums[1]),
                split=name,
            )


def conflicting(stage: Stage) -> Iterator[Finding]:
    """No text has two labels."""
    first: dict[int, tuple[str, ...]] = {}
    for name, one in stage.counted.items():
        rows = []
        for row, digest in enumerate(one.digests.tolist() if one.labels else ()):
            if first.setdefault(digest, one.labels[row]) != one.labels[row]:
                rows.append(row)
        if rows:
            what = "examples have the text of another, and another label"
            step = "Decide for one label; where several are right, set task.multi_label."
            yield of_rows(stage, name, rows, what, step)


def said(stage: Stage) -> Iterator[Finding]:
    """Texts do not say their own label."""
    found = naming(stage.splits["train"], stage.counted["train"])
    telling = {label: one for label, one in found.items() if tells(one)}
    if telling:
        label, one = max(telling.items(), key=lambda item: item[1].own)
        yield Finding(
            "warn",
            f"train: {quoted(telling)} stand in the texts that they are labels of: {label!r} in "
            f"{percent(one.own)} of its own, in {percent(one.others)} of the others",
            "Check that the label was not taken from the text, or written into it.",
            stage.places("train", one.rows),
            sum(len(one.rows) for one in telling.values()),
            split="train",
        )


def tells(one: Naming) -> bool:
    """Whether texts name a label so often, and more often than those of other labels do."""
    return one.own >= LEAST_NAMED and one.own >= MORE_OFTEN * one.others


def by_length(stage: Stage) -> Iterator[Finding]:
    """The length of a text does not tell its label."""
    one = stage.counted["train"]
    labels = [labels[0] if labels else "" for labels in one.labels]
    if len(labels) < BY_LENGTH_LEAST:
        return
    right, usual = guessed_by_length(one.characters, labels)
    if right - usual >= BY_LENGTH:
        yield Finding(
            "warn",
            f"train: who guesses the label by the length of the text is right in {percent(right)}; "
            f"the commonest label is {percent(usual)}",
            "Check that the texts of each label come from the same place and are cut alike.",
            count=round(right * len(labels)),
            split="train",
        )


def guessed_by_length(lengths: NDArray[np.int64], labels: list[str]) -> tuple[float, float]:
    """How often a guess by length is right, and that of the commonest label.

    The guess is the commonest label among one half of the texts of about the length, tried on the
    other half.
    """
    codes = np.unique(np.array(labels, object), return_inverse=True)[1]
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, lengths, side="right")
    table = np.zeros((BINS, int(codes.max()) + 1), np.int64)
    np.add.at(table, (bins[::2], codes[::2]), 1)
    guess = table.argmax(axis=1)[bins[1::2]]
    usual = table.sum(axis=0).argmax()
    return float((guess == codes[1::2]).mean()), float((codes[1::2] == usual).mean())


def order(stage: Stage) -> Iterator[Finding]:
    """Examples are not sorted by label where their order matters."""
    one = stage.counted["train"]
    count, shares = len(one), np.array(list(one.label_counts.values())) / max(len(one), 1)
    if count < FEW or len(shares) < 2:
        return
    changes = sum(a != b for a, b in zip(one.labels, one.labels[1:], strict=False))
    expected = (count - 1) * (1 - float((shares**2).sum()))
    if changes < SORTED * expected:
        yield Finding(
            "warn",
            f"train: the examples are sorted by label, which changes {changes:,} times in "
            f"{count:,} examples",
            'Shuffle the file, or cut with split.by = "random" or "hash".',
            count=changes,
            split="train",
        )


def order_matters(stage: Stage) -> bool:
    """Whether a stage takes examples as they come: by position, or as a stream."""
    if stage.data is None:
        return True
    cut = stage.data.split
    by_position = cut.by == "position" and (cut.validation or cut.test)
    return bool(by_position or stage.stream or getattr(stage.data, "streaming", False))


def _with_labels(stage: Stage, split: str, names: set[str]) -> list[int]:
    labels = stage.counted[split].labels
    return [row for row, given in enumerate(labels) if names.intersection(given)]


def _where(stage: Stage, names: set[str]) -> tuple[tuple[str, ...], int]:
    """Where examples with some labels stand, in any split, and how many there are."""
    places: tuple[str, ...] = ()
    count = 0
    for name in stage.splits:
        rows = _with_labels(stage, name, names)
        places += stage.places(name, rows)
        count += len(rows)
    return places[:3], count
