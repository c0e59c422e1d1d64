"""`loomlm predict` over a file beside the model's bare forward pass of the same texts.

    python docs/benchmarks/predicting.py [--backend torch] [--texts 4000] [--pairs 5] [--threads 1]

A transformer of 4 x 128 that hardly learnt, and texts of 10 to 200 words. The bare pass has its
batches ready: texts in the order of their length, so many at a time as `predict` takes, tokenized
and padded before the clock starts. Ours is the command in the same process: from the file through
reading, tokenizing and the forward pass to the file of predictions, with the model's loading. The
ratios are ours by the bare pass's, texts a second.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from speed import interval

CONFIG = """
name = "predicting"
tokenizer = { type = "wordpiece", vocab_size = 4000 }
backbone = { type = "transformer", layers = 4, width = 128, heads = 4 }

[[stages]]
name = "finetune"
task = { type = "classification", max_tokens = 256 }
data = { train = "train.jsonl", label = "label", split = { validation = 0.1 } }
trainer = { steps = 1, batch_size = 8 }
"""


def sentences(count: int) -> list[str]:
    """Texts of words of two to seven letters, frequent ones more often, as Zipf has it."""
    random = np.random.default_rng(17)
    letters = np.array(list("etaoinshrdlucmfwyp"))
    words = ["".join(random.choice(letters, random.integers(2, 8))) for _ in range(5000)]
    odds = 1 / np.arange(1, len(words) + 1)
    lengths = random.integers(10, 201, count)
    return [" ".join(random.choice(words, n, p=odds / odds.sum())) for n in lengths]


def trained(folder: Path, texts: list[str], given: argparse.Namespace) -> Path:
    """The folder of a run."""
    import loomlm

    with (folder / "train.jsonl").open("w", encoding="utf-8") as file:
        for number, text in enumerate(texts[:400]):
            file.write(json.dumps({"text": text, "label": "ab"[number % 2]}) + "\n")
    with (folder / "asked.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    config = folder / "predicting.toml"
    config.write_text(CONFIG, encoding="utf-8")
    settings = [f"backend={given.backend}", f"trainer.threads={given.threads}"]
    return loomlm.run(loomlm.load_config(config, set=settings), runs=folder / "runs").folder


def bare(model: Any, texts: list[str]) -> Callable[[], object]:
    """The forward pass of batches that are ready."""
    from loomlm.inference.model import BATCH_SIZE

    ordered = sorted(texts, key=lambda text: len(model.tokenizer.encode_many([text]).values))
    batches = [
        model.batch(ordered[start : start + BATCH_SIZE])
        for start in range(0, len(ordered), BATCH_SIZE)
    ]
    if model.engine.__class__.__module__.startswith("loomlm_torch"):
        import torch

        given = [{name: torch.from_numpy(a) for name, a in batch.items()} for batch in batches]
        model.module.eval()

        def forward() -> None:
            with torch.inference_mode():
                for batch in given:
                    model.module(batch).numpy()

        return forward
    from loomlm.plugin import Batch

    return lambda: [model.engine.forward(Batch(batch)) for batch in batches]


def took(function: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and seconds of work."""
    start, work = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start, time.process_time() - work


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--backend", default="torch", choices=["torch", "tensorflow"])
    parser.add_argument("--texts", type=int, default=4000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        compare(given, Path(place))


def compare(given: argparse.Namespace, folder: Path) -> None:
    import loomlm
    from loomlm.cli import main as command

    os.environ["LOOMLM_CACHE"] = str(folder / "cache")
    texts = sentences(given.texts)
    run = trained(folder, texts, given)
    forward = bare(loomlm.load_model(run), texts)
    words = ["predict", str(run), "--file", str(folder / "asked.jsonl")]
    words += ["--output", str(folder / "predictions.jsonl")]

    taken: dict[str, list[tuple[float, float]]] = {"loomlm": [], "bare": []}
    functions = {"loomlm": lambda: command(words), "bare": forward}
    for function in functions.values():
        function()
    for index in range(given.pairs):
        for who in list(functions)[:: 1 if index % 2 == 0 else -1]:
            taken[who].append(took(functions[who]))
    for who, times in taken.items():
        print(f"{who}: {given.texts / median(seconds for seconds, _ in times):,.0f} texts/s")
    for column, clock in enumerate(("time", "work")):
        pairs = zip(taken["loomlm"], taken["bare"], strict=True)
        ratios = [theirs[column] / ours[column] for ours, theirs in pairs]
        low, high, confidence = interval(ratios)
        print(f"by {clock}: {median(ratios):.3f} ({low:.3f} to {high:.3f}, {confidence:.0%})")


if __name__ == "__main__":
    main()
