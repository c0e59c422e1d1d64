"""What a run that stands on disk and a new command see differently, and what is allowed of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from loomlm.config.load import Config
from loomlm.config.settings import RunConfig
from loomlm.config.show import plain
from loomlm.errors import UsageError, did_you_mean

NOT_COMPARED = ("observers", "plugins", "sweep")
"""Keys that may change between a run and its resumption."""

CHANGE_NOTHING = ("checkpoint_every", "keep_every", "keep_last", "non_finite", "max_skips")
"""Keys of a trainer that have changed no number so far, and may change, too."""

OF_BACKEND = ("compile", "device", "threads")
"""Keys of a trainer that may change where a run goes on with another backend."""

GROUPS = ("data", "labels", "library", "machine", "plugin", "vocabulary")
"""The first words of the differences that are not keys of the config."""

ANEW = "start anew with --overwrite, or give this run another name: --set name=..."


@frozen
class Difference:
    """Something that a run and a new command see differently.

    name: what `--allow` says. never: why it cannot be allowed, or "". follows: whether it comes
    with another one, or with `--backend`, and so needs no word of its own.
    """

    name: str
    before: Any
    now: Any
    never: str = ""
    follows: bool = False

    def __str__(self) -> str:
        why = f" (cannot be allowed: {self.never})" if self.never else ""
        return f"{self.name}: {_shown(self.before)} there, {_shown(self.now)} now{why}"

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {"name": self.name, "before": self.before, "now": self.now}


def _shown(value: Any) -> str:
    return "not set" if value is None else repr(value)


def of_config(before: Config, now: Config, allow: Sequence[str], named: bool) -> list[Difference]:
    """The keys of a config that differ. named: whether `--backend` was.

    Another backend that is allowed may settle anew how it computes.
    """
    other = named or covered("backend", allow)
    other = other and before.settings.backend != now.settings.backend
    return [
        Difference(key, old, new, follows=other and _of_backend(key))
        for key, old, new in changed_keys(before, now)
        if not (key.rpartition(".")[2] in CHANGE_NOTHING and ".trainer." in key)
    ]


def changed_keys(before: Config, now: Config) -> list[tuple[str, Any, Any]]:
    """Every key whose value is another one, with both."""
    old, new = dict(_leaves(plain(before.settings))), dict(_leaves(plain(now.settings)))
    return [
        (key, old.get(key), new.get(key))
        for key in {**old, **new}
        if old.get(key) != new.get(key) and key.split(".")[0] not in NOT_COMPARED
    ]


def _of_backend(key: str) -> bool:
    table, _, name = key.rpartition(".")
    return key == "backend" or (name in OF_BACKEND and table.endswith(".trainer"))


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{key}.{inner.get('name', index)}")
    else:
        yield key, value


def covered(name: str, allow: Iterable[str]) -> bool:
    """Whether a difference's name is allowed: itself, a table around it, or `trainer.KEY` as a
    config gives it for all stages.
    """
    return any(_covers(one, name) for one in allow)


def _covers(one: str, name: str) -> bool:
    if name == one or name.startswith(f"{one}."):
        return True
    of_all = one == "trainer" or one.startswith("trainer.")
    return of_all and re.search(rf"^stages\..+\.{re.escape(one)}(\.|$)", name) is not None


def check_allow(allow: Sequence[str]) -> None:
    """Raise UsageError for a name that no difference can have."""
    keys = {field.name for field in attrs.fields(RunConfig)} - {"name", *NOT_COMPARED}
    known = sorted({*keys, "trainer", *GROUPS})
    for name in allow:
        if name.split(".")[0] not in known:
            raise UsageError(
                f"--allow {name}: no difference has that name. {did_you_mean(name, known)} A run "
                "that differs says which name allows what."
            )


def refused(folder: Path, found: Iterable[Difference], allow: Sequence[str]) -> UsageError | None:
    """The error for what differs and is not allowed, all of it; None where there is none."""
    own = [one for one in found if not one.follows]
    if all(covered(one.name, allow) and not one.never for one in own):
        return None
    listed = "\n".join(f"  {one}" for one in own)
    names = [one.name for one in own if not one.never]
    options = " ".join(f"--allow {name}" for name in names)
    said = f"{folder} holds a run of another config or another world:\n{listed}\n"
    if any(one.never for one in own):
        return UsageError(f"{said}Take the old values back for it, {ANEW}")
    return UsageError(
        f"{said}What follows would not be what that run gives. Where it is to go on all the "
        f"same, say what may differ:\n  --resume {options}\n"
        f"Or take the old values back, {ANEW}"
    )


def exists(folder: Path) -> UsageError:
    """The error for a folder that holds a run already, and no word of going on."""
    return UsageError(f"{folder} holds this run already. Go on with --resume, {ANEW}")
