"""The largest batch that fits: what `batch_size = "auto"` is found to be, before the first step.

Real updates are tried on an engine that is thrown away, on rows as wide as any, so that nothing of
the run is touched: what is found stands in the run's config, and is read from there on resume. The
size is doubled until memory runs out and then closed in on, and an eighth is left: what is free in
pieces cannot be used whole.

On a CPU nothing stops a program from taking memory that is not there. So the memory of one small
update is measured, and a batch may take half of what is free; and it has at most as many rows as
where nothing is said, since an update on twice as many takes about twice as long there.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from attrs import define, evolve, field

from loomlm.config.load import Config
from loomlm.config.settings import BATCH_SIZE
from loomlm.contracts import Fitted, StepContext, Tokenizer
from loomlm.inference.memory import LackOfMemoryError, free_memory, memory_for
from loomlm.models.initial import initial_arrays
from loomlm.training.batching import cut
from loomlm.training.options import engine_options
from loomlm.training.stages import Prepared, stage_spec

Say = Callable[[str], None]

MOST = 8192
"""Rows of a batch that are thought of at most."""

FEW = 4
"""Rows of the update whose memory is measured on a CPU."""

SHARE = 0.5
"""Of the free main memory, what a batch may take."""


def settle_batch_sizes(
    config: Config, stages: list[Prepared], backend: str, tokenizer: Tokenizer, say: Say
) -> tuple[Config, list[Prepared], Mapping[str, str]]:
    """Find the batch size of each stage that leaves it open; the reasons by `STAGE.batch_size`.

    Raises LackOfMemoryError where not even the smallest batch fits.
    """
    settled, reasons = list(stages), {}
    for index, prepared in enumerate(stages):
        if prepared.config.trainer.batch_size != "auto":
            continue
        name = prepared.config.name
        say(f"Finding the largest batch of {name} that fits")
        size, reason = _Trial(prepared, config, backend, tokenizer).find()
        say(f"{name}: batch_size = {size}: {reason}")
        reasons[f"{name}.batch_size"] = reason
        settled[index] = _with_size(prepared, size)
    settings = evolve(config.settings, stages=tuple(one.config for one in settled))
    return evolve(config, settings=settings), settled, reasons


def largest(fits: Callable[[int], bool], most: int, first: int = 1) -> int:
    """The largest number up to `most` that fits, to within an eighth; 0 where not even 1 does.

    first: where doubling begins.
    """
    good, size = 0, first
    while fits(size):
        if size == most:
            return size
        good, size = size, min(2 * size, most)
    while size - good > max(1, good // 8):
        middle = (good + size) // 2
        good, size = (middle, size) if fits(middle) else (good, middle)
    return good


def with_margin(rows: int) -> int:
    """An eighth less, and a multiple of 8 where that is not much less."""
    left = max(1, rows - -(-rows // 8)) if rows > 1 else rows
    return left // 8 * 8 if left >= 64 else left


def in_memory(rise: int, rows: int, fixed: int, free: int) -> int:
    """How many rows free memory holds, by an update of a few that took so many bytes.

    fixed: of those, what does not grow with the rows: weights, gradients, the optimizer's state.
    """
    each = max(1, (rise - fixed) // rows)
    return max(1, int((SHARE * free - fixed) / each))


def _with_size(prepared: Prepared, size: int) -> Prepared:
    trainer = evolve(prepared.config.trainer, batch_size=size)
    return evolve(prepared, config=evolve(prepared.config, trainer=trainer))


@define
class _Trial:
    """Tries batches of a stage. Rows are those of a microbatch."""

    prepared: Prepared
    config: Config
    backend: str
    tokenizer: Tokenizer
    _known: dict[int, bool] = field(factory=dict, init=False)

    def find(self) -> tuple[int, str]:
        """The batch's size, and why."""
        parts = self.prepared.config.trainer.accumulate
        most = max(1, min(MOST, self._rows_there_are()) // parts)
        if self.prepared.config.trainer.device == "cpu":
            rows, reason = self._on_cpu(max(1, min(most, BATCH_SIZE // parts)))
        else:
            found = self._largest(most)
            rows = found if found == most else with_margin(found)
            reason = f"{found * parts} fit" if rows == found else f"{found * parts} fit just so"
            reason += ", and there are no more rows" if found == most < MOST // parts else ""
        return rows * parts, reason

    def _on_cpu(self, most: int) -> tuple[int, str]:
        few, free = min(FEW, most), free_memory()
        rise = _rise(lambda: self._fits(few))
        if not self._fits(few):
            return self._largest(few), "the most that fit"
        if rise is not None and free is not None:
            most = min(most, max(few, in_memory(rise, few, self._fixed(), free)))
        if self._fits(most):
            enough = most * self.prepared.config.trainer.accumulate >= BATCH_SIZE
            return most, "as many as pay on a CPU" if enough else "what memory and data allow"
        return self._largest(most, few), "the most that fit"

    def _largest(self, most: int, first: int = 1) -> int:
        found = largest(self._fits, most, first)
        if not found:
            self._try(1)  # Once more, for its error.
        return max(1, found)

    def _fits(self, rows: int) -> bool:
        if rows not in self._known:
            try:
                self._try(rows)
                self._known[rows] = True
            except LackOfMemoryError:
                self._known[rows] = False
            # The engine and what its error remembers go before the next one is made.
            gc.collect()
        return self._known[rows]

    def _try(self, rows: int) -> None:
        """Two updates of so many rows at a time; the second has the optimizer's state, too."""
        settings, registry = self.config.settings, self.config.registry
        parts = self.prepared.config.trainer.accumulate
        prepared = _with_size(self.prepared, rows * parts)
        recipe, train, seed = prepared.recipe, prepared.data.train, settings.seed
        assert train is not None
        plan = prepared.plan(seed)
        height, width = max(plan.shapes, key=lambda shape: shape[1])
        what = f"Not even a batch of {height:,} rows x {width:,} tokens fits into memory. "
        with memory_for(lambda: f"{what}Shorter rows or a smaller backbone take less."):
            spec = stage_spec(prepared, settings, self.tokenizer)
            trainer = registry.target("trainer", self.backend)(
                engine_options(self.config, self.backend)
            )
            # Compiling takes long, and what is compiled takes no more memory.
            keys = evolve(prepared.config.trainer, compile=False)
            builders = recipe.extensions.builders(registry, self.backend)
            engine = trainer.engine(spec, keys, builders)
            engine.load_state("model", initial_arrays(spec.layout, seed, Fitted()))
            taken = np.resize(plan.batch(1)[0], height)
            batch = recipe.batch(train, taken, {"batch": height, "time": width}, seed, 1)
            batch = recipe.extensions.batch(batch, 1, seed)
            for step in (1, 2):
                context = StepContext(step=step, seed=seed, learning_rate=0.0)
                engine.train_step(cut(batch, rows), context)
                engine.scalars()

    def _rows_there_are(self) -> int:
        """Rows of an epoch; of a stream, examples that are shuffled together."""
        plan = _with_size(self.prepared, 1).plan(self.config.settings.seed)
        return plan.steps_per_epoch or self.prepared.config.data.shuffle_window

    def _fixed(self) -> int:
        """Bytes of weights and gradients, and of two numbers more for each."""
        spec = stage_spec(self.prepared, self.config.settings, self.tokenizer)
        return 16 * sum(int(np.prod(parameter.shape)) for parameter in spec.layout)


def _rise(work: Callable[[], object]) -> int | None:
    """By how many bytes the memory of this process rises for some work; None if nobody knows."""
    try:
        # Linux sets back the peak that it has noted.
        Path("/proc/self/clear_refs").write_text("5")
        before = _noted("VmRSS")
        work()
        return max(0, _noted("VmHWM") - before)
    except OSError:
        work()
        return None


def _noted(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))
