"""Entities from the tags of words, as conlleval reads them."""

from __future__ import annotations

from collections.abc import Sequence

OUTSIDE = "O"


def entities(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """Type, first word, and the one behind the last, of each entity; see `loomlm.plugin`."""
    found: list[tuple[str, int, int]] = []
    begun, before, kind = 0, OUTSIDE, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        prefix, name = _parts(tag)
        goes_on = before in ("B", "I") and prefix in ("I", "E") and name == kind
        if not goes_on:
            if before != OUTSIDE:
                found.append((kind, begun, place))
            begun = place
        before, kind = prefix, name
    return found


def _parts(tag: str) -> tuple[str, str]:
    """The letter in front of a tag, and the type. A tag without a letter is inside its type."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, dash, name = tag.partition("-")
    return (prefix, name) if dash and prefix in ("B", "I", "E", "S") else ("I", tag)
