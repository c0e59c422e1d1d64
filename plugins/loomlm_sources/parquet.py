"""Rows of parquet files, a batch at a time; fields within a column by dotted names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from loomlm.plugin import DataError, UsageError
from loomlm_sources.forms import Form, Row, check_columns, listed

BATCH = 1024
"""Rows that are in memory at a time, beside the packed bytes of their columns in one row group.
More took more memory, and were no faster."""


def flat_columns(path: Path) -> tuple[str, ...]:
    """The columns of a parquet file, those within a struct as "struct.field"."""
    with _parquet_file(path) as file:
        return tuple(name for name, kind in _flat(file.schema_arrow) if not _is_nested(kind))


def read_parquet(path: Path, form: Form, skip: int = 0) -> Iterator[Row]:
    """The rows without the first `skip`; row groups that hold none of the others are not read.

    Raises DataError for a column that is not there, or that holds no texts and labels.
    """
    with _parquet_file(path) as file:
        _check_schema(file.schema_arrow, form, path)
        first, number = 0, 0
        while first < file.num_row_groups:
            rows = file.metadata.row_group(first).num_rows
            if number + rows > skip:
                break
            first, number = first + 1, number + rows
        batches = file.iter_batches(
            BATCH,
            row_groups=list(range(first, file.num_row_groups)),
            columns=list(dict.fromkeys(form.wanted)),
        )
        rows = (row for batch in batches for row in batch.to_pylist())
        yield from enumerate(islice(rows, skip - number, None), skip + 1)


def _check_schema(schema: Any, form: Form, path: Path) -> None:
    kinds = _flat(schema)
    flat = [name for name, kind in kinds if not _is_nested(kind)]
    types = dict(kinds)
    for name in form.wanted:
        kind = types.get(name)
        if kind is None or not _is_nested(kind):
            check_columns([name for name, _ in kinds], [name], str(path))
        elif name not in form.labels or _is_nested(_items(kind)):
            what = "a label" if name in form.labels else "text"
            raise DataError(
                f"{path}: the column {name!r} is {_short(kind)}, not {what}. Its flat columns are: "
                f"{listed(flat)}. Name one of them with data.text or data.label."
            )


def _flat(schema: Any) -> list[tuple[str, Any]]:
    """Each column and each field within a struct, with its type."""
    found: list[tuple[str, Any]] = []

    def add(name: str, kind: Any) -> None:
        found.append((name, kind))
        if str(kind).startswith("struct<"):
            for field in kind:
                add(f"{name}.{field.name}", field.type)

    for field in schema:
        add(field.name, field.type)
    return found


def _is_nested(kind: Any) -> bool:
    from pyarrow import types

    return types.is_nested(kind)


def _items(kind: Any) -> Any:
    """The type of a list's items; of no list, the type itself."""
    from pyarrow import types

    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    return kind.value_type if any(is_list(kind) for is_list in lists) else kind


def _short(kind: Any) -> str:
    shown = str(kind)
    return shown if len(shown) <= 80 else f"{shown[:80]}..."


@contextmanager
def _parquet_file(path: Path) -> Iterator[Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError(
            f'{path} is a parquet file, which needs pyarrow: pip install "loomlm[parquet]"'
        ) from None
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split()).rstrip(" .")
        raise DataError(
            f"{path} cannot be read as parquet: {reason}. Check that it is whole, and that "
            "data.format is right."
        ) from None
