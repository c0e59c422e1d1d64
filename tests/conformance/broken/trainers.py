"""A trainer that is right, PyTorch's, and with each mistake that the conformance kit is to find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import evolve, frozen

from loomlm.plugin import Batch, Builder, Component, hookimpl, key


@frozen
class WrongConfig:
    """PyTorch's trainer with something wrong."""

    mistake: str = key("what is wrong with it", "nothing")


@hookimpl
def loomlm_trainers() -> list[Component]:
    return [
        Component(
            kind="trainer",
            name="wrong",
            summary="PyTorch with a mistake",
            target=f"{__name__}:make",
            config=WrongConfig,
            requires=("torch",),
        ),
        Component(
            kind="trainer", name="builds_nothing", summary="no builders", target=f"{__name__}:make"
        ),
    ]


@hookimpl
def loomlm_builders() -> list[Builder]:
    targets = {
        ("backbone", "mlp", "wrong"): "mlp:build",
        ("backbone", "rnn", "wrong"): "rnn:Rnn",
        ("optimizer", "adamw", "wrong"): "optimizers:AdamW",
        ("optimizer", "sgd", "wrong"): "optimizers:SGD",
        ("optimizer", "adamw", "builds_nothing"): "optimizers:AdamW",
    }
    return [
        Builder(kind=kind, name=name, backend=backend, target=f"loomlm_torch.{target}")
        for (kind, name, backend), target in targets.items()
    ]


def make(config: Any) -> Any:
    """The trainer."""
    from loomlm_torch.trainer import TorchTrainer

    mistake = getattr(config, "mistake", "nothing")

    class Wrong(TorchTrainer):
        def resolve(self, trainer, backbone):
            if mistake == "takes any device" and trainer.device != "auto":
                trainer = evolve(trainer, device="cpu")
            found = dict(super().resolve(trainer, backbone))
            if mistake == "leaves auto":
                found.pop("precision", None)
            if mistake == "settles what is given":
                found["threads"] = (1, "one is enough")
            if mistake == "gives no reason":
                return {name: (value, "") for name, (value, _) in found.items()}
            return found

        def engine(self, spec, trainer, builders):
            if mistake == "does not clip":
                trainer = evolve(trainer, gradient_clip="off")
            if mistake == "clips too much" and trainer.gradient_clip != "off":
                trainer = evolve(trainer, gradient_clip=trainer.gradient_clip / 2)
            if mistake == "clips small ones" and trainer.gradient_clip == 1e6:
                trainer = evolve(trainer, gradient_clip=1e-3)
            layout = spec.layout
            if mistake == "trains everything":
                layout = tuple(evolve(one, trainable=True) for one in layout)
            if mistake == "has one rate for all":
                layout = tuple(evolve(one, learning_rate_scale=1.0) for one in layout)
            engine = super().engine(evolve(spec, layout=layout), trainer, builders)
            return ENGINES.get(mistake, lambda engine: engine)(engine)

    return Wrong(config)


