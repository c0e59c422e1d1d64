"""`shakespeare.toml` on the tensorflow backend beside the same model in Keras 3, by `fit`.

    python docs/benchmarks/shakespeare_keras.py input.txt.gz [PAIRS] [--steps N] [--backend NAME]

In turn `shakespeare.toml` and `keras_gpt.py`, whose `fit` has `jit_compile=True`, train in
processes of their own with one thread each, and one more that makes batches. Tokens a second are
those from the making of the model to the last update, so tracing and compiling count, and reading
does not; then those behind 100 steps. The ratios are ours by Keras', by time, and by the
processor's work, which is steadier where others use the machine. With all 2,000 steps each scores
the last tenth of the text.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from timing import child, compare, shown

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


def main(text: Path, pairs: int, steps: int, backend: str) -> None:
    taken: dict[str, list[dict[str, Any]]] = {"keras": [], backend: []}
    for index in range(pairs):
        for who in list(taken)[:: 1 if index % 2 == 0 else -1]:
            keras = who == "keras"
            peer = (HERE / "keras_gpt.py", text, steps, WARMUP)
            found = child(*peer) if keras else ours(text, steps, backend)
            taken[who].append(found)
            loss = found["evaluation"]["validation"]["loss"]
            score = f"loss {loss:.3f}, " if steps == TOTAL else ""
            print(shown(who, found, TOKENS, "tokens", score), flush=True)
    compare(backend, taken[backend], taken["keras"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("text", type=Path)
    parser.add_argument("pairs", type=int, nargs="?", default=5)
    parser.add_argument("--steps", type=int, default=TOTAL)
    parser.add_argument("--backend", default="tensorflow")
    main(**vars(parser.parse_args()))
