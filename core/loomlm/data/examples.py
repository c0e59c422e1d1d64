"""Examples kept on disk, as a source gave them or as cleaning left them, and read by row."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, frozen

from loomlm.contracts import Columns, Example, Ragged
from loomlm.data.cleaning import chunks
from loomlm.data.columns import ColumnStore, ColumnWriter, open_columns
from loomlm.errors import DataError
from loomlm.storage.commit import Staging

CHUNK = 4096
"""Examples that are read and written together."""

CHARACTERS = 1 << 23
"""Characters of them, so that long documents do not fill the memory."""


@frozen
class Split:
    """Some rows of a store of examples, in order.

    part: of the text of its only example, where it has no more: shares of the characters.
    """

    store: ColumnStore
    rows: np.ndarray
    part: tuple[float, float] = (0.0, 1.0)

    def __len__(self) -> int:
        return len(self.rows)

    def examples(self) -> Iterator[Example]:
        """The examples, one by one, read from disk as they are asked for."""
        for chunk in self.chunks():
            yield from chunk

    def chunks(self, size: int = CHUNK) -> Iterator[list[Example]]:
        """The examples, in lists of at most `size`, shorter ones where they are long."""
        for rows in self._row_chunks(size):
            examples = _read(self.store, rows)
            yield examples if self.part == (0.0, 1.0) else [_cut(e, self.part) for e in examples]

    def _row_chunks(self, size: int) -> Iterator[np.ndarray]:
        """Of several texts, those that are over CHARACTERS begin a list of their own."""
        texts = self.store.columns.get("text")
        assert texts is None or isinstance(texts, Ragged)
        for start in range(0, len(self.rows), size):
            rows = self.rows[start : start + size]
            assert texts is not None
            sizes = texts.offsets[rows + 1] - texts.offsets[rows]
            groups = np.cumsum(sizes) // CHARACTERS
            yield from np.split(rows, np.flatnonzero(np.diff(groups)) + 1)

    @property
    def parts(self) -> list[int]:
        """How many of the examples each source gave, in order."""
        ends = np.cumsum(self.store.meta["parts"])
        return np.diff(np.searchsorted(self.rows, ends), prepend=0).tolist()

    def by_source(self) -> list[Split]:
        """The examples of each source, in order."""
        ends = np.cumsum(self.parts)[:-1]
        return [evolve(self, rows=rows) for rows in np.split(self.rows, ends)]

    def texts(self) -> Iterator[str]:
        """The texts alone."""
        for chunk in self.chunks():
            for example in chunk:
                yield example.text
                yield from example.extra.values()

    def labels(self) -> list[str]:
        """The first label of each example, "" where there is none."""
        if "label" not in self.store.columns:
            return [""] * len(self)
        names = self.store.meta["labels"]
        column = self.store.columns["label"]
        assert isinstance(column, Ragged)
        first = [column[row][:1] for row in self.rows]
        return [names[codes[0]] if len(codes) else "" for codes in first]


def _cut(example: Example, part: tuple[float, float]) -> Example:
    start, end = (round(share * len(example.text)) for share in part)
    return evolve(example, text=example.text[start:end])


Clean = Callable[[list[Example]], list[Example]]


def keep_examples(
    parts: Sequence[Iterable[Example]],
    clean: Clean = list,
    meta: Callable[[], Mapping[str, Any]] = dict,
) -> Callable[[Staging], None]:
    """What fills a cache folder with examples.

    parts: of each source, in order. clean: what becomes of some that stand together. meta: what is
    kept beside them, once all are read.
    """

    def make(staging: Staging) -> None:
        _write(staging, parts, clean, meta)

    return make


def open_examples(folder: Path) -> Split:
    """All the examples that a folder keeps."""
    store = open_columns(folder)
    return Split(store, np.arange(len(store)))


def _write(
    staging: Staging,
    parts: Sequence[Iterable[Example]],
    clean: Clean,
    meta: Callable[[], Mapping[str, Any]],
) -> None:
    labels: dict[str, int] = {}
    files: dict[str, int] = {}
    writer = ColumnWriter(staging)
    forms: set[tuple[type, tuple[str, ...]]] = set()
    counts = []
    for examples in parts:
        before = writer.rows
        for given in chunks(examples, CHUNK, CHARACTERS):
            chunk = clean(given)
            for example in chunk:
                _check_form(example, forms)
            if chunk:
                writer.append(_columns(chunk, labels, files))
        counts.append(writer.rows - before)
    writer.meta = {
        "labels": list(labels),
        "files": list(files),
        "multi": any(form is tuple for form, _ in forms),
        "parts": counts,
        **meta(),
    }
    writer.close()


def _check_form(example: Example, forms: set[tuple[type, tuple[str, ...]]]) -> None:
    """Every example has the columns of the first."""
    form = (type(example.label), tuple(sorted((*example.extra, *example.meta))))
    if form in forms:
        return
    if forms:
        _, extra = next(iter(forms))
        if form[1] != extra:
            raise DataError(
                f"{example.place}: the example has the further texts "
                f"{', '.join(form[1]) or 'none'}, unlike those before it: "
                f"{', '.join(extra) or 'none'}. Give all examples the same columns."
            )
        raise DataError(
            f"{example.place}: the label is {_form(example.label)}, unlike those before it. "
            "Give every example a label, or none; lists for all, or for none."
        )
    forms.add(form)


def _form(label: object) -> str:
    if label is None:
        return "missing"
    return "a list" if isinstance(label, tuple) else "a single one"


def _columns(
    chunk: list[Example], labels: dict[str, int], files: dict[str, int]
) -> dict[str, Ragged | np.ndarray]:
    columns: dict[str, Ragged | np.ndarray] = {
        "text": _texts([example.text for example in chunk]),
        "place": _places(chunk, files),
    }
    for name in chunk[0].extra:
        columns[f"extra.{name}"] = _texts([e.extra[name] for e in chunk])
    for name in chunk[0].meta:
        columns[f"meta.{name}"] = _texts([e.meta[name] for e in chunk])
    if chunk[0].label is not None:
        codes = [[labels.setdefault(one, len(labels)) for one in _all(e.label)] for e in chunk]
        columns["label"] = _ragged(codes, np.int32)
    return columns


def _all(label: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (label,) if isinstance(label, str) else label or ()


def _texts(texts: list[str]) -> Ragged:
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    values = np.frombuffer(b"".join(encoded), np.uint8)
    return Ragged(values, _offsets([len(text) for text in encoded]))


def _ragged(rows: list[list[int]], dtype: type) -> Ragged:
    flat = array("q", (value for row in rows for value in row))
    return Ragged(np.array(flat, dtype), _offsets([len(row) for row in rows]))


def _offsets(lengths: list[int]) -> np.ndarray:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _places(chunk: list[Example], files: dict[str, int]) -> np.ndarray:
    """(n, 2): the file's number and the line, from "file:line"; -1 for a place without a line."""
    places = array("q")
    for example in chunk:
        name, _, line = example.place.rpartition(":")
        if not line.isdecimal():
            name, line = example.place, "-1"
        places.extend((files.setdefault(name, len(files)), int(line)))
    return np.array(places, np.int64).reshape(-1, 2)


