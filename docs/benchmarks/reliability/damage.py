"""One flipped bit in a checkpoint, 300 times: does whoever loads it notice?

    python docs/benchmarks/reliability/damage.py [--flips 300] [--seed 0] RUN

RUN: the folder of a run of `ours.toml` that was stopped on its way, or has ended. Its newest
checkpoint is written in each format, a random bit of the file is turned, and the file is read by
what its users read it with: safetensors' load_file, torch.load(weights_only=True), Keras'
load_weights, and ours, which compares what the manifest says. Noticed is an error; where there is
none the arrays are other ones, or the bit lay where nothing is stored.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")


def safetensors_file(arrays: dict, folder: Path) -> tuple[Path, Callable[[], object]]:
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    save_file(arrays, path)
    return path, lambda: load_file(path)


def torch_file(arrays: dict, folder: Path) -> tuple[Path, Callable[[], object]]:
    import torch

    path = folder / "model.pt"
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    return path, lambda: torch.load(path, weights_only=True)


def keras_file(arrays: dict, folder: Path) -> tuple[Path, Callable[[], object]]:
    import keras

    keras.config.disable_interactive_logging()
    model = keras.Sequential([keras.layers.Dense(512), keras.layers.Dense(512)])
    model.build((None, 256))
    path = folder / "model.weights.h5"
    model.save_weights(path)
    return path, lambda: model.load_weights(path)


def our_checkpoint(checkpoint: Path, folder: Path) -> tuple[Path, Callable[[], object]]:
    from loomlm.storage.commit import verify

    copy = folder / "checkpoint"
    shutil.copytree(checkpoint, copy)
    return copy / "model.safetensors", lambda: verify(copy)


def noticed(path: Path, load: Callable[[], object], flips: int, chance: random.Random) -> int:
    """How many of so many flipped bits made loading fail."""
    load()
    found, size = 0, path.stat().st_size
    for _ in range(flips):
        place, bit = chance.randrange(size), chance.randrange(8)
        _flip(path, place, bit)
        try:
            load()
        except Exception:
            found += 1
        _flip(path, place, bit)
    load()
    return found


def _flip(path: Path, place: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ (1 << bit)]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--flips", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    from safetensors.numpy import load_file

    checkpoint = max(path for path in given.run.glob("*/checkpoints/*") if path.name.isdigit())
    arrays = load_file(checkpoint / "model.safetensors")
    for name, made in (
        ("safetensors", lambda folder: safetensors_file(arrays, folder)),
        ("torch", lambda folder: torch_file(arrays, folder)),
        ("keras", lambda folder: keras_file(arrays, folder)),
        ("ours", lambda folder: our_checkpoint(checkpoint, folder)),
    ):
        with tempfile.TemporaryDirectory() as place:
            path, load = made(Path(place))
            found = noticed(path, load, given.flips, random.Random(given.seed))
        print(json.dumps({"format": name, "flips": given.flips, "noticed": found}), flush=True)


if __name__ == "__main__":
    main()
