"""A run's folder: what may be written there, and what stands in it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from loomlm.config.load import Config, check_tree, read_tree
from loomlm.config.show import plain
from loomlm.errors import LoomlmError, UsageError

CONFIG = "config.toml"
EVALUATION = "evaluation.json"
MODEL = "model"
TOKENIZER = "tokenizer"

NOT_COMPARED = ("observers", "plugins")
"""Keys that may change between a run and its resumption."""


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


def differences(before: Config, now: Config, allowed: tuple[str, ...]) -> list[Difference]:
    """The keys whose values differ, those in `allowed` left out."""
    old, new = dict(_leaves(plain(before.settings))), dict(_leaves(plain(now.settings)))
    return [
        Difference(key, old.get(key), new.get(key))
        for key in {**old, **new}
        if old.get(key) != new.get(key) and key.split(".")[0] not in (*NOT_COMPARED, *allowed)
    ]


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


def remove_run(folder: Path) -> None:
    """Remove a run's folder, if there is one."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"{folder} cannot be removed: {error.strerror}.") from None


def read_evaluation(folder: Path) -> dict[str, Any]:
    """{stage: {split: {metric: number}}} of a run that has ended."""
    path = folder / EVALUATION
    if not path.is_file():
        raise UsageError(
            f"{folder} has no {EVALUATION}: the run has not ended. Go on with `loomlm run "
            f"{folder / CONFIG} --resume`."
        )
    return json.loads(path.read_bytes())
