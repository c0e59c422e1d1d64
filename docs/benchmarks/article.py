"""The article's Keras program beside the same model from a config, on both backends.

    python docs/benchmarks/article.py SETS [PAIRS] [BACKEND ...]

SETS is the folder that `sets.py` wrote. Of the 12,000 rows of AG News, scikit-learn cuts off a
fifth to test on. In turn `keras_article.py` and `keras_article.toml` train on the others, in
processes of their own with one thread each, and one more that makes batches. Examples a second are
those from the making of the model to the last update, so tracing and compiling count, and reading
does not; then those behind the first epoch. The ratios are ours by Keras', by time, and by the
processor's work, which is steadier where others use the machine.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from sklearn.model_selection import train_test_split
from timing import child, compare, shown

HERE = Path(__file__).parent
BATCH, EPOCH = 32, 300
DATA = "stages.finetune.data"


def cut(rows: Path, folder: Path) -> None:
    """The rows that `keras_article.py` trains and tests on, as files for the config."""
    lines = rows.read_text().splitlines(keepends=True)
    labels = [json.loads(line)["label"] for line in lines]
    parts = train_test_split(lines, test_size=0.2, random_state=42, stratify=labels)
    for name, part in zip(("train", "test"), parts, strict=True):
        (folder / f"{name}.jsonl").write_text("".join(part))


def measured(who: str, rows: Path, folder: Path) -> dict[str, Any]:
    if who == "keras":
        return child(HERE / "keras_article.py", rows)
    files = [f"{DATA}.{name}={folder / f'{name}.jsonl'}" for name in ("train", "test")]
    settings = (f"backend={who}", *files)
    return child(HERE / "timing.py", HERE / "keras_article.toml", EPOCH, *settings)


def main(sets: Path, pairs: int, backends: list[str]) -> None:
    rows = sets / "ag_news" / "train.jsonl"
    everyone = ["keras", *backends]
    taken: dict[str, list[dict[str, Any]]] = {who: [] for who in everyone}
    with tempfile.TemporaryDirectory() as place:
        cut(rows, Path(place))
        for index in range(pairs):
            for who in everyone[:: 1 if index % 2 == 0 else -1]:
                found = measured(who, rows, Path(place))
                taken[who].append(found)
                score = f"{found['evaluation']['test']['accuracy']:.2%}, "
                print(shown(who, found, BATCH, "examples", score), flush=True)
    for who in backends:
        compare(who, taken[who], taken["keras"])


if __name__ == "__main__":
    sets, *rest = sys.argv[1:]
    main(Path(sets), int(rest[0]) if rest else 5, rest[1:] or ["torch", "tensorflow"])
