"""Cross-validation: a run for each of k parts of the training data, held out in turn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from attrs import evolve, frozen

from loomlm.config.load import Config, load_config
from loomlm.errors import UsageError
from loomlm.storage.commit import write_file
from loomlm.training.folder import CONFIG, runs_folder
from loomlm.training.run import run
from loomlm.training.settling import Resume

FOLDS = "folds.json"

Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""{stage: {split: {metric: value}}}."""


@frozen
class Folds:
    """What cross-validation came to.

    folder: holds the runs fold-1 to fold-k, and folds.json. scores: {stage: {split: {metric:
    {"mean", "spread", "values"}}}}; spread is the standard deviation of the k values (n - 1).
    """

    folder: Path
    scores: Scores


def cross_validate(
    config: Config | str | Path | Mapping[str, Any],
    folds: int,
    *,
    runs: str | Path | None = None,
    resume: Resume = "never",
    overwrite: bool = False,
    allow: Sequence[str] = (),
    observers: Sequence[Any] = (),
    test: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Folds:
    """Carry a config out once for each of `folds` parts of its training data (Stone 1974).

    The part that is held out is the last stage's validation split; all else of a run, the
    tokenizer too, is made without it. Parts are cut as `split` says: at random with the shares of
    the labels kept, by position or by hash. A test split stays as it is, in each of the runs.

    runs, resume, overwrite, allow, observers, test: as of `run`. With resume, runs that have ended
    are skipped, and one that was stopped goes on. say: told which part is held out.

    Raises LoomlmError for everything that a user can mend.
    """
    checked = config if isinstance(config, Config) else load_config(config)
    _check(checked, folds)
    folder = runs_folder(runs) / checked.settings.name
    if (folder / CONFIG).is_file():
        raise UsageError(
            f"{folder} holds a run; the folds need a folder of their own. Give them another name, "
            "--set name=..."
        )
    for sentence in _cautions(checked):
        say(sentence)
    found = []
    for number in range(1, folds + 1):
        say(f"Fold {number} of {folds}")
        part = folded(checked, number, folds)
        begun = (folder / part.settings.name / CONFIG).is_file()
        done = run(
            part,
            runs=folder,
            resume="auto" if resume == "must" and not begun and number > 1 else resume,
            overwrite=overwrite,
            allow=allow if begun else (),
            observers=observers,
            test=test,
        )
        found.append(done.evaluation)
    scores = summary(found)
    write_file(folder / FOLDS, json.dumps({"folds": folds, "scores": scores}, indent=2) + "\n")
    return Folds(folder, scores)


def folded(config: Config, number: int, folds: int) -> Config:
    """The config of one of the runs: part `number`, from 1 on, of the last stage is held out."""
    *before, last = config.settings.stages
    split = evolve(last.data.split, validation=None, folds=folds, fold=number)
    stages = (*before, evolve(last, data=evolve(last.data, split=split)))
    settings = evolve(config.settings, name=f"fold-{number}", stages=stages)
    return evolve(config, settings=settings)


def summary(evaluations: Sequence[Scores]) -> dict[str, Any]:
    """Mean and spread of each number that all of the runs have."""
    first = evaluations[0]
    return {
        stage: {
            split: {
                metric: _spread([one[stage][split][metric] for one in evaluations])
                for metric in scores
                if all(_is_number(one, stage, split, metric) for one in evaluations)
            }
            for split, scores in splits.items()
        }
        for stage, splits in first.items()
    }


def _is_number(one: Scores, stage: str, split: str, metric: str) -> bool:
    value = one.get(stage, {}).get(split, {}).get(metric)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {"mean": fmean(values), "spread": stdev(values), "values": list(values)}


def _check(config: Config, folds: int) -> None:
    """Raise UsageError for what cannot be cut into parts."""
    if folds < 2:
        raise UsageError(f"To hold a part out in turn takes 2 folds at least, not {folds}.")
    stage = config.settings.stages[-1]
    if stage.data.streaming:
        raise UsageError(
            f"stages.{stage.name}.data.streaming: a stream is not read before training, so nothing "
            "can be held out of it. Take `streaming` out, or run without --folds."
        )
    if stage.data.split.fold is not None:
        raise UsageError(f"stages.{stage.name}.data.split.fold: --folds says itself which.")


def _cautions(config: Config) -> Iterator[str]:
    """What a user should know before a mean is believed."""
    stage = config.settings.stages[-1]
    chooses = [
        name for name in ("keep_best", "early_stopping") if getattr(stage.trainer, name) is not None
    ]
    if chooses:
        yield (
            f"{stage.name}: {' and '.join(chooses)} choose by the part that is held out, so its "
            "scores are a little too good; a test split's are not"
        )
    if stage.data.split.validation is not None:
        yield f"{stage.name}: the part that is held out takes the place of split.validation"
    if len(config.settings.stages) > 1:
        yield f"The data of {stage.name} is held out in parts; stages before it have all of theirs"
