"""TOML to plain values, whatever stands there."""

from __future__ import annotations

import tomllib
from typing import Any

from loomlm.errors import UsageError

DEEPEST = 32
"""How deep tables and lists may be nested: a config has fewer than ten levels."""


def parse_toml(text: str) -> dict[str, Any]:
    """The values of a TOML document.

    Raises UsageError that says what is wrong, for the caller to say where.
    """
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise UsageError(_too_deep()) from None
    # Not TOMLDecodeError alone: a number of thousands of digits is a ValueError of Python's own.
    except ValueError as error:
        said = " ".join(str(error).split())[:500].rstrip(".")
        raise UsageError(f"not valid TOML: {said}.") from None
    level: list[Any] = [values]
    for _ in range(DEEPEST):
        level = [inner for one in level for inner in (one.values() if _is_table(one) else one)]
        level = [one for one in level if isinstance(one, dict | list)]
        if not level:
            return values
    raise UsageError(_too_deep())


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _too_deep() -> str:
    return f"nested more than {DEEPEST} levels deep; no config is."
