"""Text to ids, and to a token store, beside `tokenizers` and `datasets`.

    python docs/benchmarks/data/tokens.py DATA WORK [PAIRS] [PART ...]

DATA holds the public sets, WORK what is made here. Parts, all without any named:

- same: the ids of `bpe`, with and without capital letters, on every document of every set, held
  against `encode_batch_fast` (the other types' come from the library);
- encode: `encode_many` beside `encode_batch_fast` and a list of each text's ids, on reviews of
  IMDb, with one thread on one core and with as many as there are cores;
- store: a txt file to a token store on disk beside `datasets`, its text reader and
  `map(batched=True, num_proc=2)`; a process each, imports left out;
- memory: the most memory that a process had on its way from 0.5 and 2 GB of text to the store.

Megabytes a second, and medians of the ratios of alternating pairs: how many times as fast ours is.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from documents import alternating, child, corpus, documents, reviews, told

SMALL = "bpe-lowercase"
TYPES = ("bpe", "wordpiece", "unigram", "word", "character")
REVIEWS = 3000
LABELS = {"one": "one thread", "all": "all cores"}


def components() -> dict[str, Any]:
    from loomlm_tokenizers import loomlm_tokenizers

    return {component.name: component for component in loomlm_tokenizers()}


def trained(data: Path, work: Path) -> None:
    """A tokenizer of each type, trained on IMDb."""
    texts = reviews(data)
    for name in (*TYPES, SMALL):
        folder = work / name
        if (folder / "tokenizer.json").exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        component = components()[name.partition("-")[0]]
        keys: dict[str, Any] = {} if name in ("character", "word") else {"vocab_size": 16000}
        if name == SMALL:
            keys["lowercase"] = True
        made = component.load().train(component.config(**keys), iter(texts))
        for file, content in made.files().items():
            (folder / file).write_bytes(content)


def loaded(work: Path, name: str) -> tuple[Any, Any]:
    """Our tokenizer and the library's, of one file."""
    import tokenizers

    component = components()[name.partition("-")[0]]
    content = (work / name / "tokenizer.json").read_bytes()
    library = tokenizers.Tokenizer.from_str(content.decode())
    library.encode_special_tokens = True
    return component.load().load(component.config(), {"tokenizer.json": content}), library


def same(data: Path, work: Path) -> None:
    """Raises AssertionError where an id differs."""
    for name in ("bpe", SMALL):
        ours, library = loaded(work, name)
        count = tokens = 0
        for folder, texts in documents(data):
            for start in range(0, len(texts), 5000):
                part = texts[start : start + 5000]
                rows = ours.encode_many(part)
                encoded = library.encode_batch_fast(part, add_special_tokens=False)
                for row, theirs in zip(rows, encoded, strict=True):
                    assert row.tolist() == theirs.ids, (name, folder)
                tokens += len(rows.values)
            count += len(texts)
        print(f"{name}: the same {tokens:,} ids on {count:,} documents", flush=True)


# --- encode ----------------------------------------------------------------------------------


def encode_child(data: Path, work: Path, name: str, pairs: int) -> None:
    texts = reviews(data, "test")[:REVIEWS]
    ours, library = loaded(work, name)

    def timed(what: Callable[[], Any]) -> Callable[[], tuple[float, float]]:
        def measure() -> tuple[float, float]:
            wall, spent = time.perf_counter(), time.process_time()
            what()
            return time.perf_counter() - wall, time.process_time() - spent

        return measure

    def theirs() -> list[list[int]]:
        return [row.ids for row in library.encode_batch_fast(texts, add_special_tokens=False)]

    ours.encode_many(texts)
    theirs()
    found = alternating(pairs, timed(lambda: ours.encode_many(texts)), timed(theirs))
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(json.dumps([size, found]))


def encode(data: Path, work: Path, pairs: int) -> None:
    print("type, threads: ours MB/s, theirs MB/s, ratio of wall times, ratio of processor times")
    for name in TYPES:
        for threads in ("one", "all"):
            one = {"TOKENIZERS_PARALLELISM": "false", "LOOMLM_ONE_CORE": "1"}
            environment = one if threads == "one" else {}
            words = ("encode-child", data, work, name, pairs)
            size, found = child(__file__, *words, **environment)
            walls = [(ours[0], theirs[0]) for ours, theirs in found]
            spent = [theirs[1] / ours[1] for ours, theirs in found]
            fast, slow = (size / median(side) for side in zip(*walls, strict=True))
            ratios = told([theirs / ours for ours, theirs in walls])
            print(f"{name}, {LABELS[threads]}: {fast:.1f}, {slow:.1f}, {ratios}, {told(spent)}")
            sys.stdout.flush()


# --- store -----------------------------------------------------------------------------------


