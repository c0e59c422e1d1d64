"""Arrays by name to safetensors and back. Nothing is ever unpickled.

A file is written here, array by array, since the library would make all of its bytes in memory
first; it is read by the library. The form: 8 bytes with the length of a header, the header in
JSON, which says of each array its type, shape and place, and the arrays one behind the other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from loomlm.storage.commit import HashingFile
from loomlm.storage.manifest import DamagedError

# As safetensors orders them, so that its bytes and ours are the same: those that have to stand at
# multiples of their size first.
_TYPES = {
    np.dtype(kind): name
    for kind, name in (
        ("<u8", "U64"),
        ("<i8", "I64"),
        ("<f8", "F64"),
        ("<c8", "C64"),
        ("<f4", "F32"),
        ("<u4", "U32"),
        ("<i4", "I32"),
        ("<f2", "F16"),
        ("<u2", "U16"),
        ("<i2", "I16"),
        ("i1", "I8"),
        ("u1", "U8"),
        ("?", "BOOL"),
    )
}
_ALIGNED = 8
_LONGEST_HEADER = 100_000_000
"""Bytes: the library's own limit."""


class Tensors:
    """What writes arrays into a file, the same bytes for the same arrays; `size` says how many.

    Holds the arrays, and while it writes a copy of one of them at most.
    """

    def __init__(self, arrays: Iterable[tuple[str, np.ndarray]]) -> None:
        order = {kind: number for number, kind in enumerate(_TYPES)}
        self._arrays = sorted(
            arrays, key=lambda item: (order[_stored_type(item[1])], item[0].encode())
        )
        self._header = _header(self._arrays)
        self.size = len(self._header) + sum(array.nbytes for _, array in self._arrays)

    def __call__(self, file: HashingFile) -> None:
        """Write it all."""
        file.write(self._header)
        for _, array in self._arrays:
            whole = np.asarray(array, dtype=_stored_type(array), order="C")
            file.write(whole.reshape(-1).data)


def to_safetensors(arrays: Iterable[tuple[str, np.ndarray]]) -> Tensors:
    """What writes the arrays into a file."""
    return Tensors(arrays)


def safetensors_size(arrays: Iterable[tuple[str, np.ndarray]]) -> int:
    """The bytes of a file with these arrays; only their shapes and types matter."""
    return Tensors(arrays).size


def from_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file. Raises DamagedError when it is not one of ours.

    What it says of sizes is held against its own size and the machine's memory first.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        _check_sizes(path)
        return load_file(path)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise DamagedError(f"{path} cannot be read: {error}.") from None


def _stored_type(array: np.ndarray) -> np.dtype:
    return array.dtype.newbyteorder("<")


def _header(arrays: list[tuple[str, np.ndarray]]) -> bytes:
    forms, end = {}, 0
    for name, array in arrays:
        start, end = end, end + array.nbytes
        forms[name] = {
            "dtype": _TYPES[_stored_type(array)],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(forms, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    return len(text).to_bytes(8, "little") + text


def _check_sizes(path: Path) -> None:
    """Raise ValueError for a file that would take more memory than there is, or than it has.

    What its header says of each array is checked by the library, before it takes memory: that the
    places follow on one another, fit types and shapes, and end where the file does.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = int.from_bytes(file.read(8), "little")
    if size < 8 or header > size - 8:
        raise ValueError(f"it has {size} bytes, and its header alone would have {header}")
    if header > _LONGEST_HEADER:
        raise ValueError(f"its header of {header} bytes is too long")
    memory = _memory()
    if memory is not None and size > memory:
        raise ValueError(f"its {size} bytes are more than the memory of this machine, {memory}")


def _memory() -> int | None:
    """The machine's bytes of memory, where it tells them."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
