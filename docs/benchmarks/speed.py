"""Wall time of `loomlm run docs/benchmarks/bigrams.toml` beside fastText with bigrams.

    python docs/benchmarks/speed.py SETS [PAIRS]

Whole processes, from the files to the accuracy on test, in alternating pairs with nothing cached:
the median ratio, ours by theirs, and the interval that holds it with 95% confidence or the widest
that so few pairs give.
"""

from __future__ import annotations

import sys
from math import comb
from pathlib import Path
from statistics import median

from classification import fresh, keep_bytecode, own, peer


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """Order statistics around the median: low, high, and the confidence (sign test)."""
    ordered, count = sorted(ratios), len(ratios)
    for cut in range(count // 2, -1, -1):
        outside = 2 * sum(comb(count, k) for k in range(cut + 1)) / 2**count
        if outside <= 0.05 or cut == 0:
            return ordered[cut], ordered[-1 - cut], 1 - outside
    raise AssertionError


if __name__ == "__main__":
    keep_bytecode()
    sets, *pairs = sys.argv[1:]
    for name in ("ag_news", "imdb"):
        ratios = []
        for index in range(int(pairs[0]) if pairs else 5):
            taken = {}
            for who in ("loomlm", "fasttext")[:: 1 if index % 2 == 0 else -1]:
                with fresh() as place:
                    folder = Path(sets) / name
                    measured = (
                        own("bigrams", folder, Path(place) / "runs")
                        if who == "loomlm"
                        else peer("fasttext", folder)
                    )
                taken[who] = measured
            ratios.append(taken["loomlm"][1] / taken["fasttext"][1])
            shown = "  ".join(f"{who} {a:.2%} {s:.2f} s" for who, (a, s) in taken.items())
            print(f"{name}: {shown}", flush=True)
        low, high, confidence = interval(ratios)
        print(f"{name}: ratio {median(ratios):.2f} ({low:.2f} to {high:.2f}, {confidence:.0%})")
