"""Batches out of a large store: Loomlm beside nanoGPT's `get_batch` and `datasets`.

    python docs/benchmarks/data/batches.py FOLDER [PAIRS]

makes a store of a billion random tokens (2 GB) in FOLDER, as `loomlm run` keeps one, and reads
rows of 1,024 and of 256 tokens from it in a random order, 32 a batch, until there are 16 million:
what training does for `causal_lm`, `plan.batch`, `Rows.take` and `task.collate`. nanoGPT's function
reads the same file; `datasets` an Arrow file of the same rows. Nothing of any file is in the page
cache when a reader begins (`posix_fadvise(DONTNEED)`), and of two gigabytes hardly a row comes
twice; then it reads the same rows again. Before that, the time of a process from `cached()` to its
first batch.

Who begins alternates. Ratios are of pairs: above 1, ours is faster. "By work" counts the seconds of
the processor instead of the clock's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))

from speed import interval

TOKENS, DOCUMENT, ROWS, READ = 1_000_000_000, 1000, 32, 16_000_000
CHUNK = 10_000_000


def make_store(staging: Any) -> None:
    """A billion tokens in documents of a thousand."""
    from loomlm.contracts import Ragged
    from loomlm.data.columns import ColumnWriter

    generator = np.random.default_rng(0)
    writer = ColumnWriter(staging, dtypes={"tokens": "<u2"})
    offsets = np.arange(0, CHUNK + 1, DOCUMENT)
    sizes = np.full(CHUNK // DOCUMENT, 4 * DOCUMENT)
    for _ in range(TOKENS // CHUNK):
        tokens = generator.integers(0, 50_000, CHUNK, np.uint16)
        writer.append({"tokens": Ragged(tokens, offsets), "bytes": sizes})
    writer.close()


def open_store() -> tuple[Path, Any]:
    from loomlm.data.columns import open_columns
    from loomlm.storage.cache import cached

    folder = cached("tokens", "benchmark", make_store)
    return folder, open_columns(folder)


def loomlm_reader(context: int) -> Callable[[int], Any]:
    """What gives a step's batch."""
    from loomlm.data.plans import BatchSize
    from loomlm.data.windows import Windows
    from loomlm_tasks.causal_lm import CausalLm
    from loomlm_tasks.config import CausalLmConfig

    _, store = open_store()
    rows = Windows(store.columns["tokens"].values, context, store.total("bytes"))
    plan, task = rows.plan(BatchSize(ROWS), 17), CausalLm(CausalLmConfig(context=context))

    def batch(step: int) -> Any:
        taken, width = plan.batch(step)
        return task.collate(rows.take(taken), {"batch": ROWS, "time": width}, {})

    return batch


def nanogpt_reader(folder: Path, context: int) -> Callable[[int], Any]:
    """`get_batch` of nanoGPT's train.py, into numpy: it opens the map anew for each batch."""
    generator = np.random.default_rng(17)

    def batch(step: int) -> Any:
        data = np.memmap(folder / "tokens.bin", dtype=np.uint16, mode="r")
        starts = generator.integers(len(data) - context, size=ROWS)
        x = np.stack([data[i : i + context].astype(np.int64) for i in starts])
        y = np.stack([data[i + 1 : i + 1 + context].astype(np.int64) for i in starts])
        return x, y

    return batch


def arrow_file(folder: Path, place: Path, context: int) -> Path:
    """The same tokens as rows of context + 1, which `datasets` opens without a copy."""
    import pyarrow as pa

    path = place / f"rows_{context}.arrow"
    if not path.exists():
        data = np.memmap(folder / "tokens.bin", dtype=np.uint16, mode="r")
        kind = pa.list_(pa.uint16(), context + 1)
        each = 1000 * (context + 1)
        schema = pa.schema([("tokens", kind)])
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            for at in range(0, len(data) - each, each):
                values = pa.array(np.asarray(data[at : at + each]))
                rows = pa.FixedSizeListArray.from_arrays(values, context + 1)
                writer.write_batch(pa.record_batch([rows], ["tokens"]))
    return path


