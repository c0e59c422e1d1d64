"""Carries cleaning steps out, in order, and counts what each of them did, with samples.

Steps that only look at an example at a time go together, in one pass. A step with `fit` begins a
pass of its own, since it wants to read all that comes to it first.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from loomlm.contracts import Cleaner, Dropped, Example
from loomlm.errors import PluginError

SAMPLES = 5
"""Samples that a report holds, of what a step changed and of each reason that it dropped for."""

EXCERPT = 160
"""Characters of a text that a sample shows."""


@frozen
class Step:
    """A cleaning step: what a config calls it, what tells its results, and the object."""

    name: str
    identity: Any
    target: Any

    @property
    def fits(self) -> bool:
        """Whether it reads all examples before it says what happens to one."""
        return hasattr(self.target, "fit")

    @property
    def changes_texts(self) -> bool:
        """Whether it is a function of the text, which takes part in prediction too."""
        return not hasattr(self.target, "example")

    @property
    def several(self) -> bool:
        """Whether it may give several examples for one."""
        return bool(getattr(self.target, "several", False))

    def works_on(self, split: str) -> bool:
        """Whether the examples of a split come to it."""
        splits = getattr(self.target, "splits", None)
        return splits is None or split in splits


def text_cleaners(targets: Iterable[Any]) -> list[Cleaner]:
    """Those of some steps that take part in prediction."""
    return [target for target in targets if not hasattr(target, "example")]


def clean(text: str, cleaners: Sequence[Cleaner]) -> str:
    """The text after each step, in order."""
    for cleaner in cleaners:
        text = cleaner(text)
    return text


def passes(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps, cut before each one that reads all examples first."""
    found: list[list[Step]] = []
    for step in steps:
        if step.fits or not found:
            found.append([])
        found[-1].append(step)
    return found


@define
class Report:
    """What one step did to one split.

    read, changed: examples. added: by a step that gives several for one. dropped: how many, by
    reason. characters: of the texts, before and behind the step. notes: what the step says itself.
    samples: of "changed", of "added" and of each reason, drawn at random but the same each time:
    place, text before, and behind or what it repeats.
    """

    step: str
    read: int = 0
    changed: int = 0
    added: int = 0
    dropped: Counter[str] = field(factory=Counter)
    characters: list[int] = field(factory=lambda: [0, 0])
    notes: list[str] = field(factory=list)
    _samples: dict[str, list[dict[str, str]]] = field(factory=dict)
    _draw: random.Random = field(factory=lambda: random.Random(0))

    def take(self, before: Example, after: Example | Dropped) -> None:
        """Count an example that is not as it was."""
        if isinstance(after, Dropped):
            self.dropped[after.reason] += 1
            self._sample(after.reason, self.dropped[after.reason], before, after)
        else:
            self.changed += 1
            self._sample("changed", self.changed, before, after)

    def take_added(self, before: Example, after: Sequence[Example]) -> None:
        """Count the examples that one became, and show the last of them."""
        self.added += len(after) - 1
        self._sample("added", self.added, before, after[-1])

    def _sample(self, kind: str, count: int, before: Example, after: Example | Dropped) -> None:
        kept = self._samples.setdefault(kind, [])
        if len(kept) < SAMPLES:
            kept.append(_sample(before, after))
        elif (place := self._draw.randrange(count)) < SAMPLES:
            kept[place] = _sample(before, after)  # Vitter 1985, algorithm R

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "step": self.step,
            "read": self.read,
            "changed": self.changed,
            **({"added": self.added} if self.added else {}),
            "dropped": dict(self.dropped.most_common()),
            "characters": self.characters,
            "notes": self.notes,
            "samples": self._samples,
        }


def _sample(before: Example, after: Example | Dropped) -> dict[str, str]:
    if isinstance(after, Dropped):
        shown = {"place": before.place, "before": _excerpt(before.text, 0)}
        return {**shown, "like": after.like} if after.like else shown
    if before.label != after.label:
        return {"place": before.place, "before": str(before.label), "after": str(after.label)}
    pairs = [(before.text, after.text)]
    pairs += [(before.extra[name], after.extra[name]) for name in before.extra]
    old, new = next((pair for pair in pairs if pair[0] != pair[1]), pairs[0])
    differing = (at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    start = max(0, next(differing, min(len(old), len(new))) - EXCERPT // 4)
    return {
        "place": before.place,
        "before": _excerpt(old, start),
        "after": _excerpt(new, start),
    }


def _excerpt(text: str, start: int) -> str:
    shown = text[start : start + EXCERPT]
    return f"{'...' if start else ''}{shown}{'...' if start + EXCERPT < len(text) else ''}"


@define
class Pass:
    """Some steps, one behind the other, on the examples of a split."""

    steps: Sequence[Step]
    reports: list[Report] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reports = [Report(step.name) for step in self.steps]

    def fit(self, examples: Iterable[Example], others: Iterable[Example]) -> None:
        """Let the first step read what will come, where it wants to."""
        if self.steps and self.steps[0].fits:
            self.steps[0].target.fit(examples, others)

    def end(self, split: str) -> list[dict[str, Any]]:
        """The reports, as JSON, when all examples of a split have come."""
        for step, report in zip(self.steps, self.reports, strict=True):
            if hasattr(step.target, "notes"):
                report.notes += step.target.notes(split)
        return [report.plain() for report in self.reports]

    def clean(self, chunk: list[Example]) -> list[Example]:
        """What is left of some examples."""
        for step, report in zip(self.steps, self.reports, strict=True):
            report.read += len(chunk)
            report.characters[0] += _characters(chunk)
            work = _change_texts if step.changes_texts else _judge
            chunk = work(chunk, step, report)
            report.characters[1] += _characters(chunk)
        return chunk


def _characters(examples: Iterable[Example]) -> int:
    """Of all their texts, second ones too."""
    return sum(len(e.text) + (sum(map(len, e.extra.values())) if e.extra else 0) for e in examples)


def _change_texts(chunk: list[Example], step: Step, report: Report) -> list[Example]:
    cleaner: Callable[[str], str] = step.target
    cleaned = []
    for example in chunk:
        text = cleaner(example.text)
        extra = example.extra
        if extra:
            extra = {name: cleaner(value) for name, value in extra.items()}
        if text == example.text and extra == example.extra:
            cleaned.append(example)
            continue
        after = evolve(example, text=text, extra=extra)
        report.take(example, after)
        cleaned.append(after)
    return cleaned


def _judge(chunk: list[Example], step: Step, report: Report) -> list[Example]:
    kept = []
    for example in chunk:
        after = step.target.example(example)
        if after is example:
            kept.append(example)
            continue
        if step.several and isinstance(after, tuple) and after:
            report.take_added(example, after)
            kept += [evolve(one, place=example.place) for one in after]
            continue
        if isinstance(after, Dropped):
            report.take(example, after)
            continue
        if not isinstance(after, Example):
            raise PluginError(
                f"The cleaning step {step.name!r} gave {after!r} for {example.place}; `example` "
                "gives an Example or Dropped(reason)."
            )
        if after != example:
            report.take(example, after)
        kept.append(after if after.place == example.place else evolve(after, place=example.place))
    return kept


def chunks(examples: Iterable[Example], rows: int, characters: int) -> Iterator[list[Example]]:
    """The examples in lists of at most so many, and of few more characters in all."""
    chunk: list[Example] = []
    size = 0
    for example in examples:
        chunk.append(example)
        size += len(example.text)
        if len(chunk) == rows or size >= characters:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
