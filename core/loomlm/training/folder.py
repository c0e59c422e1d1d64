"""A run's folder: what may be written there, and what stands in it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from loomlm.config.load import Config, check_tree, origin_of, read_tree
from loomlm.config.show import plain
from loomlm.errors import LoomlmError, UsageError
from loomlm.inference.folders import how_to_go_on
from loomlm.storage.commit import LEFT_OVER, sweep
from loomlm.storage.disk import disk, remove_tree
from loomlm.storage.foreign import read_json
from loomlm.storage.lock import LOCKS

CONFIG = "config.toml"
EVALUATION = "evaluation.json"
DATA = "data.json"
MODEL = "model"
TOKENIZER = "tokenizer"
ENVIRONMENT = "environment.json"

ELSEWHERE = "Give the run another name, --set name=..., or another place, --runs DIR."

NOT_COMPARED = ("observers", "plugins")
"""Keys that may change between a run and its resumption."""

OF_BACKEND = ("compile", "device", "threads")
"""Keys of a trainer that may change where a run goes on with another backend."""

OF_LOSSES = ("non_finite", "max_skips")
"""Keys of a trainer that may change where a run goes on: so far they had no effect."""


def runs_folder(given: str | Path | None) -> Path:
    """Where runs go: what was given, or `LOOMLM_RUNS`, or ./runs."""
    return Path(given or os.environ.get("LOOMLM_RUNS") or "runs")


@frozen
class Difference:
    """A key that an existing run and a config see differently."""

    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key}: {self.before!r} there, {self.now!r} now"


def stored_config(folder: Path, config: Config) -> Config | None:
    """The config of the run in a folder, read with the same plugins; None where there is none."""
    path = folder / CONFIG
    if not path.exists():
        return None
    try:
        return check_tree(read_tree(path), config.registry)
    except LoomlmError as error:
        raise UsageError(
            f"{path} cannot be read ({error}). Use --overwrite, or give the run another name."
        ) from None


def differences(before: Config, now: Config, other_backend: bool = False) -> list[Difference]:
    """The keys whose values differ. other_backend: whether the backend's own may."""
    old, new = dict(_leaves(plain(before.settings))), dict(_leaves(plain(now.settings)))
    return [
        Difference(key, old.get(key), new.get(key))
        for key in {**old, **new}
        if old.get(key) != new.get(key)
        and key.split(".")[0] not in NOT_COMPARED
        and not (other_backend and _of_backend(key))
        and not _of_trainer(key, OF_LOSSES)
    ]


def _of_backend(key: str) -> bool:
    return key == "backend" or _of_trainer(key, OF_BACKEND)


def _of_trainer(key: str, names: tuple[str, ...]) -> bool:
    table, _, name = key.rpartition(".")
    return name in names and table.endswith(".trainer")


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{key}.{inner.get('name', index)}")
    else:
        yield key, value


def refuse_existing(folder: Path, found: list[Difference]) -> UsageError:
    """The error for a folder that holds a run already."""
    if not found:
        return UsageError(
            f"{folder} holds this run already. Go on with --resume, start anew with --overwrite, "
            "or give it another name: --set name=..."
        )
    listed = "\n".join(f"  {difference}" for difference in found)
    return UsageError(
        f"{folder} holds a run with another config:\n{listed}\n"
        "Use the old values with --resume, start anew with --overwrite, or give this run another "
        "name: --set name=..."
    )


def check_same(folder: Path, before: Config, now: Config, resumes: bool) -> None:
    """Raise UsageError unless the run in a folder is gone on with, by the same config.

    `--backend` allows another backend, and what that settles otherwise.
    """
    other = before.settings.backend != now.settings.backend
    named = other and origin_of(("backend",), now.origins) == "--backend"
    found = differences(before, now, named)
    if found or not resumes:
        raise refuse_existing(folder, found)


def check_place(folder: Path) -> None:
    """Raise UsageError for a place that holds something else than a run."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; a run needs a folder of its name. {ELSEWHERE}")
    if not folder.is_dir() or (folder / CONFIG).is_file():
        return
    # A run that was killed before it had a config left what it was writing.
    names = sorted(path.name for path in folder.iterdir())
    others = [name for name in names if name not in LOCKS and not LEFT_OVER.fullmatch(name)]
    if others:
        raise UsageError(
            f"{folder} is no run: it has no {CONFIG}, but {', '.join(others[:3])}"
            f"{', ...' if len(others) > 3 else ''}. {ELSEWHERE}"
        )


def claim(folder: Path, config: Config, resumes: bool, overwrite: bool) -> bool:
    """Take a locked folder for a run; whether it goes on with the one that stands there.

    Looks once more: another process may have run there since the config was checked.
    """
    if overwrite:
        _empty(folder)
        return False
    sweep(folder)
    before = stored_config(folder, config)
    if before is not None:
        check_same(folder, before, config, resumes)
    # Where nothing differs, the config keeps the reasons that it gives.
    return before is not None and not differences(before, config)


def started(folder: Path) -> bool:
    """Whether a run has all that it writes when it starts: it may have been killed then."""
    return all((folder / name).exists() for name in (CONFIG, ENVIRONMENT, TOKENIZER))


def _empty(folder: Path) -> None:
    """Remove a run, part by part, its config last: killed meanwhile, it is one that can go on."""
    gone = folder / f".overwritten.gone-{secrets.token_hex(4)}"
    ends = {EVALUATION: -1, CONFIG: 1}
    path = gone
    try:
        disk().make_folder(gone)
        for path in sorted(folder.iterdir(), key=lambda path: (ends.get(path.name, 0), path.name)):
            if path.name not in LOCKS and path != gone:
                disk().rename(path, gone / path.name)
        path = gone
        remove_tree(gone, ignore_errors=False)
    except OSError as error:
        raise UsageError(f"{path} cannot be removed: {error.strerror}.") from None


def read_evaluation(folder: Path) -> dict[str, Any]:
    """{stage: {split: {metric: number}}} of a run that has ended."""
    path = folder / EVALUATION
    if not path.is_file():
        raise UsageError(
            f"{folder} has no {EVALUATION}: the run has not ended. {how_to_go_on(folder)}"
        )
    return read_json(path)
