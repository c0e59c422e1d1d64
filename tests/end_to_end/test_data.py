"""Streams and mixtures of real files, from config to resumed run."""

from __future__ import annotations

import gzip
import json
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import loomlm
from loomlm.config.show import to_toml
from loomlm.errors import LoomlmError, UsageError
from loomlm.plugin import hookimpl
from loomlm.training.run import prepare

pytestmark = pytest.mark.one_backend


class StopAt:
    """Ends a run at a step, as a failure would."""

    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def loomlm_steps_ended(self, event) -> None:
        if event.scalars[-1].step >= self.step:
            raise LoomlmError("stopped")


def with_data(path: Path, data: dict, **trainer) -> Path:
    """The config with another data table for its first stage, and further trainer keys."""
    config = tomllib.loads(path.read_text())
    config["stages"][0]["data"] = data
    config["trainer"] |= trainer
    path.write_text(to_toml(config))
    return path


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def metrics(folder: Path, stage: str) -> list[dict]:
    return [json.loads(line) for line in (folder / stage / "metrics.jsonl").open()]


@pytest.fixture
def shards(tmp_path) -> Path:
    """The training rows of the small classification set, in three compressed shards."""
    rows = (tmp_path / "train.csv").read_text().splitlines()[1:]
    for number in range(3):
        lines = [
            json.dumps(dict(zip(("text", "label"), row.rsplit(",", 1), strict=True)))
            for row in rows[number::3]
        ]
        with gzip.open(tmp_path / f"shard-{number}.jsonl.gz", "wt") as file:
            file.write("\n".join(lines) + "\n")
    return tmp_path / "shard-*.jsonl.gz"


def streamed(path: Path, shards: Path, **trainer) -> Path:
    data = {"train": str(shards), "test": "test.csv", "label": "label", "streaming": True}
    data |= {"shuffle_window": 100, "clean": ["lowercase", "length"]}
    return with_data(path, data, **trainer)


def test_a_stream_is_learnt_from_and_resumed_to_the_same_bits(config_file, shards, tmp_path):
    path = streamed(config_file(), shards, steps=100, checkpoint_every=7, log_every=1)
    through = loomlm.run(path, runs="through")
    with pytest.raises(LoomlmError, match="stopped"):
        loomlm.run(path, runs="stopped", observers=[StopAt(33)])
    resumed = loomlm.run(path, runs="stopped", resume="must")

    assert through.evaluation["finetune"]["test"]["accuracy"] > 0.9
    assert weights(resumed.folder) == weights(through.folder)
    assert metrics(resumed.folder, "finetune") == metrics(through.folder, "finetune")
    checkpoints = sorted((through.folder / "finetune" / "checkpoints").iterdir())
    place = json.loads((checkpoints[-1] / "state.json").read_text())["progress"]["place"]
    assert place["place"].keys() == {"epoch", "shard", "row"}
    about = json.loads((through.folder / "data.json").read_text())["finetune"]["splits"]
    assert len(about["train"]["shards"]) == 3


def test_a_data_set_of_the_hub_is_streamed_and_never_fetched(config_file, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    rows = (tmp_path / "train.csv").read_text().splitlines()[1:]
    for number, name in enumerate(("train-0", "train-1", "test-0")):
        lines = [
            json.dumps(dict(zip(("text", "label"), row.rsplit(",", 1), strict=True)))
            for row in rows[number::3]
        ]
        (tmp_path / "hub").mkdir(exist_ok=True)
        (tmp_path / "hub" / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(datasets.DatasetBuilder, "download_and_prepare", None)
    data = {"type": "huggingface", "path": str(tmp_path / "hub"), "label": "label"}
    data |= {"streaming": True, "shuffle_window": 100}
    path = with_data(config_file(), data, steps=100, checkpoint_every=10)

    through = loomlm.run(path, runs="through")
    with pytest.raises(LoomlmError, match="stopped"):
        loomlm.run(path, runs="stopped", observers=[StopAt(33)])
    resumed = loomlm.run(path, runs="stopped", resume="must")

    assert through.evaluation["finetune"]["test"]["accuracy"] > 0.8
    assert weights(resumed.folder) == weights(through.folder)


def test_a_language_model_streams_windows(lm_config, tmp_path):
    texts = (tmp_path / "corpus.txt").read_text().splitlines()
    for number in range(2):
        (tmp_path / f"part-{number}.txt").write_text("\n".join(texts[number::2]) + "\n")
    (tmp_path / "held_out.txt").write_text("\n".join(texts[:20]) + "\n")
    data = {"train": str(tmp_path / "part-*.txt"), "validation": "held_out.txt"}
    data |= {"streaming": True, "shuffle_window": 50}
    path = with_data(lm_config(), data, steps=40, checkpoint_every=5)
    through = loomlm.run(path, runs="through")
    with pytest.raises(LoomlmError, match="stopped"):
        loomlm.run(path, runs="stopped", observers=[StopAt(23)])
    resumed = loomlm.run(path, runs="stopped", resume="must")

    lines = [line for line in metrics(through.folder, "pretrain") if line["split"] == "train"]
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]
    assert weights(resumed.folder) == weights(through.folder)


def test_another_window_or_shard_is_another_run(config_file, shards):
    path = streamed(config_file(), shards, steps=20, checkpoint_every=5)
    with pytest.raises(LoomlmError, match="stopped"):
        loomlm.run(path, observers=[StopAt(10)])

    changed = sorted(shards.parent.glob(shards.name))[-1]
    with gzip.open(changed, "at") as file:
        file.write(json.dumps({"text": "one more of rain", "label": "weather"}) + "\n")
    with pytest.raises(UsageError, match=r"data\.finetune: 'content"):
        loomlm.run(path, resume="must")


def test_a_step_that_wants_all_examples_is_refused_on_a_stream(config_file, shards):
    path = streamed(config_file(), shards, steps=5)
    config = loomlm.load_config(path, set=['stages.finetune.data.clean=["duplicates"]'])

    with pytest.raises(UsageError, match="duplicates reads all examples before"):
        loomlm.run(config)


def test_sources_have_their_shares(config_file, tmp_path):
    rows = (tmp_path / "train.csv").read_text().splitlines()
    many, few = rows[: len(rows) * 3 // 4], [rows[0], *rows[len(rows) * 3 // 4 :]]
    (tmp_path / "many.csv").write_text("\n".join(many) + "\n")
    (tmp_path / "few.csv").write_text("\n".join(few) + "\n")
    source = {"label": "label"}
    data = {
        "sources": [
            {**source, "train": "many.csv", "test": "test.csv", "weight": 1},
            {**source, "train": "few.csv", "weight": 3, "clean": ["lowercase"]},
        ]
    }
    path = with_data(config_file(), data, steps=120)
    seen: Counter[int] = Counter()
    config = loomlm.load_config(path)
    prepared = prepare(config.settings, config.registry, lambda message: None)
    plan = prepared[1][0].plan(config.settings.seed)
    parts = prepared[1][0].data.train.parts
    for step in range(1, plan.steps_per_epoch + 1):
        batch_rows, _ = plan.batch(step)
        seen.update((batch_rows >= parts[0].span).tolist())

    assert seen[True] / sum(seen.values()) == pytest.approx(0.75, abs=0.01)
    first = loomlm.run(path, runs="a")
    assert first.evaluation["finetune"]["test"]["accuracy"] > 0.9
    assert weights(loomlm.run(path, runs="b").folder) == weights(first.folder)
