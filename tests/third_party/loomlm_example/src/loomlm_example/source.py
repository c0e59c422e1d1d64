"""A data source: tables of an SQLite file, read with Python's own library."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from attrs import define

from loomlm.plugin import DataError, Example, did_you_mean
from loomlm_example.config import SqliteConfig


@define
class Sqlite:
    """One table a split, in the order of `rowid`. See `loomlm.plugin.DataSource`.

    A row whose text is NULL is left out, and counted in a note.
    """

    config: SqliteConfig
    left_out: int = 0

    def fingerprint(self) -> str:
        """A digest of the rows that are read.

        Not of the file, whose bytes change when it is compacted, though the examples do not.
        """
        digest = hashlib.sha256()
        for split in self.splits():
            for row in self._rows(split):
                digest.update(repr((split, row)).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def splits(self) -> tuple[str, ...]:
        """ "train", and "validation" and "test" where the config names their tables."""
        return tuple(
            split for split in ("train", "validation", "test") if getattr(self.config, split)
        )

    def examples(self, split: str) -> Iterator[Example]:
        """The examples of a table.

        Raises DataError, naming the nearest right name, when the file, the split, the table or a
        column is not there.
        """
        if split not in self.splits():
            raise DataError(
                f"There is no split {split!r} of {self.config.file}. "
                f"{did_you_mean(split, self.splits())}"
            )
        self.left_out = 0
        table = getattr(self.config, split)
        for number, text, label in self._rows(split):
            if text is None:
                self.left_out += 1
                continue
            place = f"{self.config.file}[{table}]:{number}"
            yield Example(str(text), None if label is None else str(label), place=place)

    def notes(self) -> tuple[str, ...]:
        """How many rows had no text."""
        if not self.left_out:
            return ()
        return (f"{self.config.file.name}: {self.left_out:,} rows have no text and are left out.",)

    def _rows(self, split: str) -> Iterator[tuple[int, Any, Any]]:
        """`rowid`, text and label of each row."""
        config = self.config
        table = getattr(config, split)
        if not config.file.is_file():
            raise DataError(f"There is no SQLite file {config.file}. Check data.file.")
        try:
            address = f"{config.file.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(address, uri=True)) as database:
                self._check(database, table)
                label = "NULL" if config.label is None else _quoted(config.label)
                yield from database.execute(
                    f"SELECT rowid, {_quoted(config.text)}, {label} FROM {_quoted(table)} "
                    "ORDER BY rowid"
                )
        except sqlite3.Error as error:
            raise DataError(
                f"{config.file}: the table {table!r} cannot be read: {error}."
            ) from None

    def _check(self, database: sqlite3.Connection, table: str) -> None:
        """SQLite takes a quoted name that is no column for a string, so names are looked up."""
        file = self.config.file
        named = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = [row[0] for row in named]
        if table not in tables:
            raise DataError(f"{file} has no table {table!r}. {did_you_mean(table, tables)}")
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({_quoted(table)})")]
        for column in (self.config.text, self.config.label):
            if column is not None and column not in columns:
                raise DataError(
                    f"{file}: the table {table!r} has no column {column!r}. "
                    f"{did_you_mean(column, columns)}"
                )


def _quoted(name: str) -> str:
    """A name as SQL writes it, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'