def store_child(work: Path, file: Path, kept: str) -> None:
    """Ours: seconds from the file to the store, those of encoding, tokens, megabytes of memory."""
    import loomlm
    from loomlm.data.prepare import encode_examples, make_tokenizer
    from loomlm.data.reading import identity, made, read_examples

    os.environ["LOOMLM_CACHE"] = kept
    stages = {"name": "pretrain", "task": {"type": "causal_lm"}, "data": {"train": str(file)}}
    tokenizer = {"type": "bpe", "file": str(work / "bpe" / "tokenizer.json")}
    config = loomlm.load_config(
        {
            "name": "store",
            "backend": "torch",
            "tokenizer": tokenizer,
            "backbone": {"type": "transformer"},
            "stages": [{**stages, "trainer": {"steps": 1}}],
        }
    )
    settings, registry = config.settings, config.registry
    (stage,) = settings.stages
    spent, start = spent_so_far(), time.perf_counter()
    examples = read_examples(stage.data, registry, settings.seed, str)
    made_from = make_tokenizer(settings, registry, examples, str)
    read = time.perf_counter()
    task, about = made(registry, stage.task), identity(registry, stage.task)
    encoded = encode_examples(task, about, made_from, examples, str)
    end = time.perf_counter()
    rows = encoded.tokens["train"]
    print(
        json.dumps(
            {
                "whole": end - start,
                "encode": end - read,
                "spent": spent_so_far() - spent,
                "tokens": len(rows.values) - len(rows),  # Without the end of each document.
                "memory": most_memory(),
            }
        )
    )


def spent_so_far() -> float:
    """Seconds of the processors, of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def most_memory() -> float:
    """MiB. Of Linux' own record: what getrusage says counts the parent's memory before exec."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def peer_child(work: Path, file: Path, kept: str) -> None:
    """`datasets`: the same numbers."""
    import datasets
    import tokenizers

    datasets.disable_progress_bars()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    library = tokenizers.Tokenizer.from_file(str(work / "bpe" / "tokenizer.json"))
    library.encode_special_tokens = True

    def ids(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        rows = library.encode_batch_fast(batch["text"], add_special_tokens=False)
        return {"tokens": [row.ids for row in rows]}

    spent, start = spent_so_far(), time.perf_counter()
    rows: Any = datasets.load_dataset("text", data_files=str(file), cache_dir=kept, split="train")
    read = time.perf_counter()
    form = datasets.Features({"tokens": datasets.Sequence(datasets.Value("uint16"))})
    made = rows.map(ids, batched=True, num_proc=2, remove_columns=["text"], features=form)
    end = time.perf_counter()
    tokens = sum(len(chunk.values) for chunk in made.data.column("tokens").chunks)
    measured = {"whole": end - start, "encode": end - read, "spent": spent_so_far() - spent}
    print(json.dumps({**measured, "tokens": tokens}))


def fresh(what: str, work: Path, file: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=work) as kept:
        return child(__file__, what, work, file, kept)


def store(data: Path, work: Path, pairs: int) -> None:
    file = work / "reviews.txt"
    lines = (" ".join(text.split()) for split in ("train", "test") for text in reviews(data, split))
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    size = file.stat().st_size / 1e6
    found = alternating(
        pairs,
        lambda: fresh("store-child", work, file),
        lambda: fresh("peer-child", work, file),
    )
    for ours, theirs in found:
        assert ours["tokens"] == theirs["tokens"]
    for what, label in (("whole", "from the file on"), ("encode", "encoding and writing alone")):
        rates = (size / median(pair[side][what] for pair in found) for side in (0, 1))
        fast, slow = rates
        ratios = told([theirs[what] / ours[what] for ours, theirs in found])
        print(f"store, {label}: {fast:.1f} and {slow:.1f} MB/s, ratio {ratios}", flush=True)
    ratios = told([theirs["spent"] / ours["spent"] for ours, theirs in found])
    print(f"store, work of the processors: ratio {ratios}", flush=True)


def memory(data: Path, work: Path) -> None:
    for size in (500_000_000, 2_000_000_000):
        file = corpus(data, work / "corpus.txt", size)
        found = fresh("store-child", work, file)
        print(
            f"{file.stat().st_size / 1e9:.2f} GB, {found['tokens']:,} tokens: "
            f"{found['memory']:.0f} MiB at most, {found['whole']:.0f} s, "
            f"{found['spent']:.0f} s of work",
            flush=True,
        )
        file.unlink()


def main(data: Path, work: Path, *words: str) -> None:
    pairs = int(words[0]) if words else 5
    trained(data, work)
    for part in words[1:] or ("same", "encode", "store", "memory"):
        if part in ("encode", "store"):
            {"encode": encode, "store": store}[part](data, work, pairs)
        else:
            {"same": same, "memory": memory}[part](data, work)


if __name__ == "__main__":
    if os.environ.get("LOOMLM_ONE_CORE") and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    first, *rest = sys.argv[1:]
    if first == "encode-child":
        encode_child(Path(rest[0]), Path(rest[1]), rest[2], int(rest[3]))
    elif first in ("store-child", "peer-child"):
        {"store-child": store_child, "peer-child": peer_child}[first](
            Path(rest[0]), Path(rest[1]), rest[2]
        )
    else:
        main(Path(first), *(Path(rest[0]), *rest[1:]))
