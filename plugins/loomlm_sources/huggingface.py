"""The `huggingface` source: `datasets`, from the hub or a local folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import attrs
from attrs import define

from loomlm.plugin import DataError, Example, did_you_mean
from loomlm_sources.annotated import answers_beside, has_answers, words_of
from loomlm_sources.config import SPLITS, HuggingFaceConfig, extra_columns
from loomlm_sources.lines import BadLine
from loomlm_sources.values import check_split, joined_text, label_of
from loomlm_sources.watching import sampled

# Read by the library when it is imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
import datasets

_COMMIT = re.compile(r"[0-9a-f]{40}")

Value = TypeVar("Value", bound=str | tuple[str, ...] | None)


@define(slots=False)
class HuggingFace:
    """See `loomlm.plugin.ShardedSource`.

    `shards` and `shard` read a data set of the hub as it comes in, and what lies here from where it
    lies; only `examples` and `fingerprint` fetch all of it first.
    """

    config: HuggingFaceConfig

    def splits(self) -> tuple[str, ...]:
        """The splits that the config names and the data set has.

        Train must be there, and so must a split whose name is not the default.
        """
        found = self._split_names
        names = {name: getattr(self.config, name) for name in SPLITS}
        usual = attrs.fields_dict(HuggingFaceConfig)
        for name, given in names.items():
            needed = name == "train" or given != usual[name].default
            if given is not None and needed and given not in found:
                raise DataError(
                    f"The data set {self.config.path!r} has no split {given!r}. "
                    f"{did_you_mean(given, found)} Set data.{name}."
                )
        return tuple(name for name, given in names.items() if given in found)

    def fingerprint(self) -> str:
        """SHA-256 over the texts and labels of all splits, in order."""
        digest = hashlib.sha256()
        for split in self.splits():
            digest.update(f"{split}\n".encode())
            for example in self.examples(split):
                further = (*example.extra.values(), *example.meta.values())
                row = [example.text, example.label, *further]
                digest.update(f"{json.dumps(row)}\n".encode())
        return digest.hexdigest()

    def shards_fingerprint(self) -> str:
        """SHA-256 over what the config means and the files of the data set.

        Of a file here, its size, its first and last bytes and some between count; of one on the
        hub, its name and its commit.
        """
        meaning = {
            name: value for name, value in attrs.asdict(self.config).items() if name != "path"
        }
        files = {split: self._files(getattr(self.config, split)) for split in self.splits()}
        written = json.dumps([meaning, files], sort_keys=True)
        return hashlib.sha256(written.encode()).hexdigest()

    def examples(self, split: str) -> Iterator[Example]:
        """The split's rows, in the data set's order."""
        check_split(split, self.splits())
        name = getattr(self.config, split)
        data = self._data[name]
        self._check_columns(data.column_names)
        yield from self._read(data, data.features, f"{self.config.path}[{name}]", 0)

    def shards(self, split: str) -> tuple[str, ...]:
        """The data set's own parts, named after the split: "train-00000-of-00012"."""
        check_split(split, self.splits())
        name = getattr(self.config, split)
        if self._saved is not None:
            count = max(1, len(self._saved[name].cache_files))
        else:
            count = self._streamed[name].num_shards
        return tuple(f"{name}-{number:05d}-of-{count:05d}" for number in range(count))

    def shard(self, split: str, name: str, skip: int = 0) -> Iterator[Example]:
        """The rows of a part, without the first `skip`.

        Of what `save_to_disk` wrote, those are not read. Others have to be, by `datasets`, which
        reads a row group or a block of lines at a time.
        """
        names = self.shards(split)
        if name not in names:
            raise DataError(f"The {split} split has no part {name}. {did_you_mean(name, names)}")
        place = f"{self.config.path}[{name}]"
        parts = self._streamed if self._saved is None else self._saved
        part = parts[getattr(self.config, split)].shard(
            num_shards=len(names), index=names.index(name), contiguous=True
        )
        if part.column_names is not None:  # Some streams find out as they are read.
            self._check_columns(part.column_names)
        if self._saved is not None and skip >= len(part):
            return  # Its `skip` leaves at least one row.
        rest = part.skip(skip)
        yield from _in_a_sentence(self.config, self._read(rest, part.features, place, skip))

    def notes(self) -> tuple[str, ...]:
        return ()

    def resolved(self) -> Mapping[str, str]:
        """Of a data set of the hub its id, and the commit that is read."""
        if self._is_local:
            return {}
        return {"path": self.config.path, "commit": self._commit or str(self._builder.hash)}

    @property
    def _is_local(self) -> bool:
        return Path(self.config.path).exists()

    @cached_property
    def _commit(self) -> str | None:
        """What the revision means now; None where the hub cannot be asked, and a copy is read."""
        from huggingface_hub import HfApi

        revision = self.config.revision
        if self._is_local or (revision is not None and _COMMIT.fullmatch(revision)):
            return revision
        try:
            return HfApi().dataset_info(self.config.path, revision=revision).sha
        except Exception:  # Whatever it is, `datasets` meets it too, unless it has a copy.
            return None

    def _texts(self) -> tuple[str, ...]:
        return (self.config.text,) if isinstance(self.config.text, str) else self.config.text

    def _columns(self) -> list[str]:
        given = (*self._texts(), self.config.label, *extra_columns(self.config).values())
        return list(dict.fromkeys(name for name in given if name is not None))

    def _check_columns(self, names: list[str]) -> None:
        for column in self._columns():
            if column not in names:
                raise DataError(
                    f"The data set {self.config.path!r} has no column {column!r}. "
                    f"{did_you_mean(column, names)} Set data.text or data.label."
                )

    def _read(self, data: Any, features: Any, place: str, skip: int) -> Iterator[Example]:
        """The examples of rows, which are counted from `skip` on."""
        texts, further = self._texts(), extra_columns(self.config)
        names = _class_names(features, self.config.label)
        # Other columns may hold images or sound, which would be decoded.
        rows = data if data.column_names is None else data.select_columns(self._columns())
        for number, row in enumerate(rows, skip + 1):
            where = f"{place}:{number}"
            text = _good(self._text(row, texts), where)
            extra, meta = {}, {}
            for name, column in further.items():
                if has_answers(row[column]):
                    meta[name] = _good(answers_beside(row[column], text), where)
                else:
                    extra[name] = _good(joined_text(row, (column,)), where)
            yield Example(text, _good(self._label(row, names), where), extra, where, meta)

    def _text(self, row: Mapping[str, Any], texts: tuple[str, ...]) -> str | BadLine:
        words, tags = row[texts[0]], row[self.config.label] if self.config.label else None
        if len(texts) == 1 and isinstance(words, list) and isinstance(tags, list):
            return words_of(words, tags)
        return joined_text(row, texts)

    def _label(
        self, row: Mapping[str, Any], names: list[str] | None
    ) -> str | tuple[str, ...] | BadLine | None:
        column = self.config.label
        if column is None:
            return None
        value = row[column]
        if names is None:
            return label_of(value)
        ids = value if isinstance(value, list) else [value]
        if any(one is None or not 0 <= one < len(names) for one in ids):
            shown = "null" if value is None else repr(value)
            return BadLine(0, f"the label {shown} has no name, as in a split without labels")
        chosen = tuple(names[one] for one in ids)
        return chosen if isinstance(value, list) else chosen[0]

    def _files(self, name: str) -> list[Any]:
        """What tells the files of a split from others."""
        if self._saved is not None:
            paths = [Path(file["filename"]) for file in self._saved[name].cache_files]
            return [[path.name for path in paths], sampled(paths)]
        given = (self._builder.config.data_files or {}).get(name, [])
        if not given:
            return [self._builder.hash, str(self._builder.config.version)]
        local = [Path(file) for file in given if Path(file).is_file()]
        if len(local) == len(given):
            return [[path.name for path in local], sampled(local)]
        return [list(given), [list(one) for one in getattr(given, "origin_metadata", ())]]

    @cached_property
    def _split_names(self) -> tuple[str, ...]:
        """What is known without the data, or else from where its files lie."""
        if self._saved is not None:
            return tuple(self._saved)
        return tuple(self._builder.info.splits or self._streamed)

    @cached_property
    def _saved(self) -> Mapping[str, Any] | None:
        """A folder that `save_to_disk` wrote, mapped into memory; else None."""
        path = Path(self.config.path)
        if (path / "dataset_dict.json").is_file():
            return _loaded(self.config, lambda: datasets.load_from_disk(self.config.path))
        if (path / "state.json").is_file():
            return {
                "train": _loaded(self.config, lambda: datasets.load_from_disk(self.config.path))
            }
        return None

    @cached_property
    def _builder(self) -> Any:
        """Knows the data set's files, and has fetched none."""
        config = self.config
        return _loaded(
            config,
            lambda: datasets.load_dataset_builder(
                config.path, config.subset, revision=self._commit or config.revision
            ),
        )

    @cached_property
    def _streamed(self) -> Mapping[str, Any]:
        return _loaded(self.config, self._builder.as_streaming_dataset)

    @cached_property
    def _data(self) -> Mapping[str, Any]:
        """All of the data, which is fetched, and kept as `datasets` does."""
        return _loaded(self.config, self._fetched) if self._saved is None else self._saved

    def _fetched(self) -> Any:
        self._builder.download_and_prepare()
        return self._builder.as_dataset()


