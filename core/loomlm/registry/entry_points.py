"""Which plugins and commands installed distributions have, as their metadata says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from email.parser import HeaderParser
from importlib.metadata import EntryPoint, entry_points

from loomlm.registry.plugins import Plugin

GROUP = "loomlm"
COMMANDS = "loomlm.commands"
"""Groups of entry points: plugins, and commands that they bring."""

AUTOLOAD_OFF = "LOOMLM_DISABLE_PLUGIN_AUTOLOAD"


def plugin_entry_points(group: str) -> list[tuple[Plugin, EntryPoint]]:
    """The entry points of a group, our own first; others' only where autoload is on."""
    only_own = bool(os.environ.get(AUTOLOAD_OFF))
    return [pair for pair in all_entry_points(group) if pair[0].built_in or not only_own]


def all_entry_points(group: str) -> list[tuple[Plugin, EntryPoint]]:
    """The entry points of a group, whether they are to be loaded by themselves or not."""
    found = [(_plugin(point), point) for point in entry_points(group=group)]
    found.sort(key=lambda pair: (not pair[0].built_in, pair[0].distribution, pair[0].name))
    return found


def in_order(group: str, order: Sequence[str]) -> list[tuple[Plugin, EntryPoint]]:
    """The entry points of a group; those that `order` names first."""

    def rank(pair: tuple[Plugin, EntryPoint]) -> int:
        ranks = (index for index, name in enumerate(order) if pair[0].is_called(name))
        return next(ranks, len(order))

    return sorted(plugin_entry_points(group), key=rank)


def _plugin(point: EntryPoint) -> Plugin:
    module = point.value.partition(":")[0].strip()
    return Plugin(point.name, module, *_distribution(point))


def _distribution(point: EntryPoint) -> tuple[str, str]:
    """Name and version of what installed an entry point; empty where its metadata is broken."""
    try:
        read = point.dist.read_text if point.dist else lambda name: ""
        text = read("METADATA") or read("PKG-INFO") or ""
        # `dist.metadata` would parse the whole README behind the first empty line, twice.
        head = HeaderParser().parsestr(text.partition("\n\n")[0])
        return head["Name"] or "", head["Version"] or ""
    except Exception:  # What a broken dist-info raises depends on the version of Python.
        return "", ""
