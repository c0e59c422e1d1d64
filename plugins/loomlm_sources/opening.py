"""Finds and opens files: globs, compression, encodings; every failure in one sentence."""

from __future__ import annotations

import bz2
import glob
import gzip
import lzma
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from loomlm.plugin import DataError, did_you_mean

COMPRESSED: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
BROKEN_ARCHIVE = (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile)


def find_files(patterns: Path | Sequence[Path]) -> list[Path]:
    """The files of a split, globs resolved in sorted order.

    Raises DataError for a file that is not there, or a glob that fits none.
    """
    found: list[Path] = []
    for pattern in [patterns] if isinstance(patterns, Path) else patterns:
        if glob.has_magic(str(pattern)) and not pattern.exists():
            matched = sorted(glob.glob(str(pattern), recursive=True))  # noqa: PTH207 - absolute
            if not matched:
                raise DataError(f"No file fits {pattern}. Check the folder and the pattern.")
            found += [Path(name) for name in matched if Path(name).is_file()]
        else:
            found.append(_existing(pattern))
    return found


def _existing(path: Path) -> Path:
    if path.is_dir():
        raise DataError(f"{path} is a folder. Name its files, e.g. {path / '*.csv'}.")
    if not path.exists():
        names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = did_you_mean(path.name, names) if len(names) < 1000 else ""
        near = near if near.startswith("Did") else "Check the path."
        raise DataError(f"There is no file {path}. {near}")
    return path


def data_format(path: Path) -> str:
    """What a file's name says of its form, before the ending of its compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSED]
    known = {
        ".txt": "txt",
        ".text": "txt",
        ".csv": "csv",
        ".tsv": "tsv",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".json": "jsonl",
        ".parquet": "parquet",
    }
    form = known.get(suffixes[-1]) if suffixes else None
    if form is None:
        raise DataError(
            f"The name of {path} does not say its form. Set data.format to txt, csv, tsv, jsonl "
            "or parquet."
        )
    return form


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked. Raises DataError for what the system or the archive refuses."""
    opener = COMPRESSED.get(path.suffix.lower())
    try:
        with opener(path, "rb") if opener else path.open("rb") as file:
            yield file
    except BROKEN_ARCHIVE as error:
        raise DataError(
            f"{path} is a damaged or truncated archive: {error}. Fetch it again."
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def decoded_lines(file: IO[bytes], encoding: str) -> Iterator[tuple[int, str | None]]:
    """Each line with its number, its line end kept; None for one that is not of the encoding.

    A byte-order mark at the start is dropped. Lines end at line feeds only.
    """
    if encoding.lower().replace("_", "-") not in ("utf-8", "utf8", "ascii", "latin-1", "cp1252"):
        yield from _decoded_whole(file, encoding)
        return
    for number, line in enumerate(file, 1):
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError:
            yield number, None
            continue
        yield number, text.removeprefix("\ufeff") if number == 1 else text


def _decoded_whole(file: IO[bytes], encoding: str) -> Iterator[tuple[int, str | None]]:
    """For encodings in which a line feed is not one byte, such as UTF-16."""
    import io

    number = 0
    try:
        reader = io.TextIOWrapper(file, encoding=encoding, newline="\n")
        for number, line in enumerate(reader, 1):
            yield number, line
    except LookupError:
        raise DataError(f"There is no encoding {encoding!r}. Try utf-8 or latin-1.") from None
    except UnicodeError:
        yield number + 1, None
