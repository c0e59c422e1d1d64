"""Evaluation examples in training text: what is planted is found, what real sets have, how quickly.

    python docs/benchmarks/data/contamination.py DATA [PAIRS]

DATA holds the public files that `docs/benchmarks/sets.py` names, `imdb/unsup.txt.xz`,
`wikitext-2-raw/wiki.{train,valid,test}.raw.gz` and `multi30k/{train,val,test_2016_flickr}.en.gz`.

The peer is what one writes first: a set of the runs of 13 words as strings, looked up for each run
of the training text. Whole passes in processes of their own, in alternating pairs.
"""

from __future__ import annotations

import gzip
import json
import lzma
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from sets import SETS
from speed import interval
from timing import _megabytes as megabytes

from loomlm.contracts import Example
from loomlm.data.examples import Split, keep_examples, open_examples
from loomlm.data.inspection.contamination import LONGEST, contamination
from loomlm.data.inspection.texts import whole_texts
from loomlm.storage.commit import staging

WORD = re.compile(r"[^\W_]+")
PLANTED = 1000


# --- the sets ------------------------------------------------------------------------------


def lines(path: Path) -> Iterator[str]:
    with (lzma.open if path.suffix == ".xz" else gzip.open)(path, "rt", encoding="utf-8") as file:
        yield from (text for line in file if (text := line.rstrip("\n")).strip())


def texts_of(data: Path, name: str, split: str) -> Iterator[str]:
    """The texts of a split; a line each where the set has no more."""
    if name in SETS:
        yield from (text for text, _ in SETS[name](data, split))
    elif name == "unsup":
        yield from lines(data / "imdb/unsup.txt.xz")
    elif name == "wikitext-2":
        yield from lines(data / f"wikitext-2-raw/wiki.{split}.raw.gz")
    else:
        yield from lines(data / f"multi30k/{split}.en.gz")


def kept(texts: Iterable[str], folder: Path) -> Split:
    """The texts as examples on disk, from which both sides read."""
    if not folder.exists():
        examples = (
            Example(text, place=f"{folder.name}:{row}") for row, text in enumerate(texts, 1)
        )
        with staging(folder) as stage:
            keep_examples([examples])(stage)
    return open_examples(folder)


# --- what is found -------------------------------------------------------------------------


def planted(test: list[str], corpus: list[str], draw: random.Random) -> list[str]:
    """The corpus with test examples in the middle of some texts, in capitals."""
    found = list(corpus)
    for text, at in zip(test, draw.sample(range(len(found)), len(test)), strict=True):
        words = found[at].split()
        middle = len(words) // 2
        found[at] = " ".join([*words[:middle], text.upper(), *words[middle:]])
    return found


def shuffled(text: str, draw: random.Random) -> str:
    words = WORD.findall(text)
    return " ".join(draw.sample(words, len(words)))


def report(name: str, evaluated: Split, training: dict[str, Split]) -> int:
    """Print a line of a set, as it stands in README.md."""
    started = time.process_time()
    found = contamination({"test": evaluated}, training)["test"]
    seconds = time.process_time() - started
    columns = (name, f"{found.examples:,}", str(found.n), f"{len(found.hits):,}")
    share = f"{found.share:.2%}"
    print(f"| {' | '.join(columns)} | {share} | {found.mostly:,} | {seconds:.1f} |", flush=True)
    return len(found.hits)


def check_planted(data: Path, place: Path) -> None:
    """All that is planted is found; the same words in another order are not."""
    draw = random.Random(17)
    for name, corpus in (("imdb", "unsup"), ("ag_news", "wikitext-2"), ("sst2", "wikitext-2")):
        # An example with fewer words counts only as a whole text: see the table of short ones.
        long = [t for t in texts_of(data, name, "test") if len(WORD.findall(t)) >= LONGEST]
        test = draw.sample(long, PLANTED)
        clean = [shuffled(text, draw) for text in test]
        texts = planted(test, list(texts_of(data, corpus, "train")), draw)
        training = {"train": kept(texts, place / f"planted-{name}")}
        title = f"{name} in {corpus}"
        report(f"{title}, {PLANTED:,} planted", kept(test, place / f"test-{name}"), training)
        report(f"{title}, in another order", kept(clean, place / f"clean-{name}"), training)


