"""Takes a run's folder: for a new run, or for one that goes on; and what is written first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

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
    # Of a new run the config comes first: a folder without it is no run. Of one that goes on it
    # comes last: until then it goes on as it was. Where it says all already, it keeps its reasons.
    new = not (folder / run_folder.CONFIG).exists()
    if new:
        _write_config(folder, settled)
    if not whole or not known or not run_folder.started(folder):
        commit(folder / run_folder.TOKENIZER, dict(tokenizer.files()))
        write_file(folder / ENVIRONMENT, json.dumps(world, indent=2) + "\n")
    if not whole and not new:
        _write_config(folder, settled)


def what_changed(going: Going | None, world: Mapping[str, Any]) -> Iterator[str]:
    """What a user is to know of a run that goes on."""
    if going is None:
        return
    said = [str(one) for one in going.found]
    if not going.known and steps_done(going.folder, going.before):
        said.append(f"it has no {ENVIRONMENT}, so nobody can tell with which versions it began")
    for one in (*said, *changes(going.known, world)):
        yield f"What follows may not be what an unbroken run would give: {one}."


def _write_config(folder: Path, settled: Settled) -> None:
    def comment(path: tuple[str | int, ...]) -> str:
        if len(path) == 4 and path[0] == "stages" and isinstance(path[1], int):
            stage = settled.config.settings.stages[path[1]].name
            return settled.reasons.get(f"{stage}.{path[3]}", "")
        return ""

    config = settled.config
    settings = evolve(config.settings, plugins=_plugins(config.registry), sweep=None)
    write_file(folder / run_folder.CONFIG, to_toml(plain(settings), comment))


def _plugins(registry: Registry) -> PluginsConfig:
    """What was said of plugins, in the config or by -p; files by their whole path."""
    named = tuple(plugin.module for plugin in registry.plugins if not plugin.distribution)
    control = registry.control
    return PluginsConfig(named, control.block, control.allow, control.order)
