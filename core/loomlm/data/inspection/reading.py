"""A run's stages, or bare files, as inspection takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import frozen

from loomlm.config.settings import Choice, DataConfig, RunConfig, StageConfig
from loomlm.contracts import Tokenizer
from loomlm.data.examples import Split, keep_examples, open_examples
from loomlm.data.inspection.gathered import ORDER, Stage
from loomlm.data.looking import complete
from loomlm.data.prepare import extended, make_tokenizer
from loomlm.data.reading import Examples, made, read_examples
from loomlm.errors import DataError, UsageError, did_you_mean
from loomlm.extending import Extensions
from loomlm.registry import Registry
from loomlm.storage.cache import cache_key, cached
from loomlm.storage.commit import Staging

Say = Callable[[str], None]

OF_A_STREAM = 20_000
"""Examples of a stream that are looked at."""


@frozen
class Read:
    """The stages that were asked for, and the run's tokenizer, where it could be had."""

    stages: tuple[Stage, ...]
    tokenizer: Tokenizer | None


def read_stages(settings: RunConfig, registry: Registry, say: Say, only: str | None = None) -> Read:
    """Read, clean and split the data of every stage; the tokenizer is trained or read.

    What of it cannot be read is said by a stage's `failure`. Raises UsageError where there is no
    stage `only`.
    """
    names = [stage.name for stage in settings.stages]
    if only is not None and only not in names:
        raise UsageError(f"There is no stage {only!r}. {did_you_mean(only, names)}")
    tokenizer: Tokenizer | None = None
    read: list[tuple[StageConfig, Examples | None, str]] = []
    for index, stage in enumerate(settings.stages):
        try:
            examples = read_examples(stage.data, registry, settings.seed, say)
            if index == 0:
                extensions = Extensions.of(stage.extensions, registry)
                trained_on = extended(examples, extensions, registry, say)
                tokenizer = make_tokenizer(settings, registry, trained_on, say)
        except DataError as error:
            read.append((stage, None, str(error)))
        else:
            read.append((stage, examples, ""))
    all_splits = {stage.name: _splits(examples, say) for stage, examples, _ in read}
    training = {
        f"{name} train" if len(names) > 1 else "train": splits["train"]
        for name, splits in all_splits.items()
        if "train" in splits
    }
    stages = (
        Stage(
            name=stage.name,
            splits=all_splits[stage.name],
            training=training,
            task=made(registry, stage.task),
            tokenizer=tokenizer,
            config=stage,
            failure=failure,
            notes=notes_of(examples) if examples else {},
            skipped=skipped_in(examples) if examples else {},
        )
        for stage, examples, failure in read
        if only in (None, stage.name)
    )
    return Read(tuple(stages), tokenizer)


def notes_of(examples: Examples) -> dict[str, tuple[str, ...]]:
    """What the sources said of each split while they read it."""
    return {
        name: tuple(note for split in given for note in split.store.meta.get("notes", ()))
        for name, given in examples.given.items()
    }


def skipped_in(examples: Examples) -> dict[str, dict[str, tuple[int, list[int]]]]:
    """Of each split, by file, how many lines were skipped, and the first of them."""
    return {
        name: {
            file: (count, list(lines))
            for split in given
            for file, (count, lines) in split.store.meta.get("skipped", {}).items()
        }
        for name, given in examples.given.items()
    }


def _splits(examples: Examples | None, say: Say) -> dict[str, Split]:
    """Splits by name, train first; of a stream its first examples, kept."""
    if examples is None:
        return {}
    splits = dict(examples.splits)
    stream = examples.stream
    if stream is not None:

        def make(staging: Staging) -> None:
            keep_examples([islice(stream.once(), OF_A_STREAM)])(staging)

        say(f"Looking at the first {OF_A_STREAM:,} examples of the stream")
        key = cache_key("looked at", stream.key, OF_A_STREAM)
        splits["train"] = open_examples(cached("examples", key, make))
    return {name: splits[name] for name in sorted(splits, key=ORDER.index)}


def read_files(
    paths: Sequence[str], registry: Registry, say: Say, options: Mapping[str, Any] | None = None
) -> Stage:
    """Each file as a split by its name; columns are looked for, as `loomlm init` does.

    Those whose name says so are for evaluation, and the others what is trained on; of several
    without such a name, the first is trained on. options: further keys of the data table.
    """
    splits: dict[str, Split] = {}
    notes: dict[str, tuple[str, ...]] = {}
    skipped: dict[str, dict[str, tuple[int, list[int]]]] = {}
    for path in paths:
        name, number = Path(path).name, 2
        while name in splits:
            name, number = f"{Path(path).name} ({number})", number + 1
        source = _looked_at({**(options or {}), "train": path}, registry)
        data = DataConfig(source)
        examples = read_examples(data, registry, 0, say, only="train")
        splits[name] = examples.splits["train"]
        notes[name], skipped[name] = notes_of(examples)["train"], skipped_in(examples)["train"]
    evaluated = [name for name in splits if _is_for_evaluation(name)]
    training = [name for name in splits if name not in evaluated]
    if len(training) > 1 and not evaluated:
        training = training[:1]
    order = [*training, *(name for name in splits if name not in training)]
    return FileStage(
        name="files",
        splits={name: splits[name] for name in order},
        training={name: splits[name] for name in training},
        notes=notes,
        skipped=skipped,
    )


def _looked_at(table: Mapping[str, Any], registry: Registry) -> Choice:
    """The source of a data table, with labels where there are any."""
    if "label" not in table:
        try:
            return complete(table, True, registry)[1]
        except DataError:
            pass
    return complete(table, "label" in table, registry)[1]


class FileStage(Stage):
    """Bare files."""

    @property
    def evaluated(self) -> tuple[str, ...]:
        return tuple(name for name in self.splits if name not in self.training)


def _is_for_evaluation(name: str) -> bool:
    stem = name.lower()
    return any(word in stem for word in ("test", "valid", "dev", "eval"))
