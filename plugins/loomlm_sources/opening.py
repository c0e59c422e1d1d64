"""Finds and opens files: globs, compression; every failure in one sentence."""

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

from loomlm.plugin import DataError, nearest

COMPRESSED: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
MAGIC = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".xz": b"\xfd7zXZ"}
ENDINGS = {
    ".txt": "txt",
    ".text": "txt",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".conll": "conll",
}


def find_files(patterns: Path | Sequence[Path]) -> list[Path]:
    """The files of a split, globs resolved in sorted order.

    Raises DataError for a file that is not there, or a glob that fits none.
    """
    found: list[Path] = []
    for pattern in [patterns] if isinstance(patterns, Path) else patterns:
        try:
            is_glob = glob.has_magic(str(pattern)) and not pattern.exists()
            found += _matching(pattern) if is_glob else [_existing(pattern)]
        except OSError as error:
            raise DataError(f"{pattern} cannot be read: {error.strerror}.") from None
    return found


def _matching(pattern: Path) -> list[Path]:
    # A folder that is there is meant as it stands: its name may hold brackets.
    base = next(folder for folder in pattern.parents if folder.is_dir())
    names = glob.glob(  # noqa: PTH207 - Path.glob differs from version to version
        str(pattern.relative_to(base)), root_dir=base, recursive=True
    )
    files = [base / name for name in sorted(names) if (base / name).is_file()]
    if not files:
        raise DataError(f"No file fits {pattern}. Check the folder and the pattern.")
    return files


def _existing(path: Path) -> Path:
    if path.is_dir():
        raise DataError(f"{path} is a folder. Name its files, e.g. {path / '*.csv'}.")
    if not path.exists():
        names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = nearest(path.name, names)
        hint = f"Did you mean {near!r}?" if near else "Check the path."
        raise DataError(f"There is no file {path}. {hint}")
    return path


def data_format(path: Path, usual: str | None = None) -> str:
    """What a file's name says of its form, before the ending of its compression.

    usual: of a name that says none. Raises DataError for such a one without it.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSED]
    form = ENDINGS.get(suffixes[-1], usual) if suffixes else usual
    if form is None:
        raise DataError(
            f"The name of {path} does not say its form. Set data.format to txt, csv, tsv, jsonl, "
            "parquet, conll or squad."
        )
    return form


def stem(path: Path) -> str:
    """A file's name without the endings of its compression and form."""
    name = path.stem if packing(path) else path.name
    return Path(name).stem if Path(name).suffix.lower() in ENDINGS else name


def packing(path: Path) -> str:
    """The ending that says how a file is compressed, "" for none."""
    return path.suffix.lower() if path.suffix.lower() in COMPRESSED else ""


@contextmanager
def opened(path: Path, unpack: bool = True) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked. Raises DataError for what the system or the archive refuses."""
    opener = COMPRESSED.get(packing(path)) if unpack else None
    try:
        with opener(path, "rb") if opener else path.open("rb") as file:
            yield file
    except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        raise DataError(_why_unreadable(path, error, opener is not None)) from None


def is_damage(error: Exception) -> bool:
    """Whether an archive is damaged, rather than that the system cannot read it."""
    return not (isinstance(error, OSError) and error.errno is not None)


def _why_unreadable(path: Path, error: Exception, packed: bool) -> str:
    if not is_damage(error):
        assert isinstance(error, OSError)
        return f"{path} cannot be read: {error.strerror}. Check the file and its permissions."
    assert packed, error
    with path.open("rb") as file:
        begins = file.read(8).startswith(MAGIC[packing(path)])
    if begins:
        return f"{path} is a damaged or truncated archive: {error}. Fetch it again."
    return (
        f"{path} is no {packing(path)} archive: {error}. Fetch it again, or take "
        f"{packing(path)} off its name if it is not compressed."
    )
