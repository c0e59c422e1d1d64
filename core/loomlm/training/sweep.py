"""A search for hyperparameters: trials in processes of their own, proposed by Optuna.

Trials are plain runs, `loomlm run` with `--set`, which are scored by the validation split alone.
All that is known of them stands in a journal, written as it happens, so that a search that ends in
any way goes on from there.
"""

from __future__ import annotations

import json
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from attrs import define, evolve, field, frozen

from loomlm.config.load import Config, Tree, assign, load_config, read_tree
from loomlm.config.searching import Dimension, dimensions
from loomlm.config.settings import RunConfig, StageConfig, SweepConfig
from loomlm.config.show import plain
from loomlm.data.reading import made, read_examples
from loomlm.errors import PluginError, UsageError, did_you_mean
from loomlm.inference.evaluate import default_metrics
from loomlm.registry import Registry
from loomlm.storage.commit import remove
from loomlm.storage.disk import make_folder
from loomlm.storage.lock import locked
from loomlm.training.folder import CONFIG, runs_folder
from loomlm.training.interrupts import StoppedError, listening
from loomlm.training.sweep_report import Swept, Tried, in_short, report
from loomlm.training.sweep_trials import Command, Running

JOURNAL = "sweep.journal"

POLL = 0.1
GRACE = 60.0
"""Seconds that trials have to write a checkpoint when a search is stopped."""

PATIENT_TRIALS = 4
PATIENT_SCORES = 1
"""Whole trials, and scores of a trial, before one is held against the median."""

Say = Callable[[str], None]


@frozen
class Aim:
    """What a search is after: a validation score of the last stage, the more or less the better."""

    stage: str
    metric: str
    maximize: bool


