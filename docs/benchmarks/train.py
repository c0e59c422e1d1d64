"""Tokens a second of GPT-2 and of an LSTM, on both backends beside all who train one.

    python docs/benchmarks/train.py [SIZE ...] [--pairs 5] [--threads 1] [--bf16]
        [--who NAME ...] [--python NAME=INTERPRETER ...] [--nanogpt FOLDER]

In each round every trainer makes the same number of updates in a process of its own, in turn from
the first to the last and back; the LSTM's peers are the bare loop and Keras. The ratios are ours by
each one's of the same round, by the processor's work: steady updates, reading, tracing and
compiling left out. `share` is the part of the rate at which a thread multiplies two matrices of
2,048 in the same arithmetic, by its work: PyTorch's own product or oneDNN's, whichever is faster.
Interpreters of peers that are not installed beside Loomlm are named; `run.py` does that.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from sizes import SIZES, Size, text
from speed import interval
from timing import child

HERE = Path(__file__).parent
OURS = ("torch", "tensorflow")
PEERS = {
    "bare": "bare.py",
    "nanogpt": "nanogpt.py",
    "hugging_face": "hugging_face.py",
    "litgpt": "lit.py",
    "keras": "keras_fit.py",
    "keras_hub": "keras_fit.py",
}
RECURRENT = (*OURS, "bare", "keras")
"""Who trains an LSTM."""

STEPS = {"small": (200, 60), "medium": (12, 4), "lstm": (80, 20)}
"""Updates of a process, and how many of them are not measured."""

RATE = """
import time, torch
torch.set_num_threads(1)
one, other = (torch.randn(2048, 2048, dtype=torch.{dtype}) for _ in range(2))
products = [lambda: one @ other.T]
if torch.backends.mkldnn.is_available():
    with_onednn = torch.ops.mkldnn._linear_pointwise
    products.append(lambda: with_onednn(one, other, None, "none", [], ""))
rates = []
for product in products:
    product()
    taken = []
    for _ in range(9):
        start = time.process_time()
        product()
        taken.append(time.process_time() - start)
    rates.append(2 * 2048**3 / sorted(taken)[4])
print(max(rates))
"""

Found = dict[str, Any]


def ours(backend: str, name: str, corpus: Path, given: argparse.Namespace) -> Found:
    size, (steps, warmup) = SIZES[name], STEPS[name]
    settings = [
        f"backend={backend}",
        *backbone(size),
        f"stages.pretrain.task.context={size.context}",
        f"stages.pretrain.data.train={corpus}",
        f"stages.pretrain.trainer.batch_size={size.batch}",
        f"stages.pretrain.trainer.steps={steps}",
        f"trainer.threads={given.threads}",
        f"trainer.precision={'bf16' if given.bf16 else 'fp32'}",
    ]
    variables = {"OMP_NUM_THREADS": str(given.threads)}
    return child(HERE / "timing.py", HERE / "gpt2.toml", warmup, *settings, **variables)


def backbone(size: Size) -> list[str]:
    """The settings of a size."""
    if size.recurrent:
        keys = f'type="rnn", layers={size.layers}, width={size.width}'
        return [f"backbone={{{keys}}}"]
    keys = ("layers", "heads", "width")
    sizes = [f"backbone.{key}={getattr(size, key)}" for key in keys]
    return [*sizes, f"backbone.max_positions={size.context}"]


def peer(who: str, name: str, given: argparse.Namespace) -> Found:
    variables = {"OMP_NUM_THREADS": str(given.threads), "PYTHONPATH": str(HERE)}
    if who == "nanogpt":
        variables["NANOGPT"] = str(given.nanogpt)
    if who == "keras_hub":
        variables["KERASHUB"] = "1"
    words = [
        HERE / "trainers" / PEERS[who],
        name,
        *STEPS[name],
        *(["--bf16"] if given.bf16 else []),
    ]
    return child(*words, python=given.python.get(who, sys.executable), **variables)


def rate(given: argparse.Namespace) -> float:
    """Operations of a product of large matrices in a second of work."""
    program = RATE.format(dtype="bfloat16" if given.bf16 else "float32")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return float(done.stdout)


def speeds(found: Found, size: Size) -> tuple[float, float]:
    """Tokens a second of the clock, and of the processor's work."""
    seconds, work, updates = found["steady"]
    return updates * size.tokens / seconds, updates * size.tokens / work


def measure(name: str, given: argparse.Namespace, corpus: Path) -> None:
    size = SIZES[name]
    trainers: dict[str, Callable[[], Found]] = {}
    for who in given.who:
        if size.recurrent and who not in RECURRENT:
            continue
        if who in OURS:
            trainers[who] = lambda who=who: ours(who, name, corpus, given)
        elif who != "nanogpt" or given.nanogpt:
            trainers[who] = lambda who=who: peer(who, name, given)
    rounds: dict[str, list[Found]] = {who: [] for who in trainers}
    for index in range(given.pairs):
        for who in list(trainers)[:: 1 if index % 2 == 0 else -1]:
            rounds[who].append(trainers[who]())
            by_time, by_work = speeds(rounds[who][-1], size)
            print(f"{name}, {who}: {by_time:,.0f} tokens/s, {by_work:,.0f} of work", flush=True)
    peak = rate(given)
    print(f"| {name} | tokens/s | of work | share | MB |" + "".join(f" {o} |" for o in OURS))
    for who, found in rounds.items():
        print(row(who, found, rounds, size, peak), flush=True)


def row(
    who: str, found: list[Found], rounds: dict[str, list[Found]], size: Size, peak: float
) -> str:
    """A line of the table: rates, share, memory, and our backends' ratios to it by work."""
    by_time, by_work = (
        median(column) for column in zip(*(speeds(f, size) for f in found), strict=True)
    )
    memory = median(f["megabytes"] for f in found)
    share = by_work * size.flops(size.parameters) / peak
    cells = [f"{by_time:,.0f}", f"{by_work:,.0f}", f"{share:.0%}", f"{memory:,.0f}"]
    for our in OURS:
        pairs = zip(rounds.get(our, ()), found, strict=False)
        ratios = [speeds(mine, size)[1] / speeds(theirs, size)[1] for mine, theirs in pairs]
        if not ratios or our == who:
            cells.append("")
            continue
        low, high, _ = interval(ratios)
        cells.append(f"{median(ratios):.3f} ({low:.3f} to {high:.3f})")
    return f"| {who} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", choices=[[], *SIZES], default=[])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--who", nargs="+", default=[*OURS, *PEERS], choices=[*OURS, *PEERS])
    parser.add_argument("--python", nargs="+", default=[], metavar="NAME=INTERPRETER")
    parser.add_argument("--nanogpt", type=Path)
    given = parser.parse_args()
    given.python = dict(one.split("=", 1) for one in given.python)
    with tempfile.TemporaryDirectory() as place:
        corpus = text(Path(place))
        for name in given.sizes or SIZES:
            measure(name, given, corpus)


if __name__ == "__main__":
    main()
