"""`shakespeare.toml` on the tensorflow backend beside the same model in Keras 3, by `fit`.

    python docs/benchmarks/shakespeare_keras.py input.txt.gz [PAIRS] [--steps N] [--backend NAME]

In turn `shakespeare.toml` and `keras_gpt.py`, whose `fit` has `jit_compile=True`, train in
processes of their own with one thread each, and one more that makes batches. Tokens a second are
those from the making of the model to the last update, so tracing and compiling count, and reading
does not; then those behind 100 steps. The ratios are ours by Keras'. With all 2,000 steps each
scores the last tenth of the text.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from typing import Any

from speed import interval
from timing import child

HERE = Path(__file__).parent
WARMUP, TOTAL = 100, 2000
TOKENS = 12 * 64


def ours(text: Path, steps: int, backend: str) -> dict[str, Any]:
    settings = [f"stages.pretrain.data.train={text.resolve()}", f"backend={backend}"]
    if steps != TOTAL:
        # The schedule's length is of no matter here; the held-out tenth is not scored.
        settings.append(f"stages.pretrain.trainer.steps={steps}")
        settings.append("stages.pretrain.data.split.validation=0.0001")
    return child(HERE / "timing.py", HERE / "shakespeare.toml", WARMUP, *settings)


def speeds(found: dict[str, Any]) -> tuple[float, float]:
    """Tokens a second: of everything, and of what is behind the warm-up."""
    seconds, steps = found["steady"]
    return found["steps"] * TOKENS / found["seconds"], steps * TOKENS / seconds


def shown(who: str, found: dict[str, Any], steps: int) -> str:
    whole, steady = speeds(found)
    loss = f"loss {found['evaluation']['validation']['loss']:.3f}, " if steps == TOTAL else ""
    return (
        f"{who} {whole:,.0f} tokens/s ({steady:,.0f} steady), {loss}"
        f"{found['megabytes']:,.0f} MB, {found['process']:.1f} s in all"
    )


def main(text: Path, pairs: int, steps: int, backend: str) -> None:
    ratios: list[list[float]] = []
    for index in range(pairs):
        taken = {}
        for who in ("keras", backend)[:: 1 if index % 2 == 0 else -1]:
            taken[who] = (
                child(HERE / "keras_gpt.py", text, steps, WARMUP)
                if who == "keras"
                else ours(text, steps, backend)
            )
            print(shown(who, taken[who], steps), flush=True)
        both = zip(speeds(taken[backend]), speeds(taken["keras"]), strict=True)
        ratios.append([mine / theirs for mine, theirs in both])
    for what, found in zip(("whole", "steady"), zip(*ratios, strict=True), strict=True):
        low, high, confidence = interval(list(found))
        middle = median(found)
        print(f"{what}: ratio {middle:.3f} ({low:.3f} to {high:.3f}, {confidence:.0%})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("text", type=Path)
    parser.add_argument("pairs", type=int, nargs="?", default=5)
    parser.add_argument("--steps", type=int, default=TOTAL)
    parser.add_argument("--backend", default="tensorflow")
    main(**vars(parser.parse_args()))