def sweep(
    path: str | Path,
    *,
    set: Sequence[str] = (),  # noqa: A002 - named as on the command line
    backend: str | None = None,
    plugins: Sequence[str] = (),
    block: Sequence[str] = (),
    runs: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    processes: int = 1,
    say: Say = lambda _: None,
) -> Swept:
    """Try what the table `[sweep]` of a config says, and tell which settings were best.

    set, backend, plugins, block: as of `load_config`. runs: the folder that the search's folder
    goes into, under the config's name. resume: go on with what stands there. overwrite: replace it.
    processes: how many trials run at a time. say: told what becomes of each.

    Raises LoomlmError for everything that a user can mend.
    """
    config = load_config(path, set=set, backend=backend, plugins=plugins, block=block)
    wanted = config.settings.sweep
    if wanted is None:
        raise UsageError(f"{path} has no table [sweep], which says what is tried.")
    optuna = _optuna()
    tree = _tree(path, set, backend)
    found = dimensions(tree, wanted.search, config.registry)
    aim = _aim(config.settings, wanted, config.registry)
    folder = runs_folder(runs) / config.settings.name
    _check_place(folder, resume, overwrite)
    _check_splits(config, say)
    if overwrite:
        remove(folder)
    make_folder(folder, named="--runs")
    command = Command(str(path), tuple(set), backend, tuple(plugins), tuple(block), folder)
    with locked(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of what Optuna calls experimental.
        study = _study(optuna, folder, wanted, aim, config.settings)
        search = Search(optuna, study, found, aim, command, wanted, say)
        search.carry_out(processes)
        return report(folder, search.tried(), aim.metric, aim.maximize, found)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise PluginError(
            'A search needs Optuna, which is not installed: pip install "loomlm[sweep]"'
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _tree(path: str | Path, assignments: Sequence[str], backend: str | None) -> Tree:
    """The config as it was given, with what the command says."""
    tree = read_tree(path)
    for assignment in assignments:
        assign(tree, assignment)
    if backend is not None:
        tree.values["backend"] = backend
    return tree


def _aim(settings: RunConfig, wanted: SweepConfig, registry: Registry) -> Aim:
    stage = settings.stages[-1]
    task = made(registry, stage.task)
    choices = stage.metrics or default_metrics(task, registry)
    metric = wanted.metric or stage.trainer.keep_best or (choices[0].type if choices else "loss")
    by_name = {choice.type: registry.target("metric", choice.type) for choice in choices}
    plain_name = metric.split("/")[0]
    names = {"loss", *by_name, *(name.rpartition("/")[2] for name in by_name)}
    if plain_name not in names:
        raise UsageError(
            f"sweep.metric: the stage {stage.name!r} has no score {metric!r}. "
            f"{did_you_mean(metric, names)}"
        )
    higher = plain_name in by_name and bool(by_name[plain_name].higher_is_better)
    maximize = higher if wanted.direction == "auto" else wanted.direction == "maximize"
    return Aim(stage.name, metric.rpartition("/")[2] if metric in by_name else metric, maximize)


def _check_place(folder: Path, resume: bool, overwrite: bool) -> None:
    """Raise UsageError for a folder that holds something else, or a search, and no word of it."""
    if resume and overwrite:
        raise UsageError("To overwrite a search and to resume it do not go together.")
    if not folder.exists():
        return
    if (folder / CONFIG).is_file():
        raise UsageError(
            f"{folder} holds a run; a search needs a folder of its own. Give it another name, "
            "--set name=..."
        )
    if (folder / JOURNAL).is_file():
        if not resume and not overwrite:
            raise UsageError(
                f"{folder} holds a search already. Go on with --resume, start anew with "
                "--overwrite, or give this one another name: --set name=..."
            )
    elif any(not path.name.startswith(".") for path in folder.iterdir()):
        raise UsageError(
            f"{folder} is no search: it has no {JOURNAL}. Give this one another name, "
            "--set name=..., or another place, --runs DIR."
        )


def _check_splits(config: Config, say: Say) -> None:
    """Raise UsageError where there is nothing to compare trials by."""
    stage: StageConfig = config.settings.stages[-1]
    splits = read_examples(stage.data, config.registry, config.settings.seed, say).splits
    if "validation" not in splits:
        raise UsageError(
            f"stages.{stage.name}.data has no validation split, and a search never looks at the "
            f"test split: what is best on it would no longer be tested. Cut one: "
            f"stages.{stage.name}.data.split = {{ validation = 0.1 }}."
        )


def _study(optuna: Any, folder: Path, wanted: SweepConfig, aim: Aim, settings: RunConfig) -> Any:
    """The study in a folder, new or as it stands."""
    journal = optuna.storages.journal
    storage = journal.JournalStorage(journal.JournalFileBackend(str(folder / JOURNAL)))
    study = optuna.create_study(
        study_name="sweep",
        storage=storage,
        direction="maximize" if aim.maximize else "minimize",
        pruner=optuna.pruners.MedianPruner(PATIENT_TRIALS, PATIENT_SCORES),
        load_if_exists=True,
    )
    # Another seed each time it goes on: the sampler would propose what it has proposed before.
    seed = settings.seed + len(study.trials)
    study.sampler = (
        optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        if wanted.sampler == "tpe"
        else optuna.samplers.RandomSampler(seed=seed)
    )
    # How many trials there are to be, and which are stopped, may change.
    of = plain(evolve(settings, sweep=evolve(wanted, trials=1, prune=True)))
    same = json.dumps([of, aim.metric, aim.maximize], sort_keys=True)
    known = study.user_attrs.get("config")
    if known is None:
        study.set_user_attr("config", same)
    elif known != same:
        raise UsageError(
            f"{folder} holds the search of another config, and its trials cannot be compared with "
            "those of this one. Take the old values back, start anew with --overwrite, or give "
            "this one another name: --set name=..."
        )
    return study


@define
class Search:
    """The trials of a search, some at a time. signal: the one that came, or 0."""

    optuna: Any
    study: Any
    dimensions: Sequence[Dimension]
    aim: Aim
    command: Command
    wanted: SweepConfig
    say: Say
    signal: int = 0
    running: list[Running] = field(factory=list)

    def carry_out(self, processes: int) -> None:
        """Start trials until there are as many as wanted, and wait for them.

        Raises StoppedError where a signal came: what ran then goes on another time.
        """
        self._take_up()
        with listening(self._note), self._ended():
            while not self.signal:
                while len(self.running) < processes and self._begun() < self.wanted.trials:
                    self._start()
                if not self.running:
                    break
                for one in [one for one in self.running if self._is_over(one)]:
                    self.running.remove(one)
                time.sleep(POLL)
        if self.signal:
            done = len([one for one in self.tried() if one.state != "running"])
            raise StoppedError(
                f"Stopped with {done} of {self.wanted.trials} trials done.", self.signal
            )

    def tried(self) -> list[Tried]:
        """What is known of each trial, in their order."""
        state = self.optuna.trial.TrialState
        words = {state.COMPLETE: "done", state.PRUNED: "pruned", state.FAIL: "failed"}
        return [
            Tried(
                name=trial.user_attrs["name"],
                state=words.get(trial.state, "running"),
                score=trial.value if trial.state == state.COMPLETE else None,
                assignments=tuple(trial.user_attrs["set"]),
                said=trial.user_attrs.get("error", ""),
                number=trial.number,
            )
            for trial in self._own()
            if "set" in trial.user_attrs
        ]

    def _own(self) -> list[Any]:
        """The trials that were begun, without those that another one goes on with."""
        waiting = self.optuna.trial.TrialState.WAITING
        trials = [trial for trial in self.study.trials if trial.state != waiting]
        gone_on = {trial.user_attrs.get("goes_on") for trial in trials}
        return [trial for trial in trials if trial.number not in gone_on]

    def _begun(self) -> int:
        return len(self._own())

    def _take_up(self) -> None:
        """Have trials that ran when a search was stopped proposed once more, with their folders."""
        state = self.optuna.trial.TrialState
        for trial in self.study.get_trials(states=(state.RUNNING,)):
            if "name" in trial.user_attrs:
                attributes = {"name": trial.user_attrs["name"], "goes_on": trial.number}
                self.study.enqueue_trial(trial.params, attributes)
            self.study.tell(trial.number, state=state.FAIL)

    def _start(self) -> None:
        trial = self.study.ask()
        assignments = [dimension.drawn(trial) for dimension in self.dimensions]
        name = trial.user_attrs.get("name", f"trial-{trial.number}")
        trial.set_user_attr("name", name)
        trial.set_user_attr("set", assignments)
        self.say(f"{name}: {', '.join(map(in_short, assignments))}")
        self.running.append(Running.start(trial, name, self.command, assignments))

    def _is_over(self, one: Running) -> bool:
        if one.process.poll() is None:
            if self.wanted.prune and not one.pruned:
                self._watch(one)
            return False
        code = one.process.returncode
        score = one.score(self.aim.stage, self.aim.metric) if code == 0 else None
        state = self.optuna.trial.TrialState
        if score is not None:
            self.study.tell(one.trial, score)
            self.say(f"{one.name}: {self.aim.metric} {score:.4f}{self._best(one)}")
        elif one.pruned:
            self.study.tell(one.trial, state=state.PRUNED)
            self.say(f"{one.name}: stopped, since it was worse than half of the others")
        else:
            why = one.said() if code else f"it has no finite {self.aim.metric} on validation"
            one.trial.set_user_attr("error", why)
            self.study.tell(one.trial, state=state.FAIL)
            self.say(f"{one.name} failed: {why}")
        one.close()
        return True

    def _watch(self, one: Running) -> None:
        """Stop a trial that is worse than the median of the others was by then."""
        for number, score in one.new_scores(self.aim.stage, self.aim.metric):
            one.trial.report(score, number)
            if one.trial.should_prune():
                one.pruned = True
                one.process.send_signal(signal.SIGTERM)
                return

    def _best(self, one: Running) -> str:
        return ", the best so far" if self.study.best_trial.number == one.trial.number else ""

    def _note(self, number: int, _: FrameType | None) -> None:
        self.signal = number

    @contextmanager
    def _ended(self) -> Iterator[None]:
        """Whatever happens within, no trial goes on behind it."""
        try:
            yield
        finally:
            for one in self.running:
                if one.process.poll() is None:
                    one.process.send_signal(signal.SIGTERM)
            end = time.monotonic() + GRACE
            while self.running and time.monotonic() < end:
                # One that came to its end all the same is done.
                over = [one for one in self.running if one.process.poll() is not None]
                for one in over:
                    if one.process.returncode == 0:
                        self._is_over(one)
                    self.running.remove(one)
                time.sleep(POLL)
            for one in self.running:
                one.process.kill()
