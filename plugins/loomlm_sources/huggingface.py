"""The `huggingface` source: `datasets`, from the hub or a local folder."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import datasets
from attrs import define, field

from loomlm.plugin import DataError, Example, UsageError, did_you_mean
from loomlm_sources.config import SPLITS, HuggingFaceConfig
from loomlm_sources.readers import BadLine
from loomlm_sources.values import joined_text, label_of


@define
class HuggingFace:
    """See `loomlm.plugin.DataSource`."""

    config: HuggingFaceConfig
    _loaded: Any = field(default=None)

    def splits(self) -> tuple[str, ...]:
        """The splits that the config names and the data set has; train must be there."""
        found = self._data()
        names = {name: getattr(self.config, name) for name in SPLITS}
        if names["train"] not in found:
            raise DataError(
                f"The data set {self.config.path!r} has no split {names['train']!r}. "
                f"{did_you_mean(names['train'], found)} Set data.train."
            )
        return tuple(name for name, given in names.items() if given in found)

    def fingerprint(self) -> str:
        """SHA-256 over the config and the content of the columns that are read."""
        meaning = attrs.asdict(self.config)
        digest = hashlib.sha256(json.dumps(meaning, sort_keys=True, default=str).encode())
        for split in self.splits():
            for example in self.examples(split):
                digest.update(f"{example.text}\0{example.label}\0".encode("utf-8", "replace"))
        return digest.hexdigest()

    def examples(self, split: str) -> Iterator[Example]:
        """The split's rows, in the data set's order."""
        name = getattr(self.config, split)
        data = self._data()[name]
        texts = (self.config.text,) if isinstance(self.config.text, str) else self.config.text
        for column in (*texts, *([self.config.label] if self.config.label else [])):
            if column not in data.column_names:
                raise DataError(
                    f"The data set {self.config.path!r} has no column {column!r}. "
                    f"{did_you_mean(column, data.column_names)}"
                )
        names = _class_names(data, self.config.label)
        for number, row in enumerate(data, 1):
            place = f"{self.config.path}[{name}]:{number}"
            text = joined_text(row, texts)
            label = self._label(row, names)
            for value in (text, label):
                if isinstance(value, BadLine):
                    raise DataError(f"{place}: {value.reason}.")
            assert isinstance(text, str)
            assert not isinstance(label, BadLine)
            yield Example(text, label, place=place)

    def notes(self) -> tuple[str, ...]:
        return ()

    def _label(
        self, row: dict[str, Any], names: list[str] | None
    ) -> str | tuple[str, ...] | BadLine | None:
        column = self.config.label
        if column is None:
            return None
        value = row[column]
        if names is not None:
            ids = value if isinstance(value, list) else [value]
            if any(not 0 <= one < len(names) for one in ids):
                return BadLine(0, f"the label {value!r} has no name: the split is unlabelled")
            chosen = tuple(names[one] for one in ids)
            return chosen if isinstance(value, list) else chosen[0]
        return label_of(row, column, None)

    def _data(self) -> Any:
        if self._loaded is None:
            self._loaded = _load(self.config)
        return self._loaded


def _class_names(data: Any, label: str | None) -> list[str] | None:
    if label is None:
        return None
    feature = data.features[label]
    feature = getattr(feature, "feature", feature)
    return list(feature.names) if isinstance(feature, datasets.ClassLabel) else None


def _load(config: HuggingFaceConfig) -> Any:
    """A dict of splits. Raises UsageError, in one sentence, whatever `datasets` says."""
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
        raise UsageError(
            f"The data set {config.path!r} cannot be loaded: {reason.rstrip('.')}. "
            "Check the id, the subset and the revision, and that the network can be reached."
        ) from None