def _good(value: Value | BadLine, place: str) -> Value:
    if isinstance(value, BadLine):
        raise DataError(f"{place}: {value.reason}. Choose another column or split.")
    return value


def _class_names(features: Any, label: str | None) -> list[str] | None:
    """Of a label that is a number with a name; a stream of lines says nothing of that."""
    if label is None or features is None:
        return None
    feature = features[label]
    feature = getattr(feature, "feature", feature)
    return list(feature.names) if isinstance(feature, datasets.ClassLabel) else None


def _loaded(config: HuggingFaceConfig, load: Callable[[], Any]) -> Any:
    """What `load` gives. Raises DataError, in one sentence, whatever `datasets` says."""
    logging.getLogger("datasets").setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    try:
        return load()
    # Whatever a server or a file makes `datasets` raise, the user hears of it.
    except Exception as error:
        raise _unreadable(config, error) from None


def _in_a_sentence(config: HuggingFaceConfig, examples: Iterator[Example]) -> Iterator[Example]:
    """The examples; what `datasets` raises while they come is a DataError, too."""
    try:
        yield from examples
    except DataError:
        raise
    except Exception as error:
        raise _unreadable(config, error) from None


def _unreadable(config: HuggingFaceConfig, error: Exception) -> DataError:
    first = str(error).strip().splitlines()
    reason = first[0] if first else type(error).__name__
    return DataError(
        f"The data set {config.path!r} cannot be loaded: {reason.rstrip('.')}. "
        "Check the id or folder, the subset and the revision, and that the network can be "
        "reached."
    )
