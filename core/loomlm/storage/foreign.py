"""Files that somebody else may have written: read within bounds, and only where they should be.

A model's folder may come from anywhere. What it declares is held against what it has before memory
is taken, a name in it means a file in it, and JSON is read as what it says and nothing more.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from loomlm.errors import LoomlmError

LARGEST = 1 << 28
"""Most bytes of a JSON file: a vocabulary of millions takes less."""

DEEPEST = 64
"""How deep JSON may be nested: what we write has fewer than ten levels."""

MANY = 10_000
"""Most files of a model's folder."""

FOREIGN = {
    ".bin": "pickled weights of PyTorch",
    ".pt": "pickled weights of PyTorch",
    ".pth": "pickled weights of PyTorch",
    ".ckpt": "a pickled checkpoint",
    ".pkl": "a pickle",
    ".pickle": "a pickle",
    ".joblib": "a pickle",
    ".npz": "arrays that may be pickled",
    ".npy": "an array that may be pickled",
    ".h5": "a Keras file, which may hold code",
    ".hdf5": "a Keras file, which may hold code",
    ".keras": "a Keras file, which may hold code",
    ".pb": "a TensorFlow graph, which is code",
    ".onnx": "a graph of ONNX",
    ".gguf": "weights of llama.cpp",
}
"""Forms of models that are not read, by their ending."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class ForeignError(LoomlmError, ValueError):
    """A file or folder that is not what it should be, or not to be trusted.

    A ValueError too: who reads a file of our own takes one that cannot be read for damaged.
    """


def read_json(path: Path, most: int = LARGEST) -> Any:
    """What a JSON file says.

    Raises ForeignError, naming the file, for one that is too large or too deep, that has a key
    twice, or that is no JSON; OSError where there is none.
    """
    with open_plainly(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ForeignError(f"{path} has {size:,} bytes; no file of its kind is over {most:,}.")
        content = file.read(most + 1)
    try:
        value = json.loads(content, object_pairs_hook=_object)
    except RecursionError:
        raise ForeignError(f"{path} is nested too deep to be read.") from None
    except ValueError as error:
        raise ForeignError(f"{path} cannot be read: it is no JSON: {error}.") from None
    if _is_deeper(value, DEEPEST):
        raise ForeignError(f"{path} is nested more than {DEEPEST} levels deep.")
    return value


def open_plainly(path: Path) -> Any:
    """A regular file, opened for reading. A pipe is not waited for, a device not read.

    Raises ForeignError where it is something else; OSError where there is nothing.
    """
    if not hasattr(os, "O_NONBLOCK"):
        return path.open("rb")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ForeignError(f"{path} is no regular file. Take it out.")
    return os.fdopen(descriptor, "rb")


def check_files(folder: Path) -> None:
    """Raise ForeignError, naming it, for what a folder that was written as a whole never has.

    Links, which lead elsewhere; pipes and devices; names that a terminal would not show as they
    are. The folder itself may be named through a link: whoever names it knows where it leads.
    """
    for count, entry in enumerate(_entries(folder, DEEPEST)):
        if count >= MANY:
            raise ForeignError(f"{folder} has more than {MANY:,} files; no model has.")
        if _CONTROL.search(entry.name):
            raise ForeignError(f"{folder} has a file of the name {entry.name!r}. Take it out.")
        if entry.is_symlink():
            raise ForeignError(
                f"{entry.path} is a link, which may lead anywhere. Copy the folder with what its "
                "links mean: cp -rL FROM TO."
            )
        if not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
            raise ForeignError(f"{entry.path} is no regular file. Take it out.")


def is_inside(name: object) -> bool:
    """Whether a name is that of a file in its folder: no absolute one, no `..`, nothing odd."""
    if not isinstance(name, str) or not name or _CONTROL.search(name) or "\\" in name:
        return False
    return not name.startswith("/") and all(
        part not in ("", ".", "..") and ":" not in part for part in name.split("/")
    )


def refuse_foreign(path: Path) -> None:
    """Raise ForeignError, with the way out, where a path means a model of another form."""
    what = _foreign(path)
    if what is not None:
        raise ForeignError(
            f"{path} is {what}. Loomlm reads none of these, since reading one can run code: models "
            "are folders with config.json and model.safetensors. Convert it where you trust it "
            "(safetensors.torch.save_file, safetensors.tensorflow.save_file), and see "
            "docs/security.md."
        )


def _foreign(path: Path) -> str | None:
    if path.is_dir():
        own = ("config.toml", "model.safetensors", "model/model.safetensors")
        if any((path / name).is_file() for name in own):
            return None
        if (path / "saved_model.pb").exists() or (path / "keras_metadata.pb").exists():
            return "a TensorFlow SavedModel, whose graph is code"
        names = sorted(entry.name for entry in os.scandir(path))[:MANY]
        found = next((name for name in names if Path(name).suffix.lower() in FOREIGN), None)
        return None if found is None else f"no model of Loomlm: {found} in it is {_kind(found)}"
    return _kind(path.name) if path.is_file() else None


def _kind(name: str) -> str | None:
    return FOREIGN.get(Path(name).suffix.lower())


def _entries(folder: Path, deep: int) -> Iterator[os.DirEntry[str]]:
    if deep == 0:
        raise ForeignError(f"{folder} is nested more than {DEEPEST} folders deep.")
    with os.scandir(folder) as found:
        for entry in found:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path), deep - 1)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that stands twice, readers disagree which value is meant."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice")
    return found


def _is_deeper(value: Any, most: int) -> bool:
    level: list[Any] = [value]
    for _ in range(most):
        level = [inner for one in level for inner in _inner(one)]
        if not level:
            return False
    return True


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [v for v in value.values() if isinstance(v, dict | list)]
    return [v for v in value if isinstance(v, dict | list)] if isinstance(value, list) else ()
