"""All benchmarks of speed, one after another, each peer in an environment of its own.

    python docs/benchmarks/run.py [NAME ...] [--quick] [--data DATA] [--nanogpt FOLDER]
        [--work .benchmarks]

Needs nothing but Python: it makes the environments with `venv` and `pip`, Loomlm's from this
checkout, and keeps them in WORK/environments. What a script prints goes to the terminal, and to
WORK/results/NAME.txt. Without --data, what wants public sets is left out, and says so; without
--nanogpt (a folder with github.com/karpathy/nanoGPT), nanoGPT. --quick: one pair of each, which
says whether it runs, and not how fast.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from classification import keep_bytecode

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTORCH = "torch>=2.11,<2.14"
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "loomlm": (
        "transformers",
        "fasttext-wheel",
        "scikit-learn",
        "datasets",
        "datasketch",
        "matplotlib",
        "pytest",
    ),
    "hugging_face": (PYTORCH, "transformers", "accelerate"),
    "litgpt": (PYTORCH, "litgpt", "requests"),
    "keras_hub": ("tensorflow-cpu", "regex", "tokenizers", "kagglehub", "sentencepiece"),
}
"""What is installed in each environment; in the first, Loomlm and both its backends besides."""

ALONE: Mapping[str, tuple[str, ...]] = {"keras_hub": ("keras-hub",)}
"""What is then installed without what it asks for: TensorFlow Text, which wants a TensorFlow that
is not tensorflow-cpu, and is for tokenizers."""

TRAINERS = ("hugging_face", "litgpt", "keras_hub")


@dataclass(frozen=True)
class Benchmark:
    """A script with its words, of which {data}, {sets}, {work}, {pairs} and {quick} are filled in.

    peers: environments that it is told of.
    """

    script: str
    words: str = ""
    peers: tuple[str, ...] = ()


BENCHMARKS: Mapping[str, Benchmark] = {
    "startup": Benchmark("startup.py"),
    "train": Benchmark("train.py", "--pairs {pairs}", TRAINERS),
    "train-bf16": Benchmark("train.py", "--pairs {pairs} --bf16", TRAINERS),
    "generation": Benchmark("generation.py", "--pairs {pairs}"),
    "predicting": Benchmark("predicting.py", "--pairs {pairs}"),
    "scale": Benchmark("scale.py", "--plot scale.svg {quick}"),
    "shakespeare": Benchmark("shakespeare.py", "{data}/tinyshakespeare/input.txt.gz {pairs}"),
    "shakespeare-keras": Benchmark(
        "shakespeare_keras.py", "{data}/tinyshakespeare/input.txt.gz {pairs} --steps 400"
    ),
    "article": Benchmark("article.py", "{sets} {pairs}"),
    "classification": Benchmark("speed.py", "{sets} {pairs}"),
    "data-reading": Benchmark("data/reading.py", "{data} {pairs}"),
    "data-tokens": Benchmark("data/tokens.py", "{data} {work}/tokens {pairs}"),
    "data-batches": Benchmark("data/batches.py", "{work}/batches {pairs}"),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--nanogpt", type=Path)
    parser.add_argument("--work", type=Path, default=Path(".benchmarks"))
    given = parser.parse_args()
    keep_bytecode()
    if unknown := set(given.names) - set(BENCHMARKS):
        parser.error(
            f"no such benchmark: {', '.join(sorted(unknown))}. See --help for their names."
        )
    given.work = given.work.resolve()
    given.data = given.data and given.data.resolve()
    failed = [name for name in given.names or BENCHMARKS if not measure(name, given)]
    if failed:
        print(f"Failed: {', '.join(failed)}; see {given.work / 'results'}.")
    return 1 if failed else 0


def measure(name: str, given: argparse.Namespace) -> bool:
    """Whether a benchmark went through, or was left out."""
    benchmark = BENCHMARKS[name]
    wants_data = "{data}" in benchmark.words or "{sets}" in benchmark.words
    if wants_data and given.data is None:
        print(f"== {name}: left out, since it wants public sets (--data)")
        return True
    print(f"== {name}", flush=True)
    python = environment("loomlm", given.work)
    results = given.work / "results"
    results.mkdir(parents=True, exist_ok=True)
    command = [str(python), str(HERE / benchmark.script), *words(benchmark, python, given)]
    with (results / f"{name}.txt").open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", cwd=results
        )
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            file.write(line)
    return process.wait() == 0


def words(benchmark: Benchmark, python: Path, given: argparse.Namespace) -> Iterator[str]:
    """What a script is called with."""
    places = {"data": str(given.data), "work": str(given.work)}
    places |= {"pairs": "1", "quick": "--quick"} if given.quick else {"pairs": "5", "quick": ""}
    if "{sets}" in benchmark.words:
        places["sets"] = str(sets(python, given))
    yield from filter(None, (word.format(**places) for word in benchmark.words.split()))
    if benchmark.peers:
        yield "--python"
        yield from (f"{peer}={environment(peer, given.work)}" for peer in benchmark.peers)
        if given.nanogpt is not None:
            yield from ("--nanogpt", str(given.nanogpt.resolve()))


def sets(python: Path, given: argparse.Namespace) -> Path:
    """The sets that classification is measured on, made once."""
    made = given.work / "sets"
    if not made.exists():
        subprocess.run([python, HERE / "sets.py", given.data, made], check=True)
    return made


def environment(name: str, work: Path) -> Path:
    """The interpreter of an environment, made where there is none, or one with other packages."""
    folder = work / "environments" / name
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    packages, alone = list(PACKAGES[name]), list(ALONE.get(name, ()))
    if name == "loomlm":
        packages += ["-e", f"{ROOT}[torch,tensorflow-cpu]"]
    note = folder / "packages.json"
    if note.exists() and json.loads(note.read_text()) == packages + alone:
        return python
    print(f"Installing {', '.join([*PACKAGES[name], *alone])} into {folder}", flush=True)
    venv.create(folder, clear=True, with_pip=True)
    install = [python, "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, *packages], check=True)
    if alone:
        subprocess.run([*install, "--no-deps", *alone], check=True)
    note.write_text(json.dumps(packages + alone))
    return python


if __name__ == "__main__":
    sys.exit(main())
