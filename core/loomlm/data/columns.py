"""Columns of numbers on disk: written chunk by chunk, read through memory maps.

A plain column is one file `NAME.bin`; a ragged one has the offsets of its rows in
`NAME.offsets.bin` besides. `columns.json` says which columns there are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, field

from loomlm.contracts import Columns, Ragged
from loomlm.data.reading import ask_for
from loomlm.storage.commit import HashingFile, Staging

INDEX = "columns.json"


@define
class ColumnWriter:
    """Appends chunks of columns; `close` writes the offsets and the index.

    dtypes: the type on disk of a column, where it is not that of the arrays. meta: JSON values
    kept beside the columns.
    """

    staging: Staging
    dtypes: Mapping[str, Any] = field(factory=dict)
    meta: dict[str, Any] = field(factory=dict)
    _files: dict[str, HashingFile] = field(factory=dict)
    _stack: ExitStack = field(factory=ExitStack)
    _index: dict[str, dict[str, Any]] = field(factory=dict)
    _lengths: dict[str, list[np.ndarray]] = field(factory=dict)
    rows: int = 0

    def append(self, columns: Columns) -> None:
        """Add some rows; every call brings the same columns."""
        for name, column in columns.items():
            ragged = isinstance(column, Ragged)
            values = np.asarray(column.values if isinstance(column, Ragged) else column)
            dtype = np.dtype(self.dtypes.get(name, values.dtype))
            if name not in self._files:
                shape = list(values.shape[1:])
                self._index[name] = {"dtype": dtype.str, "shape": shape, "ragged": ragged}
                self._files[name] = self._stack.enter_context(self.staging.open(f"{name}.bin"))
            self._files[name].write(np.ascontiguousarray(values, dtype=dtype).data.cast("B"))
            if isinstance(column, Ragged):
                self._lengths.setdefault(name, []).append(np.diff(column.offsets))
        self.rows += len(next(iter(columns.values()))) if columns else 0

    def close(self) -> None:
        """Write what makes the columns readable."""
        self._stack.close()
        for name, chunks in self._lengths.items():
            offsets = np.zeros(sum(map(len, chunks)) + 1, np.int64)
            np.cumsum(np.concatenate(chunks), out=offsets[1:])
            self.staging.write(f"{name}.offsets.bin", offsets.tobytes())
        index = {"columns": self._index, "rows": self.rows, "meta": self.meta}
        self.staging.write(INDEX, json.dumps(index).encode())


@define
class ColumnStore:
    """Columns that a ColumnWriter wrote."""

    columns: dict[str, Ragged | np.ndarray]
    rows: int
    meta: dict[str, Any]

    def __len__(self) -> int:
        return self.rows

    @property
    def bytes(self) -> int:
        """The sum of the column of that name, 0 without one."""
        sizes = self.columns.get("bytes")
        return int(sizes.sum()) if isinstance(sizes, np.ndarray) else 0

    def take(self, rows: np.ndarray) -> dict[str, Ragged | np.ndarray]:
        """Some rows, (n,) indices, of every column, in the order given."""
        return {name: take_rows(column, rows) for name, column in self.columns.items()}


def open_columns(folder: Path) -> ColumnStore:
    """The columns in a folder."""
    index = json.loads((folder / INDEX).read_bytes())
    columns: dict[str, Ragged | np.ndarray] = {}
    for name, form in index["columns"].items():
        values = _map(folder / f"{name}.bin", np.dtype(form["dtype"])).reshape(-1, *form["shape"])
        columns[name] = values
        if form["ragged"]:
            columns[name] = Ragged(values, _map(folder / f"{name}.offsets.bin", np.dtype("i8")))
    return ColumnStore(columns, index["rows"], index["meta"])


def _map(path: Path, dtype: np.dtype) -> np.ndarray:
    if path.stat().st_size == 0:
        return np.empty(0, dtype)
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))


def take_rows(column: Ragged | np.ndarray, rows: np.ndarray) -> Ragged | np.ndarray:
    """Rows of a column, gathered without a loop."""
    if not isinstance(column, Ragged):
        return column[rows]
    starts = column.offsets[rows]
    lengths = column.offsets[rows + 1] - starts
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    ask_for(column.values, starts, starts + lengths)
    within = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return Ragged(column.values[within], offsets)
