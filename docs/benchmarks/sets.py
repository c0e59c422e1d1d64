"""Writes the four sets that classification is measured on as train.jsonl and test.jsonl.

    python docs/benchmarks/sets.py DATA OUT

DATA holds the public files: `ag_news/{train_subset_12000,test}.csv.gz` (12,000 rows of AG News'
training split, and its test split), `imdb/{train,test}.jsonl.gz`, `sst2/{train,test}.tsv`,
`clinc150/data_full.json.gz` (Larson 2019; the queries that are in scope).
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

Rows = Iterator[tuple[str, str]]


def ag_news(data: Path, split: str) -> Rows:
    name = "train_subset_12000" if split == "train" else "test"
    with gzip.open(data / f"ag_news/{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        if split == "train":
            next(rows)
        yield from ((f"{title} {description}", label) for label, title, description in rows)


def imdb(data: Path, split: str) -> Rows:
    with gzip.open(data / f"imdb/{split}.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield row["text"], str(row["label"])


def sst2(data: Path, split: str) -> Rows:
    lines = (data / f"sst2/{split}.tsv").read_text(encoding="utf-8").splitlines()
    for line in lines[1:]:
        label, text = line.split("\t", 1)
        yield text, label


def clinc150(data: Path, split: str) -> Rows:
    with gzip.open(data / "clinc150/data_full.json.gz", "rt", encoding="utf-8") as file:
        yield from (tuple(row) for row in json.load(file)[split])


SETS = {"ag_news": ag_news, "imdb": imdb, "sst2": sst2, "clinc150": clinc150}


def write(data: Path, out: Path) -> None:
    """OUT/NAME/{train,test}.jsonl for every set."""
    for name, read in SETS.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        for split in ("train", "test"):
            with (out / name / f"{split}.jsonl").open("w", encoding="utf-8") as file:
                for text, label in read(data, split):
                    file.write(json.dumps({"text": text, "label": label}) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
