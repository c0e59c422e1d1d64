"""The other processes of a run: each does what the leader's engine does, and writes nothing."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from attrs import define, evolve, field

from loomlm.config.load import Config
from loomlm.config.settings import RunConfig, TrainerConfig
from loomlm.contracts import Engine, StepContext, Team, Tokenizer
from loomlm.data.batches import Plan, TrainingRows
from loomlm.data.streaming import StreamPlan
from loomlm.errors import LoomlmError
from loomlm.inference.scoring import Recipe
from loomlm.registry import Registry
from loomlm.training.batching import Made, batches, share
from loomlm.training.checkpoints import Progress
from loomlm.training.processes import Place
from loomlm.training.settling import engine_options
from loomlm.training.sharing import ANSWER, Do, Order, compare, digest
from loomlm.training.stage import total_steps
from loomlm.training.stages import Prepared, make_engine, stage_spec

Prepare = Callable[[RunConfig, Registry, Callable[[str], None]], tuple[Tokenizer, list[Prepared]]]

PATIENCE = 1.0
"""Seconds after which a signal is passed on to the leader: most often it has had it as well."""

COLLECTED = 64
"""Updates after which their scalars are asked for, which nobody here wants."""


@define
class Following:
    """What training a stage needs here. engine: this process's own."""

    engine: Engine
    trainer: TrainerConfig
    seed: int
    recipe: Recipe
    train: TrainingRows
    plan: Plan
    steps: int
    progress: Progress


@define
class Signals:
    """SIGINT and SIGTERM, while the leader decides what comes of them. A second one ends all."""

    number: int = 0
    _at: float = 0.0
    _before: dict[int, Any] = field(factory=dict)

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def _note(self, number: int, _: FrameType | None) -> None:
        self.number, self._at = number, time.monotonic()
        self.__exit__()

    def due(self) -> int:
        """The signal, where it is time to pass it on; else 0."""
        return self.number if self.number and time.monotonic() - self._at > PATIENCE else 0


def follow(config: Config, backend: str, place: Place, prepare: Prepare) -> dict[str, Any]:
    """Follow the leader to the end of the run: its evaluation, empty where it did not come to one.

    Raises LoomlmError where another process has ended before.
    """
    trainer = config.registry.target("trainer", backend)(engine_options(config, backend))
    team = trainer.team(place.rank, place.size, place.local)
    settled = _settled(config, backend, team, _received(team)["trainers"])
    with Signals() as signals:
        message = _received(team)
        if "batch_sizes" in message:
            settled = _with_sizes(settled, message["batch_sizes"])
            tokenizer, stages = prepare(settled.settings, settled.registry, lambda _: None)
            by_name = {prepared.config.name: prepared for prepared in stages}
            while "stage" in (message := _received(team)):
                prepared = by_name[message["stage"]]
                stage = _stage(prepared, settled, backend, tokenizer, message)
                _train(stage, team, signals)
    team.leave()
    return message["evaluation"]


def _received(team: Team) -> dict[str, Any]:
    return json.loads(team.send(b""))


def _settled(config: Config, backend: str, team: Team, trainers: list[Any]) -> Config:
    """The config as the leader has it, with this process's own devices."""
    stages = []
    for stage, keys in zip(config.settings.stages, trainers, strict=True):
        own = {**keys, "device": team.device(keys["device"])}
        stages.append(evolve(stage, trainer=evolve(stage.trainer, **own)))
    settings = evolve(config.settings, backend=backend, stages=tuple(stages))
    return evolve(config, settings=settings)


def _with_sizes(config: Config, sizes: list[int | None]) -> Config:
    """The config with the batch sizes that the leader has found or was given."""
    stages = tuple(
        evolve(stage, trainer=evolve(stage.trainer, batch_size=size))
        for stage, size in zip(config.settings.stages, sizes, strict=True)
    )
    return evolve(config, settings=evolve(config.settings, stages=stages))


def _stage(
    prepared: Prepared,
    config: Config,
    backend: str,
    tokenizer: Tokenizer,
    message: dict[str, Any],
) -> Following:
    seed, trainer = config.settings.seed, prepared.config.trainer
    spec = stage_spec(prepared, config.settings, tokenizer)
    plan, rows = prepared.plan(seed), prepared.data.train
    assert rows is not None
    if message["place"] is not None and isinstance(plan, StreamPlan):
        plan.go_to(message["place"])
    return Following(
        engine=make_engine(prepared, config, backend, spec),
        trainer=trainer,
        seed=seed,
        recipe=prepared.recipe,
        train=rows,
        plan=plan,
        steps=total_steps(trainer, plan),
        progress=Progress(step=message["step"]),
    )


def _train(stage: Following, team: Team, signals: Signals) -> None:
    """Do what the leader says, until the stage has ended."""
    team.share(stage.engine)
    for part in ("model", "optimizer"):
        team.copy(stage.engine, part)
    made = _Batches(stage)
    while True:
        order = Order.of(team.exchange([*ANSWER, signals.due()])[0])
        if order.do == Do.UPDATE:
            _update(stage, team, made, order)
        elif order.do == Do.MODEL:
            team.copy(stage.engine, "model")
        elif order.do == Do.OPTIMIZER:
            team.copy(stage.engine, "optimizer")
        elif order.do == Do.COMPARE:
            compare(team, stage.engine, order.step)
        else:
            made.close()
            return


def _update(stage: Following, team: Team, made: _Batches, order: Order) -> None:
    microbatches = made.of(order.step)
    if digest(microbatches) != order.digest:
        raise LoomlmError(
            f"Process {team.rank} makes another batch of step {order.step} than process 0: its "
            "data, its plugins or its versions are not the same."
        )
    mine = share(len(microbatches), team.rank, team.size)
    stage.engine.train_step(
        microbatches,
        StepContext(step=order.step, seed=order.seed, learning_rate=order.rate, share=mine),
    )
    if order.step % COLLECTED == 0:
        stage.engine.scalars()


@define
class _Batches:
    """The batches of a stage as the leader asks for them: one after another, but for a rollback."""

    stage: Following
    _next: int = 0
    _made: Iterator[Made] = field(factory=lambda: iter(()))

    def of(self, step: int) -> Any:
        """The microbatches of a step."""
        if step != self._next:
            self.close()
            self.stage.progress.step = step - 1
            self._made = batches(self.stage)
        _, microbatches, *_ = next(self._made)
        self._next = step + 1
        return microbatches

    def close(self) -> None:
        """Make no more ahead."""
        if hasattr(self._made, "close"):
            self._made.close()  # type: ignore[attr-defined] - a generator has it
