"""From a stage's splits to encoded rows: each step's result is kept by what made it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, frozen

from loomlm.config.settings import Choice, RunConfig
from loomlm.contracts import Columns, Example, Facts, Ragged, Task, Tokenizer, TokenizerFactory
from loomlm.data.aside import ahead, behind
from loomlm.data.batches import ExampleRows, IndexedRows, Rows, TrainingRows
from loomlm.data.columns import ColumnStore, ColumnWriter, open_columns
from loomlm.data.examples import Split, keep_examples, open_examples
from loomlm.data.mixing import Mixed
from loomlm.data.packing import packed_rows
from loomlm.data.reading import Examples, identity
from loomlm.data.streaming import StreamRows
from loomlm.data.vocabularies import TARGET, TwoVocabularies, files_apart, tokens_of
from loomlm.data.windows import Windows
from loomlm.errors import DataError, UsageError
from loomlm.extending import Extensions
from loomlm.models.fitting import said_by
from loomlm.registry import Registry
from loomlm.storage.cache import cache_key, cached
from loomlm.storage.commit import Staging
from loomlm.storage.foreign import read_json
from loomlm.storage.manifest import file_digest

Say = Callable[[str], None]

OF_A_STREAM = 100_000
"""Examples of a stream that a tokenizer is trained on."""


@frozen
class Encoded:
    """A stage's splits as rows, the task's facts, and a key of it all.

    train: the training split, which a stream is too; None without one. tokens: of each split, of a
    stream those of its first window.
    """

    splits: Mapping[str, Rows]
    train: TrainingRows | None
    tokens: Mapping[str, Ragged]
    facts: Facts
    key: str


def extended(examples: Examples, extensions: Extensions, registry: Registry, say: Say) -> Examples:
    """The splits as the extensions of a stage change them; the same where none does."""
    choices = extensions.with_hook("loomlm_examples")
    if not choices:
        return examples
    if examples.stream is not None:
        raise UsageError(
            f"stages.extensions: {choices[0].type} changes examples, and a stream is read while "
            "training. Take the extension or data.streaming out."
        )
    whole = cache_key(examples.key, [identity(registry, choice) for choice in choices])
    splits = {}
    for name, split in examples.splits.items():

        def make(staging: Staging, name: str = name, split: Split = split) -> None:
            say(f"Extending {name}")
            parts = [extensions.examples(part.examples(), name) for part in split.by_source()]
            keep_examples(parts)(staging)

        splits[name] = open_examples(cached("examples", cache_key(whole, name), make))
        if not len(splits[name]):
            raise DataError(f"The extensions left no example of the {name} split.")
    return evolve(examples, splits=splits, key=whole)


def make_tokenizer(
    settings: RunConfig, registry: Registry, examples: Examples, say: Say
) -> Tokenizer:
    """The run's tokenizer, trained on the training texts or read from the file that it names.

    Where a stage's task hides tokens, it has one for what is hidden. Raises UsageError for a type
    of tokenizer that knows none.
    """
    choice, masked = settings.tokenizer, _hides(settings, registry)
    factory: TokenizerFactory = registry.target("tokenizer", choice.type)
    train = getattr(factory, "train_masked", None) if masked else factory.train
    if train is None:
        raise UsageError(
            f"A stage hides tokens, and the tokenizer {choice.type} has none to put in their "
            "place. Take another type of tokenizer."
        )
    config = choice.config
    named: Path | None = getattr(config, "file", None)
    made_of = (examples.key, *_made_by(choice, registry))
    key = cache_key("tokenizer", *made_of, *(["masked"] if masked else []))

    def make(staging: Staging) -> None:
        of_stream = f" on the first {OF_A_STREAM:,} examples" if examples.stream else ""
        say("Reading the tokenizer" if named else f"Training the tokenizer{of_stream}")
        tokenizer = train(config, _training_texts(examples, choice))
        second = choice.target
        if second is not None:
            say(f"The second one, of what is written{of_stream}")
            learnt: TokenizerFactory = registry.target("tokenizer", second.type)
            target = learnt.train(second.config, _target_texts(examples))
            tokenizer = TwoVocabularies(tokenizer, target)
        for name, content in tokenizer.files().items():
            staging.write(name, content)

    return load_tokenizer(choice, registry, cached("tokenizers", key, make))


def _hides(settings: RunConfig, registry: Registry) -> bool:
    """Whether a stage's task hides tokens."""
    tasks = [registry.target("task", stage.task.type) for stage in settings.stages]
    return any(getattr(task, "hides", False) for task in tasks)


