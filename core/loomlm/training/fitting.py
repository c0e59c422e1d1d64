"""Whether a run's checkpoints fit what it is to go on with: no word of a user's helps there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from loomlm.config.load import Config
from loomlm.config.settings import Choice
from loomlm.contracts import BackboneContext, Tokenizer
from loomlm.data.reading import made
from loomlm.errors import LoomlmError, UsageError
from loomlm.registry import Registry
from loomlm.training.beginning import MOST, shape_words, stored_shapes
from loomlm.training.checkpoints import BESIDE, Checkpoints, Progress, read_state
from loomlm.training.differences import ANEW, Difference
from loomlm.training.stage import reopens, total_steps
from loomlm.training.stages import Prepared, make_engine, stage_spec

SIZE = 1 << 16
"""Stands in for the size of a vocabulary where the shapes of two backbones are compared."""

Shapes = dict[str, tuple[int, ...]]


@frozen
class _Standing:
    """A stage with its newest checkpoint, and the updates that it is to have."""

    prepared: Prepared
    checkpoint: Path
    progress: Progress
    steps: int

    @property
    def name(self) -> str:
        return self.prepared.config.name

    @property
    def goes_on(self) -> bool:
        """Whether there is more to train."""
        return not self.progress.ended or reopens(
            self.progress, self.prepared.config.trainer, self.steps
        )


def has_begun(folder: Path, config: Config) -> bool:
    """Whether any stage of the run in a folder has a checkpoint."""
    return any(_checkpoints(folder, stage).steps() for stage in config.settings.stages)


def steps_done(folder: Path, config: Config) -> dict[str, int]:
    """How many steps each stage has a checkpoint of."""
    steps = {stage.name: _checkpoints(folder, stage).steps() for stage in config.settings.stages}
    return {name: max(found) for name, found in steps.items() if found}


def judged(one: Difference, folder: Path, before: Config, now: Config) -> Difference:
    """A difference of the config, with why it cannot be allowed where its key alone tells."""
    table, _, key = one.name.partition(".")
    if table != "backbone" or not has_begun(folder, now):
        return one
    old, new = before.settings.backbone, now.settings.backbone
    if key == "type":
        return evolve(one, never="the weights are of another model")
    if old.type != new.type or "." in key:
        return one  # What it comes to is told once the data is read.
    try:
        changed = evolve(old.config, **{key: getattr(new.config, key)})
        same = _shapes(old, before.registry) == _shapes(
            Choice("backbone", old.type, changed), before.registry
        )
    except (LoomlmError, ValueError):
        return one  # That key alone makes no backbone.
    return one if same else evolve(one, never="the weights would have other shapes")


def check_fits(
    folder: Path,
    stages: Sequence[Prepared],
    tokenizer: Tokenizer,
    config: Config,
    found: Iterable[Difference],
) -> None:
    """Raise UsageError, with every reason, where a run's checkpoints do not fit a changed world."""
    names = [one.name for one in found]
    reasons = [
        f"{standing.name}: {reason}"
        for standing in _standing(folder, stages, config)
        for reason in _reasons(standing, folder, tokenizer, config, names)
    ]
    if reasons:
        listed = "\n".join(f"  {reason}" for reason in reasons)
        raise UsageError(
            f"{folder} cannot go on so, whatever is allowed:\n{listed}\n"
            f"Take the old values back, {ANEW}"
        )


def _standing(folder: Path, stages: Sequence[Prepared], config: Config) -> Iterator[_Standing]:
    for prepared in stages:
        checkpoint, _ = _checkpoints(folder, prepared.config).newest()
        if checkpoint is not None:
            progress, _ = read_state(checkpoint)
            steps = total_steps(prepared.config.trainer, prepared.plan(config.settings.seed))
            yield _Standing(prepared, checkpoint, progress, steps)


def _reasons(
    standing: _Standing, folder: Path, tokenizer: Tokenizer, config: Config, names: Sequence[str]
) -> Iterator[str]:
    spec = stage_spec(standing.prepared, config.settings, tokenizer)
    here, there = stored_shapes(spec.layout), _shapes_of(standing.checkpoint, "model")
    differing = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    for name in differing[:MOST]:
        yield f"{name} is {shape_words(there.get(name))} there, {shape_words(here.get(name))} now"
    if len(differing) > MOST:
        yield f"and {len(differing) - MOST} more"
    progress, steps = standing.progress, standing.steps
    if progress.step > steps:
        yield f"it has done {progress.step:,} steps, and would end after {steps:,}"
    if differing or not standing.goes_on:
        return
    if progress.ended:
        yield from _of_reopening(standing, folder, config)
    optimizer = f"stages.{standing.name}.trainer.optimizer."
    if any(name.startswith(optimizer) for name in names) and progress.step < steps:
        yield from _of_slots(standing, spec, config)


def _of_reopening(standing: _Standing, folder: Path, config: Config) -> Iterator[str]:
    """Why a stage that has ended cannot have more steps."""
    if not (standing.checkpoint / "optimizer.safetensors").exists():
        yield "its last checkpoint has no optimizer state, so it cannot be trained on"
    for other in config.settings.stages:
        if other.init_from == standing.name and _checkpoints(folder, other).steps():
            yield (
                f"it has ended, and {other.name} has begun with what it came to. Another run can "
                f"begin with that, too: init_from = {str(folder / standing.name)!r}"
            )


def _of_slots(standing: _Standing, spec: Any, config: Config) -> Iterator[str]:
    """Whether an optimizer remembers what another one has left."""
    there = _slots(_shapes_of(standing.checkpoint, "optimizer"))
    engine = make_engine(standing.prepared, config, config.settings.backend, spec)
    here = _slots({name: array.shape for name, array in engine.state("optimizer")})
    if there != here:
        yield (
            f"its optimizer has kept {_kept(there)} for the weights; this one would want "
            f"{_kept(here)}"
        )


def _slots(shapes: Shapes) -> Shapes:
    """Without the loss scaler and moving averages, which a checkpoint may have or not."""
    return {name: shape for name, shape in shapes.items() if not name.startswith(BESIDE)}


def _kept(shapes: Shapes) -> str:
    names = sorted({name.rpartition(".")[2] for name in shapes})
    return ", ".join(names) or "nothing"


def _shapes_of(checkpoint: Path, part: str) -> Shapes:
    """The names and shapes of a checkpoint's arrays; only the file's header is read."""
    from safetensors import safe_open

    path = checkpoint / f"{part}.safetensors"
    if not path.exists():
        return {}
    with safe_open(path, "np") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping


def _shapes(choice: Choice, registry: Registry) -> Shapes:
    """Those of a backbone's parameters, with some vocabulary."""
    backbone = made(registry, choice)
    can = backbone.capabilities
    context = BackboneContext(
        vocab_size=SIZE,
        pad_id=0,
        reads="tokens" if "tokens" in can else "sequence",
        causal="causal" in can,
    )
    return {one.name: tuple(one.shape) for one in backbone.parameters(context)}


def _checkpoints(folder: Path, stage: Any) -> Checkpoints:
    return Checkpoints(folder / stage.name / "checkpoints", stage.trainer.keep_last)
