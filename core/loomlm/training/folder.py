"""A run's folder: what may be written there, and what stands in it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loomlm.config.load import Config, check_tree, read_tree
from loomlm.errors import LoomlmError, UsageError
from loomlm.inference.folders import how_to_go_on
from loomlm.storage.commit import LEFT_OVER, sweep, write_file
from loomlm.storage.disk import disk, remove_tree
from loomlm.storage.foreign import read_json
from loomlm.storage.lock import LOCKS
from loomlm.training.differences import (
    ANEW,
    Difference,
    changed_keys,
    exists,
    of_config,
    refused,
)

CONFIG = "config.toml"
EVALUATION = "evaluation.json"
RESUMED = "resumed.jsonl"
DATA = "data.json"
MODEL = "model"
TOKENIZER = "tokenizer"
ENVIRONMENT = "environment.json"

ELSEWHERE = "Give the run another name, --set name=..., or another place, --runs DIR."


def runs_folder(given: str | Path | None) -> Path:
    """Where runs go: what was given, or `LOOMLM_RUNS`, or ./runs."""
    return Path(given or os.environ.get("LOOMLM_RUNS") or "runs")


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


def claim(folder: Path, config: Config, overwrite: bool, known: Config | None) -> bool:
    """Take a locked folder for a run; whether its config.toml says all that it is to say.

    known: the config of the run that goes on. Looks once more: another process may have run there
    since it was read.
    """
    if overwrite:
        _empty(folder)
        return False
    sweep(folder)
    before = stored_config(folder, config)
    if before is None:
        return False
    if known is None or changed_keys(known, before):
        found = of_config(before, config, (), False)
        raise refused(folder, found, ()) or exists(folder)
    # Where nothing differs, the file keeps the reasons that it gives.
    return not changed_keys(before, config)


def read_changes(folder: Path) -> list[dict[str, Any]]:
    """What the run in a folder went on with in another way than it began, each time."""
    path = folder / RESUMED
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise UsageError(f"{path} cannot be read ({error}). Bring it back, {ANEW}") from None


def note_changes(folder: Path, steps: Mapping[str, int], found: Sequence[Difference]) -> None:
    """Add that a run goes on otherwise. steps: of each stage, how many it has done.

    Its evaluation goes: it is no longer what the run comes to.
    """
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "steps": dict(steps),
        "differences": [one.plain() for one in found],
    }
    lines = [json.dumps(one) + "\n" for one in (*read_changes(folder), line)]
    write_file(folder / RESUMED, "".join(lines))
    if (folder / EVALUATION).exists():
        disk().remove(folder / EVALUATION)


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
