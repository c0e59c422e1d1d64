"""Settles what a config leaves open ("auto"), beside what stands in the run's folder already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from attrs import evolve, frozen

from loomlm.config.load import Config
from loomlm.config.settings import TrainerConfig
from loomlm.data.reading import made
from loomlm.errors import UsageError
from loomlm.training import folder as run_folder
from loomlm.training.differences import check_allow, exists, of_config, refused
from loomlm.training.options import engine_options
from loomlm.training.world import Going, go_on

Resume = Literal["never", "auto", "must"]


@frozen
class Settled:
    """A config without an "auto", why each was settled so, and the run that goes on, if any."""

    config: Config
    reasons: Mapping[str, str]
    going: Going | None


def resolve(
    config: Config,
    backend: str,
    folder: Path,
    resume: Resume,
    overwrite: bool,
    allow: Sequence[str],
) -> Settled:
    """Settle every "auto" once; take a resumed run's own answers. Checks the folder's state.

    allow: names of what may differ where a run goes on.
    """
    run_folder.check_place(folder)
    check_allow(allow)
    before = None if overwrite else run_folder.stored_config(folder, config)
    if before is None and resume == "must":
        raise UsageError(f"There is no run in {folder} to resume. Leave --resume=must out.")
    trainer = config.registry.target("trainer", backend)(engine_options(config, backend))
    backbone = made(config.registry, config.settings.backbone)
    reasons: dict[str, str] = {}
    stages = []
    for index, stage in enumerate(config.settings.stages):
        known = before.settings.stages if before and resume != "never" else ()
        old = known[index].trainer if index < len(known) else None
        same = before is not None and before.settings.backend == backend
        settled = _take_old(stage.trainer, old, same)
        if settled.batch_size == "auto" and before and index < len(before.settings.stages):
            # What it was found to be is compared, too, where the run is not gone on with.
            found = before.settings.stages[index].trainer.batch_size
            settled = evolve(settled, batch_size=found)
        for key, (value, reason) in trainer.resolve(settled, backbone).items():
            settled = evolve(settled, **{key: value})
            reasons[f"{stage.name}.{key}"] = reason
        stages.append(evolve(stage, trainer=settled))
    settings = evolve(config.settings, backend=backend, stages=tuple(stages))
    resolved = evolve(config, settings=settings)
    if before is None:
        return Settled(resolved, reasons, None)
    if resume == "never":
        found = of_config(before, resolved, (), False)
        raise refused(folder, found, ()) or exists(folder)
    ended = (folder / run_folder.EVALUATION).exists()
    return Settled(resolved, reasons, go_on(folder, before, resolved, allow, ended))


def _take_old(
    trainer: TrainerConfig, old: TrainerConfig | None, same_backend: bool
) -> TrainerConfig:
    """What a run settled for its "auto" values stays as it was.

    Another backend settles anew how it computes, but not in which precision.
    """
    if old is None:
        return trainer
    names = ("device", "precision", "compile", "threads") if same_backend else ("precision",)
    settled = {name: getattr(old, name) for name in names if getattr(trainer, name) == "auto"}
    return evolve(trainer, **settled)
