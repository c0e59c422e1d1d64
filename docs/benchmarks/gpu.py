"""GPT-2 on one GPU: Loomlm's updates beside those of a bare loop and of nanoGPT, in one process.

    python docs/benchmarks/gpu.py gpt2|gpt2-medium|small [--pairs 5] [--updates 30]
        [--determinism fast] [--plain] [--nanogpt FOLDER]

`loomlm.run` trains on a file of random words, with checks, batches and log as ever. Between its
updates the peers of `gpu_gpt.py` do as many of their own, in turn. All compute in bf16 and are
compiled, with --plain not. Prints tokens a second, the share of the rate at which this GPU
multiplies large matrices in bf16, measured first, and the median ratio, ours by each peer's.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from attrs import define, field
from gpu_gpt import SIZES, Bare, Gpt, NanoGpt, Size
from speed import interval

import loomlm
from loomlm.plugin import StepsEnded, hookimpl

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


def config(size: Size, corpus: Path, given: argparse.Namespace, device: str) -> dict[str, Any]:
    """The peers' model and settings."""
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
            # More than are counted: a report may come late.
            "steps": 1_000_000,
            "batch_size": size.batch,
            "learning_rate": 3e-4,
            "optimizer": {"type": "adamw", "beta2": 0.95, "weight_decay": 0.1},
            "schedule": {"type": "constant"},
            "determinism": given.determinism,
            "device": device,
            "compile": device == "cuda" and not given.plain,
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
    """Stops the clock when our updates have ended, and lets the peers do as many.

    found: tokens a second by who made them. memory: the most that ours took, in bytes.
    """

    size: Size
    peers: dict[str, Bare]
    given: argparse.Namespace
    found: dict[str, list[float]] = field(factory=lambda: {"loomlm": []})
    memory: int = 0
    _begun: tuple[int, float] | None = None

    @hookimpl
    def loomlm_steps_ended(self, event: StepsEnded) -> None:
        # Its scalars are numbers, so the device has nothing left to do.
        step, now = event.scalars[-1].step, time.perf_counter()
        if self._begun is None:
            if step < WARMUP:
                return
            if torch.cuda.is_available():
                self.memory = torch.cuda.max_memory_allocated()
            for peer in self.peers.values():
                peer.run(WARMUP)
        else:
            done = step - self._begun[0]
            if done < self.given.updates:
                return
            self._compare(done, now - self._begun[1])
        self._begun = (step, time.perf_counter())

    def _compare(self, done: int, seconds: float) -> None:
        tokens = done * self.size.batch * self.size.context
        self.found["loomlm"].append(tokens / seconds)
        for who, peer in self.peers.items():
            self.found.setdefault(who, []).append(tokens / peer.run(done))
        shown = ", ".join(f"{who} {rates[-1]:,.0f}" for who, rates in self.found.items())
        print(f"{done} updates: {shown} tokens/s", flush=True)
        if len(self.found["loomlm"]) == self.given.pairs:
            raise DoneError


def product_rate(size: int = 8192) -> float:
    """Operations a second of a product of two matrices in bf16."""
    one, other = (torch.randn(size, size, dtype=torch.bfloat16, device="cuda") for _ in range(2))
    taken = []
    for _ in range(20):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        one @ other
        end.record()
        end.synchronize()
        taken.append(begin.elapsed_time(end))
    return 2 * size**3 / (median(taken[5:]) / 1000)


def measure(given: argparse.Namespace, size: Size) -> Beside:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    compiled = device == "cuda" and not given.plain
    models: dict[str, torch.nn.Module] = {"bare": Gpt(size)}
    if given.nanogpt:
        models["nanogpt"] = NanoGpt(size, given.nanogpt)
    with tempfile.TemporaryDirectory() as place:
        os.environ["LOOMLM_CACHE"] = f"{place}/cache"
        corpus = Path(place, "corpus.txt")
        numbers = text(corpus, size, max(20 * size.vocabulary, 20 * size.context * size.batch))
        data = numbers.astype(np.uint16)
        peers = {
            who: Bare(size, model, data, device, device == "cuda", compiled)
            for who, model in models.items()
        }
        beside = Beside(size, peers, given)
        with suppress(DoneError):
            whole = config(size, corpus, given, device)
            loomlm.run(whole, runs=Path(place, "runs"), observers=[beside])
    return beside


def show(beside: Beside, name: str, rate: float | None) -> None:
    bare: Any = beside.peers["bare"].model
    flops = beside.size.flops(bare.size)
    for who, rates in beside.found.items():
        middle = median(rates)
        share = f", {middle * flops / rate:.1%} of large products" if rate else ""
        ratios = [ours / theirs for ours, theirs in zip(beside.found["loomlm"], rates, strict=True)]
        low, high, confidence = interval(ratios)
        ratio = f"; ratio {median(ratios):.3f} ({low:.3f} to {high:.3f}, {confidence:.0%})"
        print(f"{name}, {who}: {middle:,.0f} tokens/s{share}{ratio if who != 'loomlm' else ''}")
    print(f"{name}: {beside.memory / 2**20:,.0f} MiB at most, of ours", flush=True)


def main(words: list[str] | None = None, size: Size | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--determinism", choices=["fast", "exact"], default="fast")
    parser.add_argument("--plain", action="store_true", help="do not compile")
    parser.add_argument("--nanogpt", type=Path)
    given = parser.parse_args(words)
    rate = product_rate() if torch.cuda.is_available() else None
    if rate:
        card = f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}"
        print(f"{card}: products at {rate / 1e12:.0f} Tflop/s", flush=True)
    show(measure(given, size or SIZES[given.size]), given.size, rate)


if __name__ == "__main__":
    main()