def _training_texts(examples: Examples, choice: Choice) -> Iterator[str]:
    """All texts; those that a second tokenizer is for are left out."""
    for example in _trained_on(examples):
        yield example.text
        for name, text in example.extra.items():
            if choice.target is None or name != TARGET:
                yield text


def _target_texts(examples: Examples) -> Iterator[str]:
    for example in _trained_on(examples):
        if TARGET not in example.extra:
            raise DataError(
                f"tokenizer.target: {example.place or 'an example'} has no text to be written. "
                'Name the column that has it, data.fields = { target = "..." }, or take '
                "tokenizer.target out."
            )
        yield example.extra[TARGET]


def _trained_on(examples: Examples) -> Iterator[Example]:
    if examples.stream is None:
        return examples.splits["train"].examples()
    return islice(examples.stream.once(), OF_A_STREAM)


def load_tokenizer(choice: Choice, registry: Registry, folder: Path) -> Tokenizer:
    """The tokenizer whose files stand in a committed folder."""
    factory: TokenizerFactory = registry.target("tokenizer", choice.type)
    # Weights beside them are not read to be thrown away.
    files = {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and path.suffix != ".safetensors"
    }
    second = choice.target
    first, others = files_apart(files) if second is not None else (files, {})
    with said_by(folder, f"its files are no {choice.type} tokenizer"):
        tokenizer = factory.load(choice.config, first)
    if second is None:
        return tokenizer
    factory = registry.target("tokenizer", second.type)
    with said_by(folder, f"its files have no {second.type} tokenizer of what is written"):
        return TwoVocabularies(tokenizer, factory.load(second.config, others))


def encode_examples(
    task: Task,
    identity_of_task: list[Any],
    tokenizer: Tokenizer,
    examples: Examples,
    say: Say,
    facts: Facts | None = None,
) -> Encoded:
    """Encode every split; facts come from the training split where none are given."""
    made_by = [tokenizer_digest(tokenizer), identity_of_task]
    if facts is None:
        facts = _facts(task, tokenizer, examples, made_by, say)
    key = cache_key("tokens", examples.key, *made_by, facts)
    stores = {}
    for name, split in examples.splits.items():

        def make(staging: Staging, name: str = name, split: Split = split) -> None:
            say(f"Encoding {name}: {len(split):,} examples")
            _encode(staging, task, tokenizer, facts, split)

        folder = cached("tokens", cache_key(key, name), make)
        stores[name] = open_columns(folder)
    splits: dict[str, Rows] = {
        name: _rows(f"{name} split", store, task) for name, store in stores.items()
    }
    if examples.weights and "train" in stores:
        parts = examples.splits["train"].parts
        splits["train"] = _mixed(stores["train"], parts, examples.weights, task)
        key = cache_key(key, examples.weights)
    tokens = {name: _tokens(store) for name, store in stores.items()}
    train: TrainingRows | None = splits.get("train")
    if examples.stream is not None:
        train = StreamRows(examples.stream, task, _encoder(task, tokenizer, facts))
        tokens["train"] = train.first_tokens()
    return Encoded(splits, train, tokens, facts, key)


def _encoder(
    task: Task, tokenizer: Tokenizer, facts: Facts
) -> Callable[[Sequence[Example]], Columns]:
    return lambda examples: task.encode(examples, tokenizer, facts, True)


def _facts(
    task: Task, tokenizer: Tokenizer, examples: Examples, made_by: list[Any], say: Say
) -> Facts:
    """What a task learns from the training examples; of a stream, kept, since it reads all."""
    stream = examples.stream
    if stream is None:
        return task.fit(examples.splits["train"].examples(), tokenizer)

    def make(staging: Staging) -> None:
        say("Reading the stream once, for what the task learns from it first")
        staging.write("facts.json", json.dumps(task.fit(stream.once(), tokenizer)).encode())

    folder = cached("facts", cache_key("facts", examples.key, *made_by), make)
    return read_json(folder / "facts.json")


