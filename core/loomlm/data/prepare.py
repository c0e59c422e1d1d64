"""From a stage's data table to encoded splits: each step's result is kept by what made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from loomlm.config.settings import Choice, DataConfig
from loomlm.config.show import plain
from loomlm.contracts import Cleaner, DataSource, Facts, Ragged, Task, Tokenizer, TokenizerFactory
from loomlm.data.batches import ExampleRows, Rows
from loomlm.data.columns import ColumnStore, ColumnWriter, open_columns
from loomlm.data.examples import Split, keep_examples, open_examples
from loomlm.data.packing import packed_rows
from loomlm.data.splits import cut_splits
from loomlm.data.windows import Windows
from loomlm.errors import DataError
from loomlm.extending import Extensions
from loomlm.registry import Registry
from loomlm.registry.sources import code_of
from loomlm.storage.cache import cache_key, cached
from loomlm.storage.commit import Staging, file_digest

Say = Callable[[str], None]


@frozen
class Examples:
    """A stage's splits, with the key that everything made from them is kept under."""

    splits: Mapping[str, Split]
    key: str


@frozen
class Encoded:
    """A stage's splits as rows, the task's facts, and a key of it all.

    tokens: of each split. examples: how many the training split has, 0 without one.
    """

    splits: Mapping[str, Rows]
    tokens: Mapping[str, Ragged]
    examples: int
    facts: Facts
    key: str


def made(registry: Registry, choice: Choice) -> Any:
    """The object of a component whose target is called with its config."""
    return registry.made(choice.kind, choice.type, choice.config)


def identity(registry: Registry, choice: Choice) -> list[Any]:
    """What tells a component's results from another's: name, version, config; and, of a third
    party's, its code.
    """
    entry = registry.find(choice.kind, choice.type)
    code = code_of(entry.plugin, entry.component.target)
    return [choice.type, entry.component.version, plain(choice.config), *([code] if code else [])]


def read_examples(
    data: DataConfig, registry: Registry, seed: int, say: Say, only: str | None = None
) -> Examples:
    """Read, clean and split. `only` reads one of the source's splits and cuts nothing."""
    source: DataSource = made(registry, data.source)
    cleaners = [made(registry, choice) for choice in data.clean]
    cleaning = [identity(registry, choice) for choice in data.clean]
    names = source.splits() if only is None else (only,)
    entry = registry.find("data_source", data.source.type)
    fingerprint = source.fingerprint() + code_of(entry.plugin, entry.component.target)
    given = {}
    for name in names:
        # Kept examples name their places, so a file that was renamed is read anew.
        key = cache_key("examples", fingerprint, name, cleaning, plain(data.source.config))
        given[name] = _read_split(source, name, cleaners, key, say)
    if only is not None:
        return Examples(given, cache_key(fingerprint, cleaning, only))
    if "train" not in given:
        raise DataError("The data has no training split. Give data.train.")
    key = cache_key(fingerprint, cleaning, plain(data.split), seed)
    return Examples(cut_splits(given, data.split, seed), key)


def _read_split(
    source: DataSource, name: str, cleaners: list[Cleaner], key: str, say: Say
) -> Split:
    def make(staging: Staging) -> None:
        say(f"Reading {name}")
        before = source.notes()

        def notes() -> list[str]:
            return [note for note in source.notes() if note not in before]

        keep_examples(source.examples(name), cleaners, notes)(staging)

    split = open_examples(cached("examples", key, make))
    if not len(split):
        raise DataError(f"The {name} split has no example.")
    for note in split.store.meta["notes"]:
        say(note)
    return split


def extended(examples: Examples, extensions: Extensions, registry: Registry, say: Say) -> Examples:
    """The splits as the extensions of a stage change them; the same where none does."""
    choices = extensions.with_hook("loomlm_examples")
    if not choices:
        return examples
    whole = cache_key(examples.key, [identity(registry, choice) for choice in choices])
    splits = {}
    for name, split in examples.splits.items():

        def make(staging: Staging, name: str = name, split: Split = split) -> None:
            say(f"Extending {name}")
            keep_examples(extensions.examples(split.examples(), name))(staging)

        splits[name] = open_examples(cached("examples", cache_key(whole, name), make))
        if not len(splits[name]):
            raise DataError(f"The extensions left no example of the {name} split.")
    return Examples(splits, whole)


