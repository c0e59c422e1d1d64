"""Whether a model's weights are those of its config, before memory is taken for either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loomlm.contracts import Parameter
from loomlm.errors import LoomlmError
from loomlm.storage.foreign import ForeignError

MOST = 3
"""Differing parameters that an error lists."""


def stored_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each array of a safetensors file, by its header, which is held against its size.

    Raises ForeignError for a file that is none.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - it has no iterator
    except (SafetensorError, OSError, ValueError) as error:
        raise ForeignError(f"{path} cannot be read: {error}.") from None


def check_weights(path: Path, layout: tuple[Parameter, ...]) -> None:
    """Raise ForeignError, saying what differs, unless a file has the parameters of a layout."""
    given = stored_shapes(path)
    wanted = {p.name: tuple(p.shape) for p in layout if p.tied_to is None}
    names = sorted(n for n in given.keys() | wanted.keys() if given.get(n) != wanted.get(n))
    if not names:
        return
    shown = "; ".join(
        f"{name[:80]!r} is {_shape(given.get(name))} there and {_shape(wanted.get(name))} by the "
        "config"
        for name in names[:MOST]
    )
    more = f"; and {len(names) - MOST:,} more" if len(names) > MOST else ""
    raise ForeignError(f"{path} does not fit the config.json beside it: {shown}{more}.")


@contextmanager
def said_by(path: Path, what: str) -> Iterator[None]:
    """What a model's folder says may make its parts raise anything: that is the folder's fault.

    Raises ForeignError with the file and what of it is wrong.
    """
    try:
        yield
    except (LoomlmError, KeyboardInterrupt, SystemExit):
        raise
    # Libraries written in Rust panic with an error that is no Exception.
    except BaseException as error:
        said = " ".join(str(error).split())[:200]
        raise ForeignError(
            f"{path}: {what}: {type(error).__name__}{': ' if said else ''}{said}."
        ) from error


def _shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else f"({', '.join(map(str, shape))})"