class Around:
    """An engine with some methods of its own."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


class StandsStill(Around):
    def train_step(self, microbatches, context):
        self.engine.train_step(microbatches, evolve(context, learning_rate=0.0))


class Climbs(Around):
    def train_step(self, microbatches, context):
        rate = -context.learning_rate
        self.engine.train_step(microbatches, evolve(context, learning_rate=rate))


class MeanOfMeans(Around):
    """Takes the mean of each microbatch, and the mean of those."""

    def train_step(self, microbatches, context):
        whole = sum(float(batch["weight"].sum()) for batch in microbatches) / len(microbatches)
        self.engine.train_step(
            [
                Batch({**batch.arrays, "weight": batch["weight"] * (whole / batch["weight"].sum())})
                for batch in microbatches
            ],
            context,
        )


class LastMicrobatch(Around):
    def train_step(self, microbatches, context):
        self.engine.train_step(microbatches[-1:], context)


class ForgetsSlots(Around):
    def load_state(self, part, arrays):
        if part == "model":
            self.engine.load_state(part, arrays)


class ForgetsSomeSlots(Around):
    def load_state(self, part, arrays):
        kept = [(name, array) for name, array in arrays if not name.endswith(".square")]
        self.engine.load_state(part, kept)


class CountsItself(Around):
    """Goes by its own number of updates, which a new engine begins anew."""

    count = 0

    def train_step(self, microbatches, context):
        self.count += 1
        self.engine.train_step(microbatches, evolve(context, step=self.count))


class OtherNames(Around):
    def state(self, part):
        for name, array in self.engine.state(part):
            yield name.replace(".weight", ".kernel"), array

    def load_state(self, part, arrays):
        turned = [(name.replace(".kernel", ".weight"), array) for name, array in arrays]
        self.engine.load_state(part, turned)


class OtherSlots(Around):
    def state(self, part):
        for index, (name, array) in enumerate(self.engine.state(part)):
            yield (name if part == "model" else f"slot{index}"), array

    def load_state(self, part, arrays):
        names = [name for name, _ in self.engine.state(part)]
        self.engine.load_state(part, zip(names, [array for _, array in arrays], strict=False))


class Broadcasts(Around):
    def load_state(self, part, arrays):
        held = dict(self.engine.state(part))
        given = [(name, np.broadcast_to(a, held[name].shape)) for name, a in arrays]
        self.engine.load_state(part, given)


class TakesAnyName(Around):
    def load_state(self, part, arrays):
        held = dict(self.engine.state(part))
        self.engine.load_state(part, [(name, a) for name, a in arrays if name in held])


class MendsGradients(Around):
    """Learns from what is finite, and says that all is well."""

    def train_step(self, microbatches, context):
        mended = [
            Batch({**batch.arrays, "weight": np.nan_to_num(batch["weight"], posinf=0)})
            for batch in microbatches
        ]
        self.engine.train_step(mended, context)


class MendsClipped(MendsGradients):
    """Does so where gradients are clipped."""

    def train_step(self, microbatches, context):
        clips = self.engine.trainer.gradient_clip != "off"
        (super() if clips else self.engine).train_step(microbatches, context)


class SaysNothing(Around):
    def scalars(self):
        return [evolve(one, finite=True) for one in self.engine.scalars()]


class ReportsClipped(Around):
    def scalars(self):
        clip = self.engine.trainer.gradient_clip
        most = float("inf") if clip == "off" else clip
        found = self.engine.scalars()
        return [evolve(one, gradient_norm=min(one.gradient_norm, most)) for one in found]


class Backwards(Around):
    def scalars(self):
        return self.engine.scalars()[::-1]


class CountsScalars(Around):
    def scalars(self):
        return [evolve(one, step=i) for i, one in enumerate(self.engine.scalars(), start=1)]


class TellsAgain(Around):
    def __init__(self, engine):
        super().__init__(engine)
        self.told = []

    def scalars(self):
        self.told += self.engine.scalars()
        return list(self.told)


class MeanScore(Around):
    def score(self, batch, logits):
        loss, found = self.engine.score(batch, logits)
        return loss / float(batch["weight"].sum()), found


class ScoresAllAlike(Around):
    def score(self, batch, logits):
        weight = (batch["weight"] > 0).astype(np.float32)
        return self.engine.score(Batch({**batch.arrays, "weight": weight}), logits)


class AlwaysLogits(Around):
    def score(self, batch, logits):
        return self.engine.score(batch, True)


class ReportsSums(Around):
    def scalars(self):
        return [evolve(one, loss=one.loss * 2) for one in self.engine.scalars()]


class DrawsInUse(Around):
    """What was predicted moves the seed of what is left out next."""

    used = 0

    def forward(self, batch):
        self.used += 1
        return self.engine.forward(batch)

    def train_step(self, microbatches, context):
        self.engine.train_step(microbatches, evolve(context, seed=context.seed + self.used))
        self.used = 0


class LearnsWhileScoring(Around):
    def score(self, batch, logits):
        found = self.engine.score(batch, logits)
        name, array = next(iter(self.engine.state("model")))
        self.engine.load_state("model", [(name, array + 1e-6)])
        return found


class MovesAllRows(Around):
    """Lets all rows of a sparse table decay."""

    def train_step(self, microbatches, context):
        self.engine.train_step(microbatches, context)
        sparse = {one.name for one in self.engine.spec.layout if one.sparse}
        moved = [(n, a * 0.99) for n, a in self.engine.state("model") if n in sparse]
        self.engine.load_state("model", moved)


class MovesAllMoments(Around):
    """Lets the state of all rows of a sparse table decay."""

    def train_step(self, microbatches, context):
        self.engine.train_step(microbatches, context)
        sparse = {f"{one.name}.mean" for one in self.engine.spec.layout if one.sparse}
        moved = [(n, a * 0.9) for n, a in self.engine.state("optimizer") if n in sparse]
        self.engine.load_state("optimizer", moved)


ENGINES: dict[str, Callable[[Any], Any]] = {
    "stands still": StandsStill,
    "climbs": Climbs,
    "mean of means": MeanOfMeans,
    "last microbatch": LastMicrobatch,
    "forgets slots": ForgetsSlots,
    "forgets some slots": ForgetsSomeSlots,
    "counts itself": CountsItself,
    "other names": OtherNames,
    "other slots": OtherSlots,
    "broadcasts": Broadcasts,
    "takes any name": TakesAnyName,
    "mends gradients": MendsGradients,
    "mends clipped ones": MendsClipped,
    "says nothing": SaysNothing,
    "reports clipped": ReportsClipped,
    "backwards": Backwards,
    "counts scalars": CountsScalars,
    "tells again": TellsAgain,
    "mean score": MeanScore,
    "scores all alike": ScoresAllAlike,
    "always logits": AlwaysLogits,
    "reports sums": ReportsSums,
    "draws in use": DrawsInUse,
    "learns while scoring": LearnsWhileScoring,
    "moves all rows": MovesAllRows,
    "moves all moments": MovesAllMoments,
}
