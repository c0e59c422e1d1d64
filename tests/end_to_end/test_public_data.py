"""What is planted in public data is found, and nothing else is. Skipped where the data is not."""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
from pathlib import Path

import pytest

from loomlm.plugin import near_duplicates

DATA = Path(__file__).parents[3] / "shared" / "data"

pytestmark = [
    pytest.mark.one_backend,
    pytest.mark.skipif(not DATA.is_dir(), reason="the public data sets are not there"),
]


def ag_news(file: str, header: bool) -> list[str]:
    with gzip.open(DATA / "ag_news" / file, "rt", encoding="utf-8", newline="") as opened:
        rows = list(csv.reader(opened))
    return [f"{row[1]} {row[2]}" for row in rows[1 if header else 0 :]]


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return set(zip(words, words[1:], words[2:], strict=False))


def jaccard(one: str, other: str) -> float:
    a, b = shingles(one), shingles(other)
    return len(a & b) / max(len(a | b), 1)


def edited(text: str, edits: int, draw: random.Random) -> str:
    words = text.split()
    for _ in range(edits):
        words[draw.randrange(len(words))] = f"other{draw.randrange(10**6)}"
    return " ".join(words)


def test_near_copies_planted_in_ag_news_are_found():
    pytest.importorskip("rensa")
    draw = random.Random(3)
    texts = ag_news("train_subset_12000.csv.gz", header=True)[:6000]
    planted = {}
    for row in draw.sample(range(len(texts)), 1500):
        planted[len(texts) + len(planted)] = row
    copies = [edited(texts[row], draw.randrange(1, 6), draw) for row in planted.values()]
    everything = texts + copies

    first = near_duplicates(everything, 0.8)

    near = {at for at, row in planted.items() if jaccard(everything[at], texts[row]) >= 0.8}
    found = {row for row in range(len(everything)) if first[row] >= 0}
    right = {row for row in found if jaccard(everything[row], everything[first[row]]) >= 0.8}
    assert len(near) > 300
    assert len(found & near) >= 0.95 * len(near)
    assert len(right) >= 0.95 * len(found)


def test_test_examples_planted_in_a_corpus_are_found_and_no_others(
    tmp_path, lm_config, loomlm_command
):
    draw = random.Random(5)
    test = [text for text in ag_news("test.csv.gz", header=False) if len(text.split()) > 20][:400]
    with gzip.open(DATA / "wikitext-2-raw" / "wiki.valid.raw.gz", "rt", encoding="utf-8") as file:
        corpus = [line.strip() for line in file if len(line) > 200]
    planted = sorted(draw.sample(range(len(test)), 40))
    for row in planted:
        place = draw.randrange(len(corpus))
        corpus[place] = f"{corpus[place]} {test[row].upper()} and so on."
    (tmp_path / "test.txt").write_text("\n".join(map(" ".join, map(str.split, test))) + "\n")
    (tmp_path / "wiki.txt").write_text("\n".join(corpus) + "\n")
    path = lm_config()
    path.write_text(
        re.sub(r"data = .*", 'data = { train = "wiki.txt", test = "test.txt" }', path.read_text())
    )

    done = loomlm_command("data", "inspect", path, "--json")

    found = json.loads(done.out)
    stage = found[0] if isinstance(found, list) else found.get("stages", [found])[0]
    test_facts = stage["contamination"]["test"]
    assert test_facts["contaminated"] == len(planted)
    lines = {int(one["place"].rpartition(":")[2]) - 1 for one in test_facts["listed"]}
    assert lines <= set(planted)
