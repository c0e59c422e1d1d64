"""Examples as a source gave them, cleaned, kept on disk and read by row."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from attrs import evolve, frozen

from loomlm.contracts import Cleaner, Example, Ragged
from loomlm.data.columns import ColumnStore, ColumnWriter, open_columns
from loomlm.errors import DataError
from loomlm.storage.commit import Staging

CHUNK = 4096


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
        """The examples, in lists of at most `size`."""
        for start in range(0, len(self.rows), size):
            examples = _read(self.store, self.rows[start : start + size])
            yield examples if self.part == (0.0, 1.0) else [_cut(e, self.part) for e in examples]

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


def clean(text: str, cleaners: Sequence[Cleaner]) -> str:
    """The text after each step, in order."""
    for cleaner in cleaners:
        text = cleaner(text)
    return text


def keep_examples(
    examples: Iterable[Example],
    cleaners: Sequence[Cleaner] = (),
    notes: Callable[[], Sequence[str]] = tuple,
) -> Callable[[Staging], None]:
    """What fills a cache folder with examples. notes: about them, once all are read."""

    def make(staging: Staging) -> None:
        _write(staging, examples, cleaners, notes)

    return make


def open_examples(folder: Path) -> Split:
    """All the examples that a folder keeps."""
    store = open_columns(folder)
    return Split(store, np.arange(len(store)))


def _write(
    staging: Staging,
    examples: Iterable[Example],
    cleaners: Sequence[Cleaner],
    notes: Callable[[], Sequence[str]],
) -> None:
    labels: dict[str, int] = {}
    files: dict[str, int] = {}
    writer = ColumnWriter(staging)
    chunk: list[Example] = []
    forms: set[type] = set()
    for example in examples:
        chunk.append(example)
        forms.add(type(example.label))
        if len(forms) > 1:
            raise DataError(
                f"{example.place}: the label is {_form(example.label)}, unlike those before it. "
                "Give every example a label, or none; lists for all, or for none."
            )
        if len(chunk) == CHUNK:
            writer.append(_columns(chunk, cleaners, labels, files))
            chunk = []
    if chunk:
        writer.append(_columns(chunk, cleaners, labels, files))
    writer.meta = {
        "labels": list(labels),
        "files": list(files),
        "multi": tuple in forms,
        "notes": list(notes()),
    }
    writer.close()


def _form(label: object) -> str:
    if label is None:
        return "missing"
    return "a list" if isinstance(label, tuple) else "a single one"


def _columns(
    chunk: list[Example],
    cleaners: Sequence[Cleaner],
    labels: dict[str, int],
    files: dict[str, int],
) -> dict[str, Ragged | np.ndarray]:
    columns: dict[str, Ragged | np.ndarray] = {
        "text": _texts([clean(example.text, cleaners) for example in chunk]),
        "place": _places(chunk, files),
    }
    for name in chunk[0].extra:
        columns[f"extra.{name}"] = _texts([clean(e.extra[name], cleaners) for e in chunk])
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
    """(n, 2): the file's number and the line, from "file:line"."""
    places = np.zeros((len(chunk), 2), np.int64)
    for row, example in enumerate(chunk):
        name, _, line = example.place.rpartition(":")
        places[row] = files.setdefault(name, len(files)), int(line) if line.isdigit() else 0
    return places


def _read(store: ColumnStore, rows: np.ndarray) -> list[Example]:
    columns = store.take(rows)
    texts = _strings(columns["text"])
    extras = {
        name.removeprefix("extra."): _strings(column)
        for name, column in columns.items()
        if name.startswith("extra.")
    }
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
        examples.append(Example(text, label, extra, f"{store.meta['files'][file]}:{line}"))
    return examples


def _strings(column: Ragged | np.ndarray) -> list[str]:
    assert isinstance(column, Ragged)
    data = column.values.tobytes()
    bounds = column.offsets.tolist()
    return [data[start:end].decode("utf-8", "surrogatepass") for start, end in pairwise(bounds)]
