"""What inspection and checks look at: a stage's splits, and what is measured of them on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from attrs import define, evolve, field
from numpy.typing import NDArray

from loomlm.config.settings import DataConfig, StageConfig
from loomlm.contracts import Example, Task, Tokenizer, produced
from loomlm.data.examples import Split
from loomlm.data.inspection.contamination import Contamination, contamination
from loomlm.data.inspection.copies import Copies, near_texts, same_texts
from loomlm.data.inspection.counting import Counted, Tokenised, count, count_words, tokenise
from loomlm.data.inspection.defects import find_defects
from loomlm.data.inspection.texts import pick
from loomlm.errors import DataError

ORDER = ("train", "validation", "test")
SHOWN = 3
"""Places that a finding names."""


@define(slots=False)
class Stage:
    """A stage's data. Each measure is taken once, when it is first asked for.

    splits: those of the source, and those that were cut off it; train first. training: the training
    splits of all stages, by the words that name them: what test examples may also stand in. task,
    tokenizer and config are None for bare files. failure: why something could not be had. notes:
    what the sources said of each split. skipped: of each split and file, how many lines could not
    be read, and the numbers of the first.
    """

    name: str
    splits: Mapping[str, Split]
    training: Mapping[str, Split] = field(factory=dict)
    task: Task | None = None
    tokenizer: Tokenizer | None = None
    config: StageConfig | None = None
    failure: str = ""
    notes: Mapping[str, tuple[str, ...]] = field(factory=dict)
    skipped: Mapping[str, Mapping[str, tuple[int, list[int]]]] = field(factory=dict)

    @property
    def data(self) -> DataConfig | None:
        """The stage's data table."""
        return self.config.data if self.config else None

    @property
    def labelled(self) -> bool:
        """Whether the task wants labels; of bare files, whether there are any."""
        if self.task is None:
            return any(one.labels for one in self.counted.values())
        return bool(produced(self.task) & {"classes", "label_sets"})

    @property
    def stream(self) -> bool:
        """Whether the task reads all texts end to end."""
        return self.task is not None and self.task.stream

    @property
    def evaluated(self) -> tuple[str, ...]:
        """The splits that are not trained on."""
        return tuple(name for name in self.splits if name in ORDER[1:])

    @cached_property
    def counted(self) -> dict[str, Counted]:
        return {name: self._as_the_task_has_them(count(s)) for name, s in self.splits.items()}

    @cached_property
    def words(self) -> dict[str, NDArray[np.int64]]:
        """Words of each example, by white space."""
        return {name: count_words(split) for name, split in self.splits.items()}

    @cached_property
    def tokens(self) -> dict[str, Tokenised]:
        """Empty without a tokenizer."""
        if self.tokenizer is None:
            return {}
        return {name: tokenise(split, self.tokenizer) for name, split in self.splits.items()}

    @cached_property
    def same(self) -> list[Copies]:
        return same_texts(self.counted)

    @cached_property
    def near(self) -> list[Copies]:
        """Raises UsageError where the library for it is not installed."""
        return near_texts(self.splits, self.counted)

    @cached_property
    def defects(self) -> dict[str, dict[str, NDArray[np.int64]]]:
        """{split: {kind: rows}}."""
        return {name: find_defects(s, self.counted[name]) for name, s in self.splits.items()}

    @cached_property
    def contamination(self) -> dict[str, Contamination]:
        """Of the splits that are not trained on."""
        evaluated = {name: self.splits[name] for name in self.evaluated}
        return contamination(evaluated, self.training)

    def places(self, split: str, rows: Sequence[int] | NDArray[np.int64]) -> tuple[str, ...]:
        """Where the first of some examples stand."""
        return tuple(e.place for e in pick(self.splits[split], list(rows[:SHOWN])))

    def _as_the_task_has_them(self, counted: Counted) -> Counted:
        """The labels as label sets, where the task reads them from one field."""
        together = {labels for labels in counted.labels if len(labels) == 1}
        sets = self.task is not None and "label_sets" in produced(self.task)
        if not sets or not together or self.task is None or self.tokenizer is None:
            return counted
        names = label_sets(self.task, self.tokenizer, sorted(labels[0] for labels in together))
        labels = tuple(names.get(one[0], one) if len(one) == 1 else one for one in counted.labels)
        return evolve(counted, labels=labels)


def label_sets(
    task: Task, tokenizer: Tokenizer, fields: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The labels that a task reads from each field; none where it refuses them."""
    examples = [Example("", name) for name in fields]
    try:
        facts = task.fit(examples, tokenizer)
        rows = task.encode(examples, tokenizer, facts, True).get("label")
    except DataError:
        return {}
    if not isinstance(rows, np.ndarray) or rows.ndim != 2:
        return {}
    names = facts["labels"]
    return {
        name: tuple(names[at] for at in np.flatnonzero(row))
        for name, row in zip(fields, rows, strict=True)
    }
