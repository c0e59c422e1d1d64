"""Near-duplicates in AG News: how many of those planted are found, in what time, beside datasketch.

    python docs/benchmarks/data/near_duplicates.py DATA [DOCUMENTS] [PAIRS]

DATA holds `ag_news/train_subset_12000.csv.gz` and `ag_news/test.csv.gz`. DOCUMENTS (120,000) are
made of them: the first third of one, the middle of another and the end of a third, so that no two
share much; a quarter of all are copies of such a one with one to six words changed, left out or
added. Which pairs have a Jaccard similarity of 0.8 or more is counted exactly (prefix filtering,
Bayardo 2007). Then, at 20,000 documents, alternating pairs of processes beside a loop over
datasketch's MinHashLSH, which wants `pip install datasketch`. Each process has one thread, and
reads the documents from a file.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from sets import ag_news
from speed import interval
from timing import child

THRESHOLD = 0.8
WORDS = 3
SMALL = 20_000
WORD = re.compile(r"\w+")


def documents(data: Path, count: int) -> list[str]:
    """Texts that share little, and among them copies of some; the same each time."""
    draw = random.Random(17)
    sources = [text.split() for split in ("train", "test") for text, _ in ag_news(data, split)]
    orders = [draw.sample(range(len(sources)), len(sources)) for _ in range(3)]
    texts: list[list[str]] = []
    while len(texts) < count * 3 // 4:
        # Turned against one another by another step each round, so that no two parts meet again.
        round_, place = divmod(len(texts), len(sources))
        first, second, third = (
            sources[order[(place + turn * (101 * round_ + 1)) % len(sources)]]
            for turn, order in enumerate(orders)
        )
        texts.append(
            first[: len(first) // 3]
            + second[len(second) // 3 : 2 * len(second) // 3]
            + third[2 * len(third) // 3 :]
        )
    chosen = draw.sample(range(len(texts)), count - len(texts))
    texts += [edited(texts[row], draw) for row in chosen]
    draw.shuffle(texts)
    return [" ".join(words) for words in texts]


def edited(words: list[str], draw: random.Random) -> list[str]:
    """A copy with one to six words changed, left out or added."""
    copy = list(words)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(copy))
        copy[at : at + draw.randint(0, 1)] = [f"new{draw.randrange(10**6)}"] * draw.randint(0, 1)
    return copy


def shingles(text: str) -> set[str]:
    words = WORD.findall(text.casefold())
    return {" ".join(words[at : at + WORDS]) for at in range(max(len(words) - WORDS + 1, 1))}


def near_pairs(texts: list[str]) -> Iterator[tuple[int, int]]:
    """Every pair (earlier, later) at the threshold or above it, exactly."""
    sets = [shingles(text) for text in texts]
    frequency = Counter(shingle for each in sets for shingle in each)
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for row, mine in enumerate(sets):
        # Two sets that are near share one of their rarest: of more, they could not lack so many.
        rarest = sorted(mine, key=lambda shingle: (frequency[shingle], shingle))
        prefix = rarest[: len(mine) - ceil(THRESHOLD * len(mine)) + 1]
        for other in sorted({other for shingle in prefix for other in holders[shingle]}):
            shared = len(mine & sets[other])
            if shared / (len(mine) + len(sets[other]) - shared) >= THRESHOLD:
                yield other, row
        for shingle in prefix:
            holders[shingle].append(row)


def repeated(pairs: set[tuple[int, int]]) -> set[int]:
    """The documents that are near an earlier one which is not left out itself."""
    left_out: set[int] = set()
    for other, row in sorted(pairs, key=lambda pair: pair[1]):
        if other not in left_out:
            left_out.add(row)
    return left_out


# --- what is measured, each in a process of its own --------------------------------------------


class Lines:
    """The lines of a file, as often as they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[str]:
        with self.path.open(encoding="utf-8") as file:
            yield from file


def ours(texts: Iterable[str]) -> list[int]:
    from loomlm.plugin import near_duplicates

    return near_duplicates(texts, THRESHOLD, words=WORDS).tolist()


