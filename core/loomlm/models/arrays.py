"""Arrays by name to safetensors and back. Nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from loomlm.storage.commit import DamagedError, HashingFile


def to_safetensors(arrays: Iterable[tuple[str, np.ndarray]]) -> Any:
    """What writes the arrays into a file, the same bytes for the same arrays."""

    def write(file: HashingFile) -> None:
        from safetensors.numpy import save

        file.write(save({name: np.ascontiguousarray(array) for name, array in arrays}))

    return write


def from_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file. Raises DamagedError when it is not one of ours."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise DamagedError(f"{path} cannot be read: {error}.") from None
