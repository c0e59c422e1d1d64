"""Samples while a model trains: what is written, when, and that training does not notice."""

from __future__ import annotations

from pathlib import Path

import pytest

import loomlm
from loomlm.plugin import StageStarted
from loomlm_observers.config import SamplesConfig
from loomlm_observers.samples import Samples

EVERY_20 = "trainer.evaluate_every=20"


def train(config: Path, *settings: str, **how) -> Path:
    return loomlm.run(loomlm.load_config(config, set=[EVERY_20, *settings]), **how).folder


def observed(**keys: object) -> str:
    given = ", ".join(f"{name} = {value}" for name, value in keys.items())
    return f'observers=[{{type="samples", {given}}}]'


def headings(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line.startswith("===")]


def test_samples_are_written_and_told(lm_config, loomlm_command):
    done = loomlm_command(
        "run", lm_config(), "--set", EVERY_20, "--set", observed(prompts='["the rain", "so"]')
    )

    assert done.code == 0, done.err
    written = Path("runs/lm/pretrain/samples.txt").read_text()
    assert headings(Path("runs/lm/pretrain/samples.txt")) == [
        "=== step 20",
        "=== step 40",
        "=== step 60",
    ]
    assert written.count("\nthe rain") == 3
    assert done.err.count("sample: the rain") == done.err.count("sample: so") == 3


def test_the_last_sample_is_what_the_model_writes(lm_config):
    run = train(lm_config(), observed(prompts='["the rain"]', max_tokens=30, seed=5))

    text = loomlm.load_model(run).generate("the rain", max_tokens=30, seed=5)
    written = (run / "pretrain" / "samples.txt").read_text()
    assert written.endswith(f"=== step 60\nthe rain{text}\n")


def test_training_gives_the_same_bits_with_samples_and_without(lm_config):
    config = lm_config()
    without = train(config, runs="without")
    sampled = train(config, observed(max_tokens=50), runs="with")

    assert (sampled / "pretrain" / "samples.txt").stat().st_size > 100
    for name in ("pretrain/metrics.jsonl", "model/model.safetensors", "evaluation.json"):
        assert (sampled / name).read_bytes() == (without / name).read_bytes()


def test_every_counts_evaluations(lm_config):
    run = train(lm_config(), observed(every=2))

    assert headings(run / "pretrain" / "samples.txt") == ["=== step 40"]


def test_a_stage_that_does_not_write_has_no_samples(lm_config):
    config = lm_config(finetune=True)
    cut = "stages.finetune.data.split={validation=0.2}"
    run = train(config, "observers=['samples']", cut)

    assert (run / "pretrain" / "samples.txt").exists()
    assert not (run / "finetune" / "samples.txt").exists()


def test_a_prompt_that_cannot_be_read_stops_nothing(lm_config):
    run = train(lm_config(), observed(prompts='["日本", "the"]'))

    written = (run / "pretrain" / "samples.txt").read_text()
    assert "none: The prompt '日本' has no character" in written
    assert "\nthe" in written


def test_a_stage_that_goes_on_writes_its_samples_once(tmp_path):
    (tmp_path / "samples.txt").write_text("=== step 20\na\n=== step 40\nb\n=== step 60\nc\n")

    def started(step: int) -> list[str]:
        Samples(SamplesConfig()).loomlm_stage_started(
            StageStarted(stage="s", step=step, steps=90, parameters=1, folder=str(tmp_path))
        )
        return headings(tmp_path / "samples.txt")

    assert started(40) == ["=== step 20", "=== step 40"]
    assert started(0) == []


def test_without_prompts_there_is_nothing_to_write(lm_config):
    with pytest.raises(loomlm.ConfigError, match="prompts must not be empty"):
        loomlm.load_config(lm_config(), set=[observed(prompts="[]")])
