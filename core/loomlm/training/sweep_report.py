"""What a search came to: a list, the best config, and a plot."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from loomlm.config.load import read_tree
from loomlm.config.searching import Dimension
from loomlm.config.show import to_toml
from loomlm.errors import LoomlmError
from loomlm.storage.commit import write_file
from loomlm.training.folder import CONFIG

RESULTS = "sweep.json"
BEST = "best.toml"
PLOT = "sweep.svg"


@frozen
class Tried:
    """A trial. name: of its run. state: done, pruned, failed or running. said: why it failed.

    score: of a trial that is done. assignments: what it had, as `--set` takes it.
    """

    name: str
    state: str
    score: float | None
    assignments: tuple[str, ...]
    said: str
    number: int


@frozen
class Swept:
    """What a search came to.

    folder: has the trials' runs, sweep.json, best.toml and sweep.svg. trials: the best first, then
    those that were stopped or failed. best: the first.
    """

    folder: Path
    metric: str
    trials: tuple[Tried, ...]
    best: Tried


def report(
    folder: Path,
    trials: Sequence[Tried],
    metric: str,
    maximize: bool,
    dimensions: Sequence[Dimension],
) -> Swept:
    """Write what a search came to. Raises LoomlmError where no trial has a score."""
    sign = -1 if maximize else 1
    done = sorted((t for t in trials if t.score is not None), key=lambda t: sign * (t.score or 0))
    others = [trial for trial in trials if trial.score is None]
    ranked = (*done, *others)
    plain = {"metric": metric, "direction": "maximize" if maximize else "minimize"}
    listed = json.dumps({**plain, "trials": [asdict(trial) for trial in ranked]}, indent=2)
    write_file(folder / RESULTS, listed + "\n")
    if not done:
        failed = [trial for trial in others if trial.state == "failed"]
        why = f" {failed[0].name}: {failed[0].said}" if failed else ""
        raise LoomlmError(f"None of {len(trials)} trials came to a score.{why}")
    best = done[0]
    write_file(folder / BEST, _best_config(folder, best, metric))
    write_file(folder / PLOT, plot(ranked, metric, maximize, dimensions))
    return Swept(folder, metric, ranked, best)


def _best_config(folder: Path, best: Tried, metric: str) -> str:
    """The config of the best trial, as a run of its own."""
    values = dict(read_tree(folder / best.name / CONFIG).values)
    values["name"] = f"{folder.name}-best"
    return f"# {best.name}: {metric} {best.score:.4f} on validation\n\n{to_toml(values)}"


def plot(
    trials: Sequence[Tried], metric: str, maximize: bool, dimensions: Sequence[Dimension]
) -> str:
    """An SVG: the scores in the order of the trials, and against each key."""
    import matplotlib
    from matplotlib.figure import Figure

    done = sorted((t for t in trials if t.score is not None), key=lambda t: t.number)
    count = len(dimensions) + 1
    columns = min(count, 3)
    rows = -(-count // columns)
    figure = Figure(figsize=(4 * columns, 3.2 * rows), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).flatten()
    _history(places[0], done, metric, maximize)
    for place, dimension in zip(places[1:], dimensions, strict=False):
        _against(place, done, metric, dimension)
    for place in places[count:]:
        place.set_axis_off()
    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "loomlm"}):  # The same trials give the same file.
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _history(axes: Any, done: Sequence[Tried], metric: str, maximize: bool) -> None:
    scores = [trial.score or 0.0 for trial in done]
    better = max if maximize else min
    best = [better(scores[: end + 1]) for end in range(len(scores))]
    numbers = [trial.number for trial in done]
    axes.scatter(numbers, scores, s=16, color="tab:blue", label="trial")
    axes.step(numbers, best, where="post", color="tab:orange", label="best so far")
    axes.set(xlabel="trial", ylabel=metric, title="history")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize="small")


def _against(axes: Any, done: Sequence[Tried], metric: str, dimension: Dimension) -> None:
    """The scores against a key: at its values, or at its choices in their order."""
    scores = [trial.score for trial in done]
    values = [setting(trial, dimension.key) for trial in done]
    if dimension.choices:
        axes.scatter([dimension.choices.index(value) for value in values], scores, s=16)
        shown = [
            choice if len(choice) <= 20 else f"{choice[:17]}..." for choice in dimension.choices
        ]
        axes.set_xticks(range(len(shown)), shown, rotation=20 if len(shown) > 3 else 0)
        axes.set_xlim(-0.5, len(shown) - 0.5)
    else:
        axes.scatter([float(value) for value in values], scores, s=16)
        axes.set_xscale("log" if dimension.log else "linear")
        axes.update_datalim([(dimension.low, scores[0]), (dimension.high, scores[0])])
        axes.autoscale_view()
    axes.set(ylabel=metric, title=dimension.key)


def setting(trial: Tried, key: str) -> str:
    """What a trial had for a key, as TOML."""
    return next(one[len(key) + 1 :] for one in trial.assignments if one.startswith(f"{key}="))


def in_short(assignment: str) -> str:
    """`key = value`, with few digits where it is a number."""
    key, _, value = assignment.partition("=")
    return f"{key} = {few_digits(value)}"


def few_digits(value: str) -> str:
    """A number in few digits; whatever else as it is."""
    try:
        return value if value.isdecimal() else f"{float(value):.4g}"
    except ValueError:
        return value
