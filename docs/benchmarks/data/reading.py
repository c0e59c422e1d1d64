"""Examples out of files: the `files` source beside `datasets`, streaming, on the same files.

    python docs/benchmarks/data/reading.py DATA [PAIRS]

DATA holds the public files: `imdb/train.jsonl.gz` (25,000 reviews), `imdb/unsup.txt.xz` (50,000),
`ag_news/train_subset_12000.csv.gz`, here five times over, `glue-sst2/train.tsv.gz`. Unpacked first,
but for jsonl.gz. Both give each row's text and label to a loop that does nothing.

Each reading is a process of its own, in alternating pairs. Printed: seconds of the processor, ours
by theirs, as the median of the ratios with its interval, and the most memory that each had.
"""

from __future__ import annotations

import csv
import gzip
import json
import lzma
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
from speed import interval

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "jsonl": ("imdb.jsonl", {"label": "label"}),
    "jsonl.gz": ("imdb.jsonl.gz", {"label": "label"}),
    "csv": ("ag_news.csv", {"text": ("Title", "Description"), "label": "Class Index"}),
    "tsv": ("sst2.tsv", {"text": "sentence", "label": "label"}),
    "txt": ("unsup.txt", {}),
    "parquet": ("imdb.parquet", {"label": "label"}),
}


def make_files(data: Path, folder: Path) -> None:
    """The files to read."""
    packed = (data / "imdb/train.jsonl.gz").read_bytes()
    (folder / "imdb.jsonl.gz").write_bytes(packed)
    (folder / "imdb.jsonl").write_bytes(gzip.decompress(packed))
    (folder / "unsup.txt").write_bytes(lzma.decompress((data / "imdb/unsup.txt.xz").read_bytes()))
    (folder / "sst2.tsv").write_bytes(
        gzip.decompress((data / "glue-sst2/train.tsv.gz").read_bytes())
    )
    news = gzip.decompress((data / "ag_news/train_subset_12000.csv.gz").read_bytes())
    head, _, rows = news.partition(b"\n")
    (folder / "ag_news.csv").write_bytes(head + b"\n" + rows * 5)
    from pyarrow import Table, parquet

    reviews = map(json.loads, (folder / "imdb.jsonl").read_bytes().strip().split(b"\n"))
    table = Table.from_pylist([{key: row[key] for key in ("text", "label")} for row in reviews])
    parquet.write_table(table, folder / "imdb.parquet", row_group_size=5000)


def ours(path: Path, options: dict[str, Any]) -> Iterator[Any]:
    from loomlm_sources.config import FilesConfig
    from loomlm_sources.files import Files

    return Files(FilesConfig(train=path, **options)).examples("train")


def theirs(path: Path, options: dict[str, Any]) -> Iterator[Any]:
    import datasets

    form = path.name.split(".")[1]
    kinds = {"jsonl": "json", "tsv": "csv", "txt": "text"}
    more = {"tsv": {"delimiter": "\t", "quoting": csv.QUOTE_NONE}}.get(form, {})
    data = datasets.load_dataset(
        kinds.get(form, form), data_files=str(path), split="train", streaming=True, **more
    )
    text = options.get("text", "text")
    wanted = [*([text] if isinstance(text, str) else text), *filter(None, [options.get("label")])]
    return iter(data.select_columns(wanted))


def read(who: str, path: Path, case: str) -> None:
    """Print rows, seconds of the processor, and megabytes more than before."""
    rows = {"ours": ours, "theirs": theirs}[who](path, CASES[case][1])
    next(rows)  # What has to be imported, has been.
    started, before = time.process_time(), _megabytes()
    count = 1 + sum(1 for _ in rows)
    print(json.dumps([count, time.process_time() - started, _megabytes() - before]))


def _megabytes() -> float:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def child(who: str, path: Path, case: str) -> list[float]:
    words = [sys.executable, __file__, "--read", who, str(path), case]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(folder: Path, pairs: int) -> None:
    """Print a line for each form."""
    for case, (name, _) in CASES.items():
        found: dict[str, list[list[float]]] = {"ours": [], "theirs": []}
        for index in range(pairs):
            for who in ("ours", "theirs")[:: 1 if index % 2 == 0 else -1]:
                found[who].append(child(who, folder / name, case))
        counts = {count for runs in found.values() for count, *_ in runs}
        assert len(counts) == 1, f"{case}: {counts}"
        columns = zip(found["ours"], found["theirs"], strict=True)
        low, high, confidence = interval([mine[1] / peer[1] for mine, peer in columns])
        columns = zip(found["ours"], found["theirs"], strict=True)
        ratio = median(mine[1] / peer[1] for mine, peer in columns)
        size = (folder / name).stat().st_size / 2**20
        rate, most = (
            {who: median(run[at] for run in runs) for who, runs in found.items()} for at in (1, 2)
        )
        print(
            f"{case}: {ratio:.2f} ({low:.2f} to {high:.2f}, {confidence:.0%}); ours "
            f"{size / rate['ours']:.0f} MB/s and {most['ours']:.0f} MB, theirs "
            f"{size / rate['theirs']:.0f} MB/s and {most['theirs']:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1] == "--read":
        read(sys.argv[2], Path(sys.argv[3]), sys.argv[4])
    else:
        with tempfile.TemporaryDirectory() as folder:
            make_files(Path(sys.argv[1]), Path(folder))
            compare(Path(folder), int(sys.argv[2]) if len(sys.argv) > 2 else 7)
