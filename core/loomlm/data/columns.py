"""Columns of numbers on disk: written chunk by chunk, read through memory maps.

A plain column is one file `NAME.bin`; a ragged one has the offsets of its rows in
`NAME.offsets.bin` besides. `columns.json` says which columns there are.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, field

from loomlm.contracts import Columns, Ragged
from loomlm.data.asking import ask_for
from loomlm.storage.commit import HashingFile, Staging
from loomlm.storage.foreign import ForeignError, is_inside, read_json

INDEX = "columns.json"

_AROUND = 1 << 21
"""Bytes that the system may map around one that is wanted, those before it too: a large page."""

_WORTH_A_CALL = 200
"""Values that take as long to gather one by one as a slice takes to be made."""


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
    _ends: dict[str, int] = field(factory=dict)
    rows: int = 0

    def append(self, columns: Columns) -> None:
        """Add some rows; every call brings the same columns."""
        for name, column in columns.items():
            ragged = isinstance(column, Ragged)
            values = np.asarray(column.values if isinstance(column, Ragged) else column)
            dtype = np.dtype(self.dtypes.get(name, values.dtype))
            if name not in self._index:
                shape = list(values.shape[1:])
                self._index[name] = {"dtype": dtype.str, "shape": shape, "ragged": ragged}
            self._write(f"{name}.bin", values, dtype)
            if isinstance(column, Ragged):
                self._write_offsets(name, column.offsets)
        self.rows += len(next(iter(columns.values()))) if columns else 0

    def close(self) -> None:
        """Write what makes the columns readable."""
        self._stack.close()
        index = {"columns": self._index, "rows": self.rows, "meta": self.meta}
        self.staging.write(INDEX, json.dumps(index).encode())

    def _write_offsets(self, name: str, offsets: np.ndarray) -> None:
        first = name not in self._ends
        end = self._ends.get(name, 0)
        self._write(f"{name}.offsets.bin", offsets[0 if first else 1 :] + end, np.dtype("i8"))
        self._ends[name] = end + int(offsets[-1])

    def _write(self, file: str, values: np.ndarray, dtype: np.dtype) -> None:
        if file not in self._files:
            self._files[file] = self._stack.enter_context(self.staging.open(file))
        self._files[file].write(np.ascontiguousarray(values, dtype=dtype).data.cast("B"))


@define
class ColumnStore:
    """Columns that a ColumnWriter wrote."""

    columns: dict[str, Ragged | np.ndarray]
    rows: int
    meta: dict[str, Any]

    @classmethod
    def of(cls, columns: Columns) -> ColumnStore:
        """Columns in memory, of which each has as many rows."""
        return cls(dict(columns), len(next(iter(columns.values()))), {})

    def __len__(self) -> int:
        return self.rows

    def total(self, name: str) -> int:
        """The sum of a column of counts, 0 without one."""
        sizes = self.columns.get(name)
        if not isinstance(sizes, np.ndarray):
            return 0
        total, step = 0, 1 << 16
        for start in range(0, len(sizes), step):
            end = min(start + step, len(sizes))
            total += int(sizes[start:end].sum())
            _let_go(sizes, start, end)
        return total

    def part(self, start: int, stop: int) -> ColumnStore:
        """The rows from one number to before another, which ragged columns keep the values of."""
        columns: dict[str, Ragged | np.ndarray] = {
            name: Ragged(column.values, column.offsets[start : stop + 1])
            if isinstance(column, Ragged)
            else column[start:stop]
            for name, column in self.columns.items()
        }
        return ColumnStore(columns, stop - start, self.meta)

    def take(self, rows: np.ndarray) -> dict[str, Ragged | np.ndarray]:
        """Some rows, (n,) indices, of every column, in the order given.

        Who asks for rows in order reads them once, so the memory maps let go of the pages that
        they stand on: a process that reads a store to its end holds no more of it than a chunk.
        """
        taken = {name: take_rows(column, rows) for name, column in self.columns.items()}
        if len(rows) and bool((np.diff(rows) > 0).all()):
            for column in self.columns.values():
                _let_go(column, int(rows[0]), int(rows[-1]) + 1)
        return taken


def open_columns(folder: Path) -> ColumnStore:
    """The columns in a folder."""
    path = folder / INDEX
    index = read_json(path)
    columns: dict[str, Ragged | np.ndarray] = {}
    try:
        for name, form in index["columns"].items():
            columns[name] = _column(folder, name, form, index["rows"])
        return ColumnStore(columns, index["rows"], index["meta"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ForeignError(f"{path} does not fit the files beside it: {error}.") from None


def _column(folder: Path, name: str, form: Mapping[str, Any], rows: int) -> Ragged | np.ndarray:
    """A column, held against what the index says of it. Raises ValueError where it is another."""
    dtype = np.dtype(form["dtype"])
    if not is_inside(name) or "/" in name or dtype.kind not in "iufb":
        raise ValueError(f"{name!r} of {form['dtype']!r} is no column")
    values = _map(folder / f"{name}.bin", dtype).reshape(-1, *form["shape"])
    if not form["ragged"]:
        if len(values) != rows:
            raise ValueError(f"{name!r} has {len(values):,} rows, not {rows:,}")
        return values
    offsets = _map(folder / f"{name}.offsets.bin", np.dtype("i8"))
    if len(offsets) != rows + 1 or offsets[0] != 0 or offsets[-1] != len(values):
        raise ValueError(f"the rows of {name!r} do not end where its values do")
    return Ragged(values, offsets)


def _map(path: Path, dtype: np.dtype) -> np.ndarray:
    if path.stat().st_size == 0:
        return np.empty(0, dtype)
    with path.open("rb") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype)


def _let_go(column: Ragged | np.ndarray, first: int, end: int) -> None:
    """Give the pages of some rows back to the system; they can be read again."""
    if isinstance(column, Ragged):
        _let_go(column.values, int(column.offsets[first]), int(column.offsets[end]))
        _let_go(column.offsets, first, end + 1)
        return
    base: Any = column
    while isinstance(base, np.ndarray):
        base = base.base
    behind = base.obj if isinstance(base, memoryview) else None
    if isinstance(behind, mmap.mmap) and hasattr(behind, "madvise") and end > first:
        size = column.nbytes // len(column)
        start = max(0, first * size - _AROUND) // mmap.PAGESIZE * mmap.PAGESIZE
        behind.madvise(mmap.MADV_DONTNEED, start, end * size - start)


def take_rows(column: Ragged | np.ndarray, rows: np.ndarray) -> Ragged | np.ndarray:
    """A copy of some rows of a column.

    Neighbours are copied together where a copy is worth a call, else everything in one go.
    """
    if not isinstance(column, Ragged):
        return column[rows]
    starts, ends = column.offsets[rows], column.offsets[rows + 1]
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(ends - starts, out=offsets[1:])
    firsts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
    if offsets[-1] > _WORTH_A_CALL * len(firsts):
        spans = zip(starts[firsts], ends[np.append(firsts[1:], len(rows)) - 1], strict=True)
        values = [column.values[start:end] for start, end in spans]
        return Ragged(np.concatenate(values), offsets)
    ask_for(column.values, starts, ends)
    within = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], ends - starts)
    return Ragged(column.values[within], offsets)