def datasketch(texts: Iterable[str]) -> list[int]:
    """The loop of its documentation: query, and insert what repeats nothing."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=THRESHOLD, num_perm=128)
    first = []
    for row, text in enumerate(texts):
        signature = MinHash(num_perm=128)
        signature.update_batch([shingle.encode() for shingle in shingles(text)])
        found = index.query(signature)
        first.append(min(found, default=-1))  # type: ignore[type-var] - the keys are numbers
        if not found:
            index.insert(row, signature)
    return first


FINDERS: dict[str, Callable[[Iterable[str]], list[int]]] = {"ours": ours, "datasketch": datasketch}


def measured(who: str, file: Path) -> dict[str, Any]:
    texts = Lines(file)
    FINDERS[who](list(islice(texts, 100)))  # imports what it needs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, work = time.perf_counter(), time.process_time()
    first = FINDERS[who](texts)
    seconds, work = time.perf_counter() - start, time.process_time() - work
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "first": first,
        "seconds": seconds,
        "work": work,
        "megabytes": (most - before) / (2**20 if sys.platform == "darwin" else 2**10),
    }


def scores(first: list[int], pairs: set[tuple[int, int]]) -> str:
    named = {(other, row) for row, other in enumerate(first) if other >= 0}
    truth = repeated(pairs)
    found = {row for _, row in named}
    return (
        f"precision {len(named & pairs) / len(named):.4f}, "
        f"recall {len(found & truth) / len(truth):.4f} of {len(truth):,} documents"
    )


def write(data: Path, count: int, file: Path) -> dict[str, Any]:
    """Write documents to a file, one a line; the pairs of them that are near."""
    texts = [text.replace("\n", " ") for text in documents(data, count)]
    file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return {"pairs": list(near_pairs(texts))}


def written(data: Path, count: int, file: Path) -> set[tuple[int, int]]:
    """The pairs; by a process of its own, since what a process starts counts its memory too."""
    return {(one, other) for one, other in child(__file__, "--write", data, count, file)["pairs"]}


def main(data: Path, count: int, turns: int, folder: Path) -> None:
    os.environ["RAYON_NUM_THREADS"] = "1"
    pairs = written(data, count, folder / "whole.txt")
    found = child(__file__, "--measure", "ours", folder / "whole.txt")
    print(
        f"{count:,} documents: {scores(found['first'], pairs)}, {found['seconds']:.1f} s "
        f"({found['work']:.1f} s of work), {found['megabytes']:,.0f} MB",
        flush=True,
    )
    pairs = written(data, SMALL, folder / "small.txt")
    taken: dict[str, list[dict[str, Any]]] = {who: [] for who in FINDERS}
    for turn in range(turns):
        for who in list(FINDERS)[:: 1 if turn % 2 == 0 else -1]:
            taken[who].append(child(__file__, "--measure", who, folder / "small.txt"))
    for who, runs in taken.items():
        print(
            f"{who}, {SMALL:,} documents: {scores(runs[0]['first'], pairs)}, "
            f"{median(run['seconds'] for run in runs):.2f} s, "
            f"{median(run['megabytes'] for run in runs):,.0f} MB"
        )
    for clock in ("seconds", "work"):
        ratios = [
            peer[clock] / mine[clock]
            for mine, peer in zip(taken["ours"], taken["datasketch"], strict=True)
        ]
        low, high, confidence = interval(ratios)
        print(
            f"{clock}: {median(ratios):.1f} times as fast ({low:.1f} to {high:.1f}, "
            f"{confidence:.0%})"
        )


if __name__ == "__main__":
    if sys.argv[1] == "--measure":
        print(json.dumps(measured(sys.argv[2], Path(sys.argv[3]))))
    elif sys.argv[1] == "--write":
        print(json.dumps(write(Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))))
    else:
        given, *numbers = sys.argv[1:]
        with tempfile.TemporaryDirectory() as place:
            count, turns = map(int, [*numbers, *(120_000, 5)[len(numbers) :]])
            main(Path(given), count, turns, Path(place))
