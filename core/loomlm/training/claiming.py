"""Takes a run's folder: for a new run, or for one that goes on; and what is written first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from loomlm.config.load import Config
from loomlm.config.settings import PluginsConfig
from loomlm.config.show import plain, to_toml
from loomlm.contracts import Tokenizer
from loomlm.registry import Registry
from loomlm.storage.commit import commit, write_file
from loomlm.training import folder as run_folder
from loomlm.training.environment import ENVIRONMENT, changes
from loomlm.training.fitting import steps_done
from loomlm.training.settling import Settled
from loomlm.training.world import Going


def claim(
    settled: Settled,
    going: Going | None,
    folder: Path,
    overwrite: bool,
    world: Mapping[str, Any],
    tokenizer: Tokenizer,
) -> None:
    """Take a locked folder: for a new run, or for one that goes on, and write down what differs.

    What was allowed is noted first: a process that is killed meanwhile has left the run as it was,
    or one that differs still.
    """
    before = going.before if going else None
    whole = run_folder.claim(folder, settled.config, overwrite, before)
    if going and going.found:
        run_folder.note_changes(folder, steps_done(folder, settled.config), going.found)
    known = going is not None and bool(going.known) and not going.found
    if not whole or not known or not run_folder.started(folder):
        _write_start(folder, settled.config, settled.reasons, world, tokenizer)


def what_changed(going: Going | None, world: Mapping[str, Any]) -> Iterator[str]:
    """What a user is to know of a run that goes on."""
    if going is None:
        return
    said = [str(one) for one in going.found]
    if not going.known and steps_done(going.folder, going.before):
        said.append(f"it has no {ENVIRONMENT}, so nobody can tell with which versions it began")
    for one in (*said, *changes(going.known, world)):
        yield f"What follows may not be what an unbroken run would give: {one}."


def _write_start(
    folder: Path,
    config: Config,
    reasons: Mapping[str, str],
    world: Mapping[str, Any],
    tokenizer: Tokenizer,
) -> None:
    """What was run, and where. The config comes first of a new run, and last of one that goes on:
    a folder without it is no run, and one whose config has not changed yet goes on as it was.
    """

    def comment(path: tuple[str | int, ...]) -> str:
        if len(path) == 4 and path[0] == "stages" and isinstance(path[1], int):
            stage = config.settings.stages[path[1]].name
            return reasons.get(f"{stage}.{path[3]}", "")
        return ""

    settings = evolve(config.settings, plugins=_plugins(config.registry))
    parts: list[Callable[[], None]] = [
        lambda: write_file(folder / run_folder.CONFIG, to_toml(plain(settings), comment)),
        lambda: commit(folder / run_folder.TOKENIZER, dict(tokenizer.files())),
        lambda: write_file(folder / ENVIRONMENT, json.dumps(world, indent=2) + "\n"),
    ]
    if (folder / run_folder.CONFIG).exists():
        parts.append(parts.pop(0))
    for write in parts:
        write()


def _plugins(registry: Registry) -> PluginsConfig:
    """What was said of plugins, in the config or by -p; files by their whole path."""
    named = tuple(plugin.module for plugin in registry.plugins if not plugin.distribution)
    control = registry.control
    return PluginsConfig(named, control.block, control.allow, control.order)
