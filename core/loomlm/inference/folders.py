"""Which model a path means: a model's folder, a stage's, or a run's."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path

from loomlm.errors import UsageError, did_you_mean
from loomlm.storage.foreign import is_inside, refuse_foreign

CONFIG, MODEL, MODEL_CONFIG = "config.toml", "model", "config.json"


def model_folder(path: Path, stage: str | None = None) -> Path:
    """The model's folder that a path means. stage: the one whose model it is, of a run.

    Raises UsageError when there is none.
    """
    run, named = run_of(path)
    wanted = stage or named
    if run is None and stage is not None:
        raise UsageError(f"{path} is not a run, so it has no stage {stage!r}.")
    if run is None or wanted is None:
        for folder in (path / MODEL, path):
            if (folder / MODEL_CONFIG).is_file():
                return folder
        raise _nothing_there(path) if run is None else _no_model(run, f"The run {path}")
    known = stages_of(run)
    if wanted not in known:
        raise UsageError(f"The run {run} has no stage {wanted!r}. {did_you_mean(wanted, known)}")
    if wanted not in models_of(run):
        raise _no_model(run, f"The stage {wanted!r} of {run}")
    return models_of(run)[wanted]


def run_of(path: Path) -> tuple[Path | None, str | None]:
    """The run whose folder a path is, or in which it is a stage's, with that stage's name.

    A model's folder is no run, whatever else lies in it: a run's config may name code to load.
    """
    if (path / MODEL_CONFIG).is_file():
        return None, None
    if (path / CONFIG).is_file():
        return path, None
    whole = path.resolve()
    if (whole.parent / CONFIG).is_file() and whole.name in stages_of(whole.parent):
        return whole.parent, whole.name
    return None, None


def stages_of(run: Path) -> list[str]:
    """The names of a run's stages, in order; of a config that cannot be read, none.

    Raises UsageError for one that would be a folder elsewhere.
    """
    try:
        stages = tomllib.loads((run / CONFIG).read_text(encoding="utf-8")).get("stages", [])
        names = [stage["name"] for stage in stages]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
    for name in names:
        if not is_inside(name) or "/" in name:
            raise UsageError(f"{run / CONFIG}: {str(name)[:80]!r} names no stage.")
    return names


def models_of(run: Path) -> dict[str, Path]:
    """The models that a run has so far, by stage, in order: the last stage's is the run's own."""
    names = stages_of(run)
    places = {name: run / name / MODEL for name in names[:-1]}
    places |= dict.fromkeys(names[-1:], run / MODEL)
    return {name: path for name, path in places.items() if (path / MODEL_CONFIG).is_file()}


def how_to_go_on(run: Path) -> str:
    """What to type for a run that has not ended."""
    config, runs = shlex.quote(str(run / CONFIG)), shlex.quote(str(run.parent))
    return f"Go on with `loomlm run {config} --runs {runs} --resume=must`."


def _nothing_there(path: Path) -> UsageError:
    refuse_foreign(path)
    around = path if path.is_dir() else path.parent
    runs = [found.parent.name for found in around.glob(f"*/{CONFIG}")]
    near = did_you_mean(path.name, runs)
    return UsageError(f"There is no run or model in {path}. {near}".rstrip())


def _no_model(run: Path, which: str) -> UsageError:
    return UsageError(f"{which} has no model yet. {how_to_go_on(run)}")
