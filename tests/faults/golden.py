"""The losses of tiny models, kept in golden/: what every change has to come to again, bit by bit.

`python -m tests.faults.golden --renew` notes those of this machine anew, and removes those of other
machines that they no longer agree with. To be done where a change means to change the numbers.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .harness import Server

GOLDEN = Path(__file__).with_name("golden")
STEPS = 50
NEAR = 1e-5
"""How far the losses of two types of machine are apart at most, relative to them."""

LIBRARIES = {"torch": ("torch", "numpy"), "tensorflow": ("tensorflow", "keras", "numpy")}
VECTORS = ("asimd", "sve", "sse", "avx", "fma", "f16c", "amx")
"""What the names of a processor's vector instructions begin with: they decide the kernels."""

# Dropout is off: other machines may draw other numbers for it, and then agree in nothing.
HEAD = """\
name = "golden"
backend = "{backend}"
tokenizer = {{ type = "word" }}
backbone = {{ {backbone}, dropout = 0.0 }}

[trainer]
steps = {steps}
batch_size = 8
learning_rate = 1e-2
precision = "fp32"
compile = false
threads = 1
device = "cpu"
"""
CLASSIFIES = """
[[stages]]
name = "learn"
task = "classification"
data = { train = "train.csv", label = "label" }
"""
WRITES = """
[[stages]]
name = "learn"
task = { type = "causal_lm", context = 16 }
data = { train = "corpus.txt" }
"""
MODELS = {
    "mlp": ('type = "mlp", width = 16, ngrams = 2, buckets = 100, hidden = [8]', CLASSIFIES),
    "rnn": ('type = "rnn", width = 16, layers = 2', WRITES),
    "transformer": ('type = "transformer", width = 16, layers = 2, heads = 2', WRITES),
}
WORDS = [
    "rain",
    "wind",
    "sun",
    "cloud",
    "storm",
    "snow",
    "cold",
    "warm",
    "bread",
    "soup",
    "rice",
    "salt",
    "butter",
    "kitchen",
    "taste",
    "dinner",
    "goal",
    "match",
    "team",
    "coach",
    "score",
    "league",
    "season",
    "player",
    "the",
    "a",
    "of",
    "and",
    "in",
    "to",
    "was",
    "it",
]


def losses(backend: str, model: str, server: Server, folder: Path) -> list[str]:
    """The loss of each step, in hex, of a run in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_data(folder)
    backbone, stage = MODELS[model]
    config = folder / "golden.toml"
    head = HEAD.format(backend=backend, backbone=backbone, steps=STEPS)
    config.write_text(head + stage, encoding="utf-8")
    env = {"LOOMLM_CACHE": str(folder / "cache")}
    job = server.start(["run", config, "--runs", folder / "runs"], folder, env)
    assert job.wait() == 0, job.err
    lines = (folder / "runs" / "golden" / "learn" / "metrics.jsonl").read_text(encoding="utf-8")
    records = [json.loads(line) for line in lines.splitlines()]
    return [one["loss"].hex() for one in records if one["split"] == "train"]


def _write_data(folder: Path) -> None:
    """Texts by plain arithmetic: no library's random numbers, which may change."""
    texts = [
        " ".join(WORDS[(row * 7 + at * (row % 5 + 3)) % len(WORDS)] for at in range(4 + row % 9))
        for row in range(120)
    ]
    labels = ["weather", "food", "sport"]
    rows = [f"{text},{labels[row % 3]}" for row, text in enumerate(texts)]
    (folder / "train.csv").write_text("\n".join(["text,label", *rows, ""]), encoding="utf-8")
    (folder / "corpus.txt").write_text("\n".join([*texts, ""]), encoding="utf-8")


def machine(backend: str) -> dict[str, Any]:
    """What decides the bits: the processor, its vector instructions, the libraries' versions."""
    about = {"architecture": platform.machine(), "system": platform.system(), **_processor()}
    return {**about, "libraries": {name: _version(name) for name in LIBRARIES[backend]}}


def _processor() -> dict[str, Any]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {"processor": platform.processor()}
    # Each key's value for the first processor.
    known = {key.strip(): value for key, value in reversed(re.findall(r"(.+?)\s*:[ ]?(.*)", text))}
    names = ("vendor_id", "cpu family", "model", "CPU implementer", "CPU part")
    flags = known.get("flags", known.get("Features", "")).split()
    return {
        **{name: known[name] for name in names if name in known},
        "vectors": " ".join(sorted(flag for flag in flags if flag.startswith(VECTORS))),
    }


def _version(library: str) -> str:
    """The version of a library; some come in a distribution for CPUs alone."""
    try:
        return version(library)
    except PackageNotFoundError:
        return version(f"{library}-cpu")


def noted(backend: str, model: str) -> list[dict[str, Any]]:
    """What is kept of a model: for each type of machine, `machine` and `losses`."""
    path = _file(backend, model)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def near(some: list[str], others: list[str]) -> bool:
    """Whether losses are those of another type of machine, as far as two of them agree."""
    pairs = zip(map(float.fromhex, some), map(float.fromhex, others), strict=True)
    return all(abs(one - other) <= NEAR * abs(other) for one, other in pairs)


def renew(backend: str, model: str, found: list[str]) -> None:
    """Note this machine's losses; those of others stay where they agree with them."""
    here = machine(backend)
    others = [
        entry
        for entry in noted(backend, model)
        if entry["machine"] != here and near(found, entry["losses"])
    ]
    entries = [*others, {"machine": here, "losses": found}]
    GOLDEN.mkdir(exist_ok=True)
    _file(backend, model).write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def _file(backend: str, model: str) -> Path:
    return GOLDEN / f"{backend}-{model}.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--renew", action="store_true", required=True)
    parser.add_argument("backends", nargs="*", default=list(LIBRARIES), help="by default, all")
    for backend in parser.parse_args().backends:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            server = Server(backend, folder / "jobs")
            for model in MODELS:
                renew(backend, model, losses(backend, model, server, folder / model))
                print(_file(backend, model))
            server.stop()


if __name__ == "__main__":
    main()
