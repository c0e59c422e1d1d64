"""Does pretraining pay? SST-2 with 500 labels, after reading IMDb's unlabelled reviews or not.

    python docs/benchmarks/pretraining.py DATA OUT

DATA holds `imdb/unsup.txt.xz` and `sst2/{train,dev,test}.tsv`. `pretraining.toml` is run once to
its end of pretraining; then, for three seeds, each with 500 sentences of its own, the classifier is
trained from that model and from scratch. Of two learning rates each side takes the one that is
better on the dev split, over all seeds.
"""

from __future__ import annotations

import json
import random
import sys
import tomllib
from pathlib import Path
from statistics import mean

import loomlm

HERE = Path(__file__).parent
SEEDS, RATES, LABELS = (17, 18, 19), (3e-4, 1e-3), 500


def sentences(data: Path, split: str) -> list[dict[str, str]]:
    lines = (data / f"sst2/{split}.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [dict(zip(("label", "text"), line.split("\t", 1), strict=True)) for line in lines]


def write(path: Path, rows: list[dict[str, str]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def pretrained(data: Path, out: Path) -> Path:
    """The language model's folder; trained where it is not there yet."""
    config = tomllib.loads((HERE / "pretraining.toml").read_text())
    config["stages"] = config["stages"][:1]
    config["stages"][0]["data"]["train"] = str(data / "imdb/unsup.txt.xz")
    run = loomlm.run(config, runs=out, resume="auto")
    print("pretrained:", run.evaluation["pretrain"]["validation"], flush=True)
    return run.folder / "model"


def accuracy(out: Path, first: str, tokenizer: Path, seed: int, rate: float) -> tuple[float, float]:
    """Accuracy on dev and test of one classifier."""
    config = tomllib.loads((HERE / "pretraining.toml").read_text())
    config["name"] = f"{'scratch' if first == 'scratch' else 'after'}-{seed}-{rate}"
    config["seed"] = seed
    config["tokenizer"]["file"] = str(tokenizer)
    (stage,) = config["stages"][1:]
    stage["init_from"] = first
    stage["data"] = {name: str(out / f"{name}.jsonl") for name in ("validation", "test")}
    stage["data"] |= {"train": str(out / f"train-{seed}.jsonl"), "label": "label"}
    stage["trainer"]["learning_rate"] = rate
    config["stages"] = [stage]
    scores = loomlm.run(config, runs=out, overwrite=True).evaluation["finetune"]
    return scores["validation"]["accuracy"], scores["test"]["accuracy"]


def main(data: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write(out / "validation.jsonl", sentences(data, "dev"))
    write(out / "test.jsonl", sentences(data, "test"))
    for seed in SEEDS:
        chosen = random.Random(seed).sample(sentences(data, "train"), LABELS)
        write(out / f"train-{seed}.jsonl", chosen)
    model = pretrained(data, out)
    best = {}
    for first in ("scratch", str(model)):
        found = {
            rate: [accuracy(out, first, model / "tokenizer.json", s, rate) for s in SEEDS]
            for rate in RATES
        }
        rate = max(found, key=lambda rate: mean(dev for dev, _ in found[rate]))
        best[first] = [test for _, test in found[rate]]
        shown = " ".join(f"{test:.2%}" for test in best[first])
        print(f"{'from scratch' if first == 'scratch' else 'pretrained'} at {rate}: {shown}")
    gains = [after - before for before, after in zip(*best.values(), strict=True)]
    print("gain in points:", " ".join(f"{100 * gain:.1f}" for gain in gains))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
