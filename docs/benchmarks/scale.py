"""What training costs as the model, its context and its corpus grow, beside the law of each.

    python docs/benchmarks/scale.py [WHAT ...] [--quick] [--threads 1] [--plot FILE]

WHAT is `parameters` (1 to 100 million), `context` (64 to 4,096 tokens) or `corpus` (1 million to 1
billion tokens, of a character each); all by default, and with --quick the smaller half of each. A
GPT-2 in fp32 on the torch backend, a process for each size; the rates are by the processor's work.

The law: a token takes 6 operations for each parameter, and 12 * layers * width * context for
attention (Chowdhery 2022), at the rate of the largest model or longest context measured; a corpus
changes nothing. `law` is the measured rate by that: what falls as sizes grow would be a defect.
What comes before the first update grows with the corpus: `before`, in seconds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sizes import Size, letters
from timing import child

HERE = Path(__file__).parent
STEPS, WARMUP = 8, 3

SMALL = (5, 128)
"""Layers and width of the model where the corpus grows: a million parameters."""

MODELS = {"1M": SMALL, "3M": (7, 192), "10M": (8, 320), "30M": (10, 512), "100M": (14, 768)}
CONTEXTS = (64, 256, 1024, 4096)
CORPORA = (10**6, 10**7, 10**8, 10**9)

Point = dict[str, float]
"""size, rate (tokens a second of work), operations (of a token), megabytes, before (seconds)."""


def model(layers: int, width: int, context: int, batch: int) -> Size:
    return Size(layers, width // 64, width, context, batch)


def points(what: str, given: argparse.Namespace, folder: Path) -> Iterable[Point]:
    """What each size comes to, from the smallest."""
    smaller = slice(None, 2 if given.quick else None)
    if what == "corpus":
        for tokens in CORPORA[smaller]:
            yield {"size": tokens, **measured(model(*SMALL, 256, 4), tokens, given, folder)}
    elif what == "context":
        for context in CONTEXTS[smaller]:
            size = model(6, 192, context, 4096 // context)
            yield {"size": context, **measured(size, 10**6, given, folder)}
    else:
        for layers, width in list(MODELS.values())[smaller]:
            size = model(layers, width, 256, 4)
            yield {"size": size.parameters, **measured(size, 10**6, given, folder)}


def measured(size: Size, tokens: int, given: argparse.Namespace, folder: Path) -> Point:
    settings = [
        "backend=torch",
        *(f"backbone.{key}={getattr(size, key)}" for key in ("layers", "heads", "width")),
        f"backbone.max_positions={size.context}",
        f"stages.pretrain.task.context={size.context}",
        f"stages.pretrain.data.train={corpus(folder, tokens)}",
        "stages.pretrain.data.documents=line",
        f"stages.pretrain.trainer.batch_size={size.batch}",
        f"stages.pretrain.trainer.steps={STEPS}",
        f"trainer.threads={given.threads}",
        "trainer.precision=fp32",
    ]
    variables = {"OMP_NUM_THREADS": str(given.threads)}
    found = child(HERE / "timing.py", HERE / "gpt2.toml", WARMUP, *settings, **variables)
    _, work, updates = found["steady"]
    return {
        "rate": updates * size.tokens / work,
        "operations": size.flops(size.parameters),
        "megabytes": found["megabytes"],
        "before": found["before"],
    }


def corpus(folder: Path, tokens: int) -> Path:
    """A file of so many characters, made once, in lines of a thousand."""
    path = folder / f"{tokens}.txt"
    if not path.exists():
        drawn = letters(10**6)
        million = "".join(drawn[at : at + 999] + "\n" for at in range(0, 10**6, 1000))
        with path.open("w", encoding="utf-8") as file:
            for _ in range(tokens // 10**6):
                file.write(million)
    return path


def table(what: str, found: list[Point]) -> list[float]:
    """Prints the rows of it; the rates that the law expects."""
    last = found[-1]
    print(f"| {what} | tokens/s | law | MB | before, s |\n|---|---|---|---|---|")
    expected = [last["rate"] * last["operations"] / point["operations"] for point in found]
    for point, law in zip(found, expected, strict=True):
        print(
            f"| {point['size']:,.0f} | {point['rate']:,.0f} | {point['rate'] / law:.2f} "
            f"| {point['megabytes']:,.0f} | {point['before']:.1f} |"
        )
    return expected


def plot(found: dict[str, tuple[list[Point], list[float]]], path: Path) -> None:
    """Rates with their law above, memory below."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "loomlm"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        2, len(found), figsize=(4 * len(found), 5), squeeze=False, sharex="col"
    )
    for (what, (measured_, law)), (above, below) in zip(found.items(), axes.T, strict=True):
        sizes = [point["size"] for point in measured_]
        above.loglog(sizes, [point["rate"] for point in measured_], "o-", label="measured")
        above.loglog(sizes, law, "--", color="grey", label="law")
        below.semilogx(sizes, [point["megabytes"] for point in measured_], "o-")
        below.set_ylim(bottom=0)
        below.set_xlabel(what)
    axes[0, 0].set_ylabel("tokens a second")
    axes[1, 0].set_ylabel("MB")
    axes[0, 0].legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    kinds: Any = ("parameters", "context", "corpus")
    parser.add_argument("what", nargs="*", choices=[[], *kinds], default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as place:
        for what in given.what or kinds:
            measured_ = list(points(what, given, Path(place)))
            found[what] = measured_, table(what, measured_)
    if given.plot:
        plot(found, given.plot)


if __name__ == "__main__":
    main()
