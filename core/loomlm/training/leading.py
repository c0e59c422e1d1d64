"""The leader of several processes: it carries the run out, and the others follow its engine."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, cast

import attrs
from attrs import define, evolve

from loomlm.config.load import Config
from loomlm.contracts import Batch, Engine, StepContext, Team
from loomlm.errors import LoomlmError
from loomlm.training import processes
from loomlm.training.batching import share
from loomlm.training.interrupts import Interrupts
from loomlm.training.options import engine_options
from loomlm.training.sharing import Do, Order, compare, digest
from loomlm.training.stage import Stage

COMPARED = 1000
"""Updates between two comparisons of the weights; the first comes after the first update."""


@define
class LeadingEngine:
    """The leader's engine: what changes its weights, it has the others do too.

    interrupts: what the leader knows of signals; one that another process has had is the leader's.
    idle: whether the others wait for an order. All else of an Engine is the inner one's.
    """

    engine: Engine
    team: Team
    interrupts: Interrupts
    idle: bool = True
    _updates: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def train_step(self, microbatches: Sequence[Batch], context: StepContext) -> None:
        """One update, to which each process gives the gradients of its microbatches."""
        mine = share(len(microbatches), self.team.rank, self.team.size)
        content = digest(microbatches)
        self.order(Order(Do.UPDATE, context.step, context.seed, context.learning_rate, content))
        with self._busy():
            self.engine.train_step(microbatches, evolve(context, share=mine))
        self._updates += 1
        if self._updates % COMPARED == 1:
            self.compare(context.step)

    def load_state(
        self, part: Literal["model", "optimizer"], arrays: Iterable[tuple[str, Any]]
    ) -> None:
        """Take arrays, and give them to the others."""
        self.engine.load_state(part, arrays)
        self.order(Order(Do.MODEL if part == "model" else Do.OPTIMIZER))
        with self._busy():
            self.team.copy(self.engine, part)

    def compare(self, step: int) -> None:
        """See sharing.py."""
        self.order(Order(Do.COMPARE, step))
        with self._busy():
            compare(self.team, self.engine, step)

    def order(self, order: Order) -> None:
        """Tell the others what comes, and hear whether one of them had a signal."""
        with self._busy():
            answers = self.team.exchange(order.numbers())
        number = max(answer[-1] for answer in answers)
        if number and not self.interrupts.signal:
            signal.raise_signal(number)

    @contextmanager
    def _busy(self) -> Iterator[None]:
        """Within, an error leaves the others where no order reaches them any more."""
        before, self.idle = self.idle, False
        yield
        self.idle = before


@define
class Lead:
    """What the leader does besides carrying the run out; nothing where it is alone.

    team: None where it is. _engine: that of the stage that is being trained.
    """

    team: Team | None
    _engine: LeadingEngine | None = None

    @classmethod
    def of(cls, config: Config, backend: str, place: processes.Place | None) -> Lead:
        """Wait for the other processes of a run; there is one that this one leads, or none."""
        if place is None:
            return cls(None)
        trainer = config.registry.target("trainer", backend)(engine_options(config, backend))
        team = trainer.team(place.rank, place.size, place.local)
        devices = [stage.trainer.device for stage in config.settings.stages]
        for name in devices:
            team.device(name)
        team.send(_json({"devices": devices}))
        return cls(team)

    def prepared(self, config: Config, tokenizer: Path | None) -> None:
        """Let the others read the data, which the cache has now; all of the config is settled.

        tokenizer: the folder of the run's own, where it has one already.
        """
        if self.team is not None:
            trainers = [_plain(stage.trainer) for stage in config.settings.stages]
            own = str(tokenizer or "")
            self.team.send(_json({"trainers": trainers, "tokenizer": own}))

    @contextmanager
    def training(self, stage: Stage, interrupts: Interrupts) -> Iterator[None]:
        """Within, the stage's engine is the leader's; the others train as it does."""
        if self.team is None or stage.progress.ended:
            yield
            return
        inner, size, count = stage.engine, self.team.size, stage.trainer.accumulate
        stage.say(f"{stage.name} trains in {size} processes")
        if count % size:
            stage.say(
                f"{stage.name}: {count} microbatches cannot be shared evenly by {size} processes, "
                "so some wait"
            )
        progress = stage.progress
        start = {"stage": stage.name, "step": progress.step, "place": progress.place}
        self.team.send(_json(start))
        self._engine = LeadingEngine(inner, self.team, interrupts)
        self.team.share(inner)
        for part in ("model", "optimizer"):
            self.team.copy(inner, part)
        stage.engine = cast(Engine, self._engine)
        yield
        self._engine.compare(stage.progress.step)
        self._engine.order(Order(Do.END))
        stage.engine, self._engine = inner, None

    def end(self, evaluation: Mapping[str, Any]) -> None:
        """Let the others go; where one cannot be reached, they find out by themselves."""
        if self.team is None or (self._engine is not None and not self._engine.idle):
            return
        with suppress(LoomlmError):
            if self._engine is not None:
                self._engine.order(Order(Do.END))
            self.team.send(_json({"evaluation": evaluation}))
            self.team.leave()


def _json(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode()


def _plain(trainer: Any) -> dict[str, Any]:
    """The keys of a trainer that are numbers or words: among them all that "auto" stood for."""
    values = attrs.asdict(trainer, recurse=False)
    return {name: v for name, v in values.items() if v is None or isinstance(v, int | float | str)}