def datasets_reader(path: Path) -> Callable[[int], Any]:
    """Rows by random numbers, in the format that gives arrays."""
    from datasets import Dataset

    rows = Dataset.from_file(str(path)).with_format("numpy")
    generator = np.random.default_rng(17)

    def batch(step: int) -> Any:
        tokens = rows[generator.integers(len(rows), size=ROWS)]["tokens"]
        return tokens[:, :-1], tokens[:, 1:]

    return batch


def forget(*paths: Path) -> None:
    """Put files out of the page cache."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def read(batch: Callable[[int], Any], context: int) -> tuple[float, float]:
    """Millions of tokens a second, by the clock and by the processor's."""
    steps = READ // (ROWS * context)
    clock, work = time.perf_counter(), time.process_time()
    for step in range(1, steps + 1):
        batch(step)
    tokens = steps * ROWS * context / 1e6
    return tokens / (time.perf_counter() - clock), tokens / (time.process_time() - work)


def compare(place: Path, context: int, pairs: int) -> None:
    folder, _ = open_store()
    arrow = arrow_file(folder, place, context)
    makers: dict[str, Callable[[], Callable[[int], Any]]] = {
        "loomlm": lambda: loomlm_reader(context),
        "nanoGPT": lambda: nanogpt_reader(folder, context),
        "datasets": lambda: datasets_reader(arrow),
    }
    found: dict[str, list[tuple[float, ...]]] = {who: [] for who in makers}
    for index in range(pairs):
        for who in list(makers)[:: 1 if index % 2 == 0 else -1]:
            reader = makers[who]()
            forget(folder / "tokens.bin", arrow)
            cold = read(reader, context)
            # The same rows again: now they are in the page cache.
            found[who].append((*cold, *read(makers[who](), context)))
    measures = ("from the disk", "from the disk, by work", "again", "again, by work")
    for column, measure in enumerate(measures):
        for who, rates in found.items():
            rate = median(one[column] for one in rates)
            beside = [a[column] / b[column] for a, b in zip(found["loomlm"], rates, strict=True)]
            low, high, confidence = interval(beside)
            ratio = f"{median(beside):.2f} ({low:.2f} to {high:.2f}, {confidence:.0%})"
            said = "" if who == "loomlm" else f"; ours by theirs {ratio}"
            print(
                f"rows of {context}, {measure}: {who} {rate:.1f} million a second{said}", flush=True
            )


def first_batch() -> None:
    """Print the seconds from `cached()` to the first batch, and those of opening alone."""
    import loomlm_tasks.causal_lm  # noqa: F401 - what is imported anyway is not measured

    started = time.perf_counter()
    open_store()
    opened = time.perf_counter()
    loomlm_reader(1024)(1)
    print(json.dumps([opened - started, time.perf_counter() - started]))


def start_times(pairs: int) -> None:
    """Of new processes, with the folder's seal and without; nothing in the page cache."""
    folder, _ = open_store()
    seal = folder.parent / f".{folder.name}.seal.json"
    found: dict[str, list[float]] = {"sealed": [], "unsealed": []}
    for _ in range(pairs):
        for what, times in found.items():
            if what == "unsealed":
                seal.unlink()
            forget(folder / "tokens.bin")
            command = [sys.executable, __file__, "first", os.environ["LOOMLM_CACHE"]]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            times.append(json.loads(done.stdout)[1])
    for what, times in found.items():
        print(f"to the first batch, {what}: {median(times):.3f} s, at most {max(times):.3f} s")


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[0] == "first":
        os.environ["LOOMLM_CACHE"] = words[1]
        first_batch()
    else:
        place = Path(words[0]).resolve()
        os.environ["LOOMLM_CACHE"] = str(place / "cache")
        pairs = int(words[1]) if len(words) > 1 else 5
        start_times(pairs)
        for context in (1024, 256):
            compare(place, context, pairs)