def _mixed(store: ColumnStore, parts: Sequence[int], weights: Sequence[float], task: Task) -> Mixed:
    """The training rows of several sources, each with its share."""
    rows, start = [], 0
    for number, count in enumerate(parts):
        if not count:
            raise DataError(
                f"data.sources.{number} has no training example left, and a weight of "
                f"{weights[number]}. Take it out, or loosen data.clean."
            )
        part = store.part(*_rows_of(store, start, start + count))
        rows.append(_rows(f"training split of data.sources.{number}", part, task, True))
        start += count
    return Mixed(rows, weights)


def _rows_of(store: ColumnStore, first: int, end: int) -> tuple[int, int]:
    """Where the rows of neighbouring examples begin and end."""
    numbers = store.columns.get("example")
    if numbers is None:
        return first, end
    start, stop = np.searchsorted(np.asarray(numbers), [first, end]).tolist()
    return start, stop


def _rows(name: str, store: ColumnStore, task: Task, train: bool | None = None) -> IndexedRows:
    train = name == "train split" if train is None else train
    if not task.stream:
        return ExampleRows(store, task.context)
    tokens = _tokens(store)
    if getattr(task, "packed", False):
        return packed_rows(name, tokens, task.context, *_sizes(store), store)
    stream = tokens.values[tokens.offsets[0] : tokens.offsets[-1]]
    least = task.context + 1 if train else 2
    if len(stream) < least:
        raise DataError(
            f"The {name} has {len(stream):,} tokens in all; a row of it needs {least:,}. "
            + ("Lower task.context, or give more text." if train else "Give more text.")
        )
    return Windows(stream, task.context, *_sizes(store))


def _sizes(store: ColumnStore) -> tuple[int, int]:
    """Bytes and words of the texts."""
    return store.total("bytes"), store.total("words")


def _tokens(store: ColumnStore) -> Ragged:
    tokens = store.columns["tokens"]
    assert isinstance(tokens, Ragged)
    return tokens


def _encode(staging: Staging, task: Task, tokenizer: Tokenizer, facts: Facts, split: Split) -> None:
    """Encode chunk by chunk, while the next one is read and the one before is written."""
    small = tokens_of(task, tokenizer).vocab_size <= 1 << 16
    writer = ColumnWriter(staging, dtypes={"tokens": "<u2" if small else "<u4"})
    with ahead(split.chunks()) as chunks, behind(writer.append) as append:
        done = 0
        for chunk in chunks:
            append(_numbered(task.encode(chunk, tokenizer, facts, True), done))
            done += len(chunk)
    writer.close()


def _numbered(columns: Columns, before: int) -> Columns:
    """The columns with the numbers of their examples in the whole split, where they have such."""
    if "example" not in columns:
        return columns
    numbers = np.asarray(columns["example"])
    return {**columns, "example": (numbers + before).astype(np.int32)}


def _content(named: Path | None) -> dict[str, str]:
    """Digests of the file or folder that a tokenizer is read from, and of what lies beside it."""
    if named is None:
        return {}
    folder = named if named.is_dir() else named.parent
    beside = sorted(folder.glob("*token*.json")) if folder.is_dir() else []
    return {path.name: file_digest(path) for path in {*beside, named} if path.is_file()}


def tokenizer_key(choice: Choice, registry: Registry) -> str:
    """The same for a tokenizer of the same config, code and file, whatever it is trained on."""
    return cache_key("tokenizer", *_made_by(choice, registry))


def _made_by(choice: Choice, registry: Registry) -> list[Any]:
    """Config, code and file of a tokenizer, and of the second one in its table."""
    named: Path | None = getattr(choice.config, "file", None)
    second = [] if choice.target is None else [_made_by(choice.target, registry)]
    return [identity(registry, choice), _content(named), *second]


def tokenizer_digest(tokenizer: Tokenizer) -> str:
    """The same for tokenizers that are the same."""
    return cache_key({name: content.hex() for name, content in tokenizer.files().items()})