def _read(store: ColumnStore, rows: np.ndarray) -> list[Example]:
    columns = store.take(rows)
    texts = _strings(columns["text"])
    extras, metas = _by_name(columns, "extra."), _by_name(columns, "meta.")
    names, multi = store.meta["labels"], store.meta["multi"]
    label_codes = columns.get("label")
    examples = []
    places = np.asarray(columns["place"]).tolist()
    for index, (text, (file, line)) in enumerate(zip(texts, places, strict=True)):
        label: str | tuple[str, ...] | None = None
        if isinstance(label_codes, Ragged):
            found = tuple(names[code] for code in label_codes[index])
            label = found if multi else found[0]
        extra = {name: values[index] for name, values in extras.items()}
        meta = {name: values[index] for name, values in metas.items()}
        examples.append(Example(text, label, extra, _place(store.meta["files"][file], line), meta))
    return examples


def _by_name(columns: Columns, prefix: str) -> dict[str, list[str]]:
    return {
        name.removeprefix(prefix): _strings(column)
        for name, column in columns.items()
        if name.startswith(prefix)
    }


def _place(file: str, line: int) -> str:
    return file if line < 0 else f"{file}:{line}"


def _strings(column: Ragged | np.ndarray) -> list[str]:
    assert isinstance(column, Ragged)
    data = column.values.tobytes()
    bounds = column.offsets.tolist()
    return [data[start:end].decode("utf-8", "surrogatepass") for start, end in pairwise(bounds)]
