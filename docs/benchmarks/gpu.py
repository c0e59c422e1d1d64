"""GPT-2 small on one GPU: Loomlm's updates beside those of a bare loop, in one process.

    python docs/benchmarks/gpu.py exact|fast [PAIRS [STEPS]]

`loomlm.run` trains on a file of random words, with checks, batches and log as ever. Between its
updates the bare loop of `gpu_gpt.py` does as many of its own: five alternating pairs of 40. Both
compute in bf16 and are compiled. Prints tokens a second, the share of the card's 989 Tflop/s, and
the median ratio, ours by the bare loop's.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from attrs import define, field
from gpu_gpt import Bare, Gpt, Size
from speed import interval

import loomlm
from loomlm.plugin import StepsEnded, hookimpl

PEAK = 989.4e12
"""Of an H100 SXM in bf16 without sparsity, as its data sheet says."""

WARMUP = 20
SPECIAL = 3
"""Words that a tokenizer has besides those of the text."""


def text(path: Path, size: Size, tokens: int) -> np.ndarray:
    """A file of random words, each of them once at least; gives their numbers."""
    words = size.vocabulary - SPECIAL
    generator = np.random.default_rng(17)
    numbers = np.concatenate([np.arange(words), generator.integers(words, size=tokens - words)])
    rows = [numbers[at : at + 1000].tolist() for at in range(0, tokens, 1000)]
    lines = (" ".join(f"w{number}" for number in row) for row in rows)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return numbers


def config(size: Size, corpus: Path, determinism: str, device: str, steps: int) -> dict[str, Any]:
    """The bare loop's model and settings."""
    return {
        "name": "gpt",
        "backend": "torch",
        "tokenizer": {"type": "word", "vocab_size": size.vocabulary},
        "backbone": {
            "type": "transformer",
            "layers": size.layers,
            "heads": size.heads,
            "width": size.width,
            "positions": "learned",
            "max_positions": size.context,
            "norm": "layernorm",
            "activation": "gelu",
        },
        "trainer": {
            "steps": steps,
            "batch_size": size.batch,
            "learning_rate": 3e-4,
            "optimizer": {"type": "adamw", "beta2": 0.95, "weight_decay": 0.1},
            "schedule": {"type": "constant"},
            "determinism": determinism,
            "device": device,
            "compile": device == "cuda",
        },
        "stages": [
            {
                "name": "pretrain",
                "task": {"type": "causal_lm", "context": size.context},
                "data": {"train": str(corpus)},
            }
        ],
    }


class DoneError(Exception):
    """There are enough pairs."""


@define
class Beside:
    """Stops the clock when our updates have ended, and lets the bare loop do as many."""

    bare: Bare
    pairs: int
    steps: int
    found: list[tuple[float, float]] = field(factory=list)
    _begun: tuple[int, float] | None = None

    @hookimpl
    def loomlm_steps_ended(self, event: StepsEnded) -> None:
        # Its scalars are numbers, so the device has nothing left to do.
        step, now = event.scalars[-1].step, time.perf_counter()
        if self._begun is None:
            if step < WARMUP:
                return
            self.bare.run(WARMUP)
        else:
            done = step - self._begun[0]
            if done < self.steps:
                return
            per_step = self.bare.size.batch * self.bare.size.context
            ours = done * per_step / (now - self._begun[1])
            theirs = done * per_step / self.bare.run(done)
            self.found.append((ours, theirs))
            print(f"pair {len(self.found)}: {ours:,.0f} and {theirs:,.0f} tokens/s", flush=True)
            if len(self.found) == self.pairs:
                raise DoneError
        self._begun = (step, time.perf_counter())


def main(determinism: str, pairs: int = 5, steps: int = 40, *, size: Size | None = None) -> None:
    size = size or Size()
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Gpt(size)
    with tempfile.TemporaryDirectory() as place:
        os.environ["LOOMLM_CACHE"] = f"{place}/cache"
        corpus = Path(place, "corpus.txt")
        numbers = text(corpus, size, 20 * size.vocabulary)
        beside = Beside(
            Bare(size, model, numbers.astype(np.uint16), device, device == "cuda"), pairs, steps
        )
        # A report may come late, so there are more steps than are counted.
        whole = config(size, corpus, determinism, device, WARMUP + 64 + pairs * (steps + 64))
        with suppress(DoneError):
            loomlm.run(whole, runs=Path(place, "runs"), observers=[beside])
    flops = size.flops(model.size)
    for who, rates in zip(("loomlm", "bare"), zip(*beside.found, strict=True), strict=True):
        rate = median(rates)
        print(f"{determinism}, {who}: {rate:,.0f} tokens/s, {rate * flops / PEAK:.1%} of the peak")
    low, high, confidence = interval([ours / theirs for ours, theirs in beside.found])
    middle = median(ours / theirs for ours, theirs in beside.found)
    print(f"{determinism}: ratio {middle:.3f} ({low:.3f} to {high:.3f}, {confidence:.0%})")
    if device == "cuda":
        print(f"most memory: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB, both models")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
