"""The `huggingface` source: `datasets`, from the hub or a local folder."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import attrs
import datasets
from attrs import define, field

from loomlm.plugin import DataError, Example, did_you_mean
from loomlm_sources.config import SPLITS, HuggingFaceConfig
from loomlm_sources.readers import BadLine
from loomlm_sources.values import check_split, joined_text, label_of

Value = TypeVar("Value", bound=str | tuple[str, ...] | None)


@define
class HuggingFace:
    """See `loomlm.plugin.DataSource`."""

    config: HuggingFaceConfig
    _loaded: Any = field(default=None)

    def splits(self) -> tuple[str, ...]:
        """The splits that the config names and the data set has.

        Train must be there, and so must a split whose name is not the default.
        """
        found = self._data()
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
                digest.update(f"{json.dumps([example.text, example.label])}\n".encode())
        return digest.hexdigest()

    def examples(self, split: str) -> Iterator[Example]:
        """The split's rows, in the data set's order."""
        check_split(split, self.splits())
        name = getattr(self.config, split)
        data = self._data()[name]
        texts = (self.config.text,) if isinstance(self.config.text, str) else self.config.text
        columns = (*texts, *([self.config.label] if self.config.label else []))
        for column in columns:
            if column not in data.column_names:
                raise DataError(
                    f"The data set {self.config.path!r} has no column {column!r}. "
                    f"{did_you_mean(column, data.column_names)} Set data.text or data.label."
                )
        names = _class_names(data, self.config.label)
        # Other columns may hold images or sound, which would be decoded.
        for number, row in enumerate(data.select_columns(list(dict.fromkeys(columns))), 1):
            place = f"{self.config.path}[{name}]:{number}"
            text = _good(joined_text(row, texts), place)
            yield Example(text, _good(self._label(row, names), place), place=place)

    def notes(self) -> tuple[str, ...]:
        return ()

    def _label(
        self, row: dict[str, Any], names: list[str] | None
    ) -> str | tuple[str, ...] | BadLine | None:
        column = self.config.label
        if column is None:
            return None
        value = row[column]
        if names is None:
            return label_of(row, column, None)
        ids = value if isinstance(value, list) else [value]
        if any(one is None or not 0 <= one < len(names) for one in ids):
            shown = "null" if value is None else repr(value)
            return BadLine(0, f"the label {shown} has no name, as in a split without labels")
        chosen = tuple(names[one] for one in ids)
        return chosen if isinstance(value, list) else chosen[0]

    def _data(self) -> Any:
        if self._loaded is None:
            self._loaded = _load(self.config)
        return self._loaded


def _good(value: Value | BadLine, place: str) -> Value:
    if isinstance(value, BadLine):
        raise DataError(f"{place}: {value.reason}. Choose another column or split.")
    return value


def _class_names(data: Any, label: str | None) -> list[str] | None:
    if label is None:
        return None
    feature = data.features[label]
    feature = getattr(feature, "feature", feature)
    return list(feature.names) if isinstance(feature, datasets.ClassLabel) else None


def _load(config: HuggingFaceConfig) -> Any:
    """A dict of splits. Raises DataError, in one sentence, whatever `datasets` says."""
    logging.getLogger("datasets").setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    path = Path(config.path)
    try:
        if (path / "dataset_dict.json").is_file():
            return datasets.load_from_disk(config.path)
        if (path / "state.json").is_file():
            return {"train": datasets.load_from_disk(config.path)}
        return datasets.load_dataset(config.path, config.subset, revision=config.revision)
    # Whatever a loading script, a server or a file makes `datasets` raise, the user hears of it.
    except Exception as error:
        first = str(error).strip().splitlines()
        reason = first[0] if first else type(error).__name__
        raise DataError(
            f"The data set {config.path!r} cannot be loaded: {reason.rstrip('.')}. "
            "Check the id or folder, the subset and the revision, and that the network can be "
            "reached."
        ) from None
