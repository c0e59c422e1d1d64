"""The other processes of a run: each does what the leader's engine does, and writes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from attrs import define, evolve

from loomlm.config.load import Config
from loomlm.config.settings import RunConfig, TrainerConfig
from loomlm.contracts import Batch, Engine, StepContext, Team, Tokenizer
from loomlm.data.batches import Plan, TrainingRows
from loomlm.data.prepare import load_tokenizer
from loomlm.data.streaming import StreamPlan
from loomlm.errors import LoomlmError
from loomlm.inference.scoring import Recipe
from loomlm.registry import Registry
from loomlm.training.batching import Made, batches, share
from loomlm.training.checkpoints import Progress
from loomlm.training.interrupts import Interrupts
from loomlm.training.options import engine_options
from loomlm.training.processes import Place
from loomlm.training.sharing import ANSWER, Do, Order, compare, digest
from loomlm.training.stage import total_steps
from loomlm.training.stages import Prepared, make_engine, stage_spec

Prepare = Callable[
    [RunConfig, Registry, Callable[[str], None], Tokenizer | None],
    tuple[Tokenizer, list[Prepared]],
]

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
    """What the leader is told of signals that came to this process."""

    interrupts: Interrupts
    _since: float | None = None

    def due(self) -> int:
        """The signal, where it is time to pass it on; else 0."""
        now = time.monotonic()
        if self.interrupts.signal and self._since is None:
            self._since = now
        return self.interrupts.signal if now - (self._since or now) > PATIENCE else 0


def follow(config: Config, backend: str, place: Place, prepare: Prepare) -> dict[str, Any]:
    """Follow the leader to the end of the run: its evaluation, empty where it did not come to one.

    Raises LoomlmError where another process has ended before.
    """
    trainer = config.registry.target("trainer", backend)(engine_options(config, backend))
    team = trainer.team(place.rank, place.size, place.local)
    with Interrupts() as interrupts:
        message = _received(team)
        for name in message["devices"]:
            team.device(name)
        message = _received(team)
        if "trainers" in message:
            settled = _settled(config, backend, team, message["trainers"])
            own = _tokenizer(settled, message["tokenizer"])
            tokenizer, stages = prepare(settled.settings, settled.registry, lambda _: None, own)
            by_name = {prepared.config.name: prepared for prepared in stages}
            while "stage" in (message := _received(team)):
                prepared = by_name[message["stage"]]
                # Held by nothing here, so that its model has gone when the next stage's is made.
                _train(
                    _stage(prepared, settled, backend, tokenizer, message),
                    team,
                    Signals(interrupts),
                )
    team.leave()
    return message["evaluation"]


def _tokenizer(config: Config, folder: str) -> Tokenizer | None:
    """The tokenizer that the run has already, if any."""
    if not folder:
        return None
    return load_tokenizer(config.settings.tokenizer, config.registry, Path(folder))


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
    context = StepContext(step=order.step, seed=order.seed, learning_rate=order.rate, share=mine)
    try:
        stage.engine.train_step(microbatches, context)
    except Exception as error:
        # Each framework has an error of its own for it.
        text = f"{type(error).__name__} {error}".lower()
        if isinstance(error, LoomlmError) or "memory" not in text:
            raise
        said = (str(error).splitlines() or ["MemoryError"])[0]
        raise LoomlmError(
            f"Process {team.rank} has not enough memory for its share of step {order.step} "
            f"({said}). Raise trainer.accumulate, or lower trainer.batch_size or batch_tokens."
        ) from error
    if order.step % COLLECTED == 0:
        stage.engine.scalars()


@define
class _Batches:
    """The batches of a stage as the leader asks for them: one after another, but for a rollback."""

    stage: Following
    _next: int = 0
    _made: Generator[Made] | None = None

    def of(self, step: int) -> Sequence[Batch]:
        """The microbatches of a step."""
        if step != self._next:
            self.close()
        if self._made is None:
            self.stage.progress.step = step - 1
            self._made = batches(self.stage)
        _, microbatches, *_ = next(self._made)
        self._next = step + 1
        return microbatches

    def close(self) -> None:
        """Make no more ahead."""
        if self._made is not None:
            self._made.close()
            self._made = None
