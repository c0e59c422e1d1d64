"""The documents of all sets, and what the benchmarks of this folder share: pairs and processes."""

from __future__ import annotations

import gzip
import json
import lzma
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from speed import interval


def documents(data: Path) -> Iterator[tuple[str, list[str]]]:
    """Each set's name and texts: a file's lines, or all the strings of its JSON."""
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        texts = [text for path in sorted(folder.iterdir()) for text in _texts(path)]
        yield folder.name, texts


def reviews(data: Path, split: str = "train") -> list[str]:
    """The texts of IMDb."""
    lines = _read(data / "imdb" / f"{split}.jsonl.gz").split("\n")
    return [json.loads(line)["text"] for line in lines if line]


def _read(path: Path) -> str:
    opened = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    with opened(path, "rb") as file:
        return file.read().decode()


def _texts(path: Path) -> Iterator[str]:
    content = _read(path)
    if ".jsonl" in path.name:
        lines = [line for line in content.split("\n") if line]
        yield from (text for line in lines for text in _strings(json.loads(line)))
    elif ".json" in path.name:
        yield from _strings(json.loads(content))
    else:
        yield from content.split("\n")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def corpus(data: Path, path: Path, size: int) -> Path:
    """A txt file of at least so many bytes: the texts of all sets, over and over."""
    lines = [" ".join(text.split()) for _, texts in documents(data) for text in texts]
    block = "".join(f"{line}\n" for line in lines if line).encode()
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(block)
    return path


def child(script: str, *words: object, **environment: str) -> Any:
    """What a process printed as its last line, in JSON."""
    import os

    command = [sys.executable, script, *map(str, words)]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def alternating(pairs: int, ours: Callable[[], float], theirs: Callable[[], float]) -> list[Any]:
    """Pairs of measurements, (ours, theirs), each side first in turn."""
    found = []
    for index in range(pairs):
        sides = {"ours": ours, "theirs": theirs}
        order = list(sides)[:: 1 if index % 2 == 0 else -1]
        taken = {who: sides[who]() for who in order}
        found.append((taken["ours"], taken["theirs"]))
    return found


def told(ratios: list[float]) -> str:
    """The median with the interval that holds it, and with what confidence."""
    low, high, confidence = interval(ratios)
    return f"{median(ratios):.2f} ({low:.2f} to {high:.2f}, {confidence:.0%})"
