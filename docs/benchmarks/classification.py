"""What `loomlm init classification` writes, unedited, beside fastText and TF-IDF.

    python docs/benchmarks/classification.py SETS [SEED ...]

SETS is the folder that `sets.py` wrote. For each set: the accuracy of each seed, that of each
peer, and what each took. Also the article's model and the one with bigrams, on AG News and IMDb.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
OWN = {
    ("article", "ag_news"): (),
    ("article", "imdb"): (),
    ("bigrams", "ag_news"): (),
    ("bigrams", "imdb"): ("learning_rate=3e-3",),
}
"""Our configs, and what a set changes in `stages.finetune.trainer`."""


def keep_bytecode() -> None:
    """Have Python keep what it compiles, whatever the environment says of that.

    pip compiles the peers' packages, and a checkout of ours would be compiled in every process.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def timed(*command: object) -> tuple[str, float]:
    """What a process printed, and its wall time in seconds."""
    start = time.perf_counter()
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout, time.perf_counter() - start


def loomlm(*words: object) -> tuple[str, float]:
    return timed(sys.executable, "-m", "loomlm", *words)


def trained(config: Path, runs: Path, *settings: str) -> tuple[float, float]:
    """Accuracy on test, and seconds from the command to the saved model, nothing cached."""
    words = [word for setting in settings for word in ("--set", setting)]
    _, seconds = loomlm("run", config, "--runs", runs, "--overwrite", *words)
    name = next(path for path in runs.iterdir() if path.is_dir()) / "evaluation.json"
    return json.loads(name.read_text())["finetune"]["test"]["accuracy"], seconds


def own(name: str, folder: Path, runs: Path) -> tuple[float, float]:
    """One of our configs on one set."""
    settings = [f"stages.finetune.trainer.{s}" for s in OWN[name, folder.name]]
    data = [f"stages.finetune.data.{s}={(folder / f'{s}.jsonl').resolve()}" for s in SPLITS]
    return trained(HERE / f"{name}.toml", runs, *settings, *data)


SPLITS = ("train", "test")


def peer(name: str, folder: Path) -> tuple[float, float]:
    """A peer's accuracy and seconds."""
    out, seconds = timed(sys.executable, HERE / "peers.py", name, folder)
    return json.loads(out.splitlines()[-1])["accuracy"], seconds


def fresh() -> tempfile.TemporaryDirectory[str]:
    """A folder for a run and its cache."""
    folder = tempfile.TemporaryDirectory()
    os.environ["LOOMLM_CACHE"] = f"{folder.name}/cache"
    return folder


def defaults(folder: Path, seeds: list[str]) -> None:
    """Print the defaults' accuracies beside the peers'."""
    scores, times = [], []
    for seed in seeds:
        with fresh() as place:
            config = Path(place) / "my.toml"
            data = [word for s in SPLITS for word in (f"--{s}", folder / f"{s}.jsonl")]
            written, _ = loomlm("init", "classification", *data)
            config.write_text(written)
            accuracy, seconds = trained(config, Path(place) / "runs", f"seed={seed}")
            scores.append(accuracy)
            times.append(seconds)
    shown = ", ".join(f"{score:.2%}" for score in scores)
    print(f"{folder.name}: loomlm init {shown}; {median(times):.1f} s")
    for name in ("fasttext", "tfidf"):
        accuracy, seconds = peer(name, folder)
        print(f"{folder.name}: {name} {accuracy:.2%}; {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    keep_bytecode()
    sets, *seeds = sys.argv[1:]
    for folder in sorted(Path(sets).resolve().iterdir()):
        defaults(folder, seeds or ["17", "18", "19"])
    for name, place in OWN:
        with fresh() as runs:
            accuracy, seconds = own(name, Path(sets).resolve() / place, Path(runs) / "runs")
            print(f"{place}: {name}.toml {accuracy:.2%}; {seconds:.1f} s", flush=True)