def make_tokenizer(
    choice: Choice, registry: Registry, train: Split, key: str, say: Say
) -> Tokenizer:
    """The run's tokenizer, trained on the training texts or read from the file that it names."""
    factory: TokenizerFactory = registry.target("tokenizer", choice.type)
    config = choice.config
    named: Path | None = getattr(config, "file", None)
    key = cache_key("tokenizer", key, identity(registry, choice), _content(named))

    def make(staging: Staging) -> None:
        say("Reading the tokenizer" if named else "Training the tokenizer")
        for name, content in factory.train(config, train.texts()).files().items():
            staging.write(name, content)

    return load_tokenizer(choice, registry, cached("tokenizers", key, make))


def load_tokenizer(choice: Choice, registry: Registry, folder: Path) -> Tokenizer:
    """The tokenizer whose files stand in a committed folder."""
    factory: TokenizerFactory = registry.target("tokenizer", choice.type)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    return factory.load(choice.config, files)


def encode_examples(
    task: Task,
    identity_of_task: list[Any],
    tokenizer: Tokenizer,
    examples: Examples,
    say: Say,
    facts: Facts | None = None,
) -> Encoded:
    """Encode every split; facts come from the training split where none are given."""
    if facts is None:
        facts = task.fit(examples.splits["train"].examples(), tokenizer)
    key = cache_key("tokens", examples.key, tokenizer_digest(tokenizer), identity_of_task, facts)
    stores = {}
    for name, split in examples.splits.items():

        def make(staging: Staging, name: str = name, split: Split = split) -> None:
            say(f"Encoding {name}: {len(split):,} examples")
            _encode(staging, task, tokenizer, facts, split)

        folder = cached("tokens", cache_key(key, name), make)
        stores[name] = open_columns(folder)
    splits = {name: _rows(name, store, task) for name, store in stores.items()}
    tokens = {name: _tokens(store) for name, store in stores.items()}
    count = len(stores["train"]) if "train" in stores else 0
    return Encoded(splits, tokens, count, facts, key)


def _rows(name: str, store: ColumnStore, task: Task) -> Rows:
    if not task.stream:
        return ExampleRows(store)
    if getattr(task, "packed", False):
        return packed_rows(name, _tokens(store), task.context, store.bytes)
    stream = _tokens(store).values
    least = task.context + 1 if name == "train" else 2
    if len(stream) < least:
        raise DataError(
            f"The {name} split has {len(stream):,} tokens in all; a row of it needs {least:,}. "
            + ("Lower task.context, or give more text." if name == "train" else "Give more text.")
        )
    return Windows(stream, task.context, store.bytes)


def _tokens(store: ColumnStore) -> Ragged:
    tokens = store.columns["tokens"]
    assert isinstance(tokens, Ragged)
    return tokens


def _encode(staging: Staging, task: Task, tokenizer: Tokenizer, facts: Facts, split: Split) -> None:
    small = tokenizer.vocab_size <= 1 << 16
    writer = ColumnWriter(staging, dtypes={"tokens": "<u2" if small else "<u4"})
    for chunk in split.chunks():
        writer.append(task.encode(chunk, tokenizer, facts, True))
    writer.close()


def _content(named: Path | None) -> dict[str, str]:
    """Digests of the file or folder that a tokenizer is read from, and of what lies beside it."""
    if named is None:
        return {}
    folder = named if named.is_dir() else named.parent
    beside = sorted(folder.glob("*token*.json")) if folder.is_dir() else []
    return {path.name: file_digest(path) for path in {*beside, named} if path.is_file()}


def tokenizer_digest(tokenizer: Tokenizer) -> str:
    """The same for tokenizers that are the same."""
    return cache_key({name: content.hex() for name, content in tokenizer.files().items()})