def real(data: Path, place: Path) -> None:
    """What the public sets have."""
    pairs = [(name, "test", "train") for name in SETS]
    pairs += [("imdb", "test", "unsup"), ("wikitext-2", "test", "train")]
    pairs += [("wikitext-2", "valid", "train"), ("multi30k", "test_2016_flickr", "train")]
    for name, split, training in pairs:
        evaluated = kept(texts_of(data, name, split), place / f"{name}-{split}")
        source = "unsup" if training == "unsup" else name
        other = kept(texts_of(data, source, training), place / f"{source}-{training}")
        report(f"{name}, {split} in {training}", evaluated, {training: other})


# --- how quickly ---------------------------------------------------------------------------


def plain(evaluated: Split, training: Split) -> set[int]:
    """Rows with a run of 13 words of the training texts, by a dictionary of strings."""
    rows: dict[str, set[int]] = {}
    for row, text in enumerate(whole_texts(evaluated)):
        for run in runs(text):
            rows.setdefault(run, set()).add(row)
    found: set[int] = set()
    for text in whole_texts(training):
        for run in runs(text):
            found.update(rows.get(run, ()))
    return found


def runs(text: str) -> Iterator[str]:
    words = WORD.findall(text.lower())
    for at in range(len(words) - LONGEST + 1):
        yield " ".join(words[at : at + LONGEST])


def one(who: str, evaluated: Path, training: Path) -> None:
    """In a process of its own: print the time, the memory and the rows found, as JSON."""
    test, train = open_examples(evaluated), open_examples(training)
    started, work = time.perf_counter(), time.process_time()
    if who == "ours":
        found = {h.row for h in contamination({"test": test}, {"train": train})["test"].hits}
    else:
        found = plain(test, train)
    seconds, worked = time.perf_counter() - started, time.process_time() - work
    print(json.dumps({"time": seconds, "work": worked, "mb": megabytes(), "found": sorted(found)}))


def child(*words: object) -> dict[str, Any]:
    command = [sys.executable, __file__, *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


def pairs_of(count: int, evaluated: Path, training: Path) -> None:
    ratios: dict[str, list[float]] = {"time": [], "work": []}
    size = sum(
        len(open_examples(folder).store.columns["text"].values) for folder in (evaluated, training)
    )
    for index in range(count):
        names = ("ours", "plain")[:: 1 if index % 2 == 0 else -1]
        done = {who: child("one", who, evaluated, training) for who in names}
        same = len(set(done["ours"]["found"]) & set(done["plain"]["found"]))
        counts = " and ".join(f"{who} {len(done[who]['found'])}" for who in ("ours", "plain"))
        speeds = "  ".join(
            f"{who} {one['time']:.1f} s, {size / one['work'] / 1e6:.1f} MB/s of work, "
            f"{one['mb']:,.0f} MB"
            for who, one in sorted(done.items())
        )
        print(f"{speeds}; found: {counts}, {same} of them the same", flush=True)
        for clock, listed in ratios.items():
            listed.append(done["plain"][clock] / done["ours"][clock])
    for clock, listed in ratios.items():
        low, high, confidence = interval(listed)
        middle = f"{median(listed):.2f} ({low:.2f} to {high:.2f}, {confidence:.0%})"
        print(f"plain by ours, {clock}: {middle}")


def main(data: Path, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        print("| set | examples | N | found | share | mostly | seconds |")
        print("|---|---|---|---|---|---|---|")
        check_planted(data, place)
        real(data, place)
        pairs_of(count, place / "imdb-test", place / "imdb-train")


if __name__ == "__main__":
    if sys.argv[1] == "one":
        one(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5)
