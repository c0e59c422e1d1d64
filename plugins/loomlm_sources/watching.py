"""What tells the content of files from another, and whether it stays what it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from attrs import define, field

from loomlm.plugin import DataError
from loomlm_sources.opening import opened, packing

Stamp = tuple[int, int]
EDGE = 1 << 16
PIECE = 1 << 12
PIECES = 14


def whole(paths: Iterable[Path]) -> list[list[str]]:
    """What the files hold: their packing and the digest of their bytes."""
    found = []
    for path in paths:
        with opened(path, unpack=False) as file:
            # `file_digest` asks for a kind of file that not each is by its type.
            digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        found.append([packing(path), digest])
    return found


def sampled(paths: Iterable[Path]) -> list[list[str]]:
    """As `whole`, by the size, the first and last bytes, and some between."""
    found = []
    for path in paths:
        with opened(path, unpack=False) as file:
            size = file.seek(0, 2)
            digest = hashlib.sha256(str(size).encode())
            starts = [0, *(size * n // (PIECES + 1) for n in range(1, PIECES + 1))]
            for place in [*starts, max(0, size - EDGE)]:
                file.seek(place)
                digest.update(file.read(PIECE if 0 < place < size - EDGE else EDGE))
        found.append([packing(path), digest.hexdigest()])
    return found


@define
class Watch:
    """Sizes and times of files when a fingerprint was made of them, or when reading began."""

    _stamps: dict[Path, Stamp] = field(factory=dict)

    def note(self, paths: Iterable[Path]) -> None:
        """These have a fingerprint from now on."""
        self._stamps.update((path, _stamp(path)) for path in paths)

    def begin(self, path: Path) -> Stamp:
        """What the file has to be like when it has been read; from now on, if nothing is noted."""
        return self._stamps.get(path) or _stamp(path)

    @staticmethod
    def check(path: Path, begun: Stamp) -> None:
        """Raises DataError where the file is not what it was."""
        if _stamp(path) != begun:
            raise DataError(
                f"{path} has changed while it was read. Begin again once it is written, or read a "
                "copy."
            )


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns
