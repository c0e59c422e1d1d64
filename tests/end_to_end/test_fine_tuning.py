"""From masked words to a classifier: what is begun with, what is frozen, what goes on."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import loomlm
from loomlm.plugin import hookimpl

SETTINGS = (
    "plugins=[]",
    "tokenizer={type='word'}",
    "backbone={type='transformer', layers=2, width=16, heads=2}",
    "stages.pretrain.task={type='masked_lm', context=16, packing='bfd'}",
    "stages.pretrain.metrics=['pseudo_perplexity', 'accuracy']",
)


PLAIN_SGD = "optimizer={type='sgd', momentum=0, weight_decay=0}"


def run(path: Path, *settings: str, **how) -> loomlm.Run:
    return loomlm.run(loomlm.load_config(path, set=[*SETTINGS, *settings]), **how)


def weights(model: Path) -> dict[str, np.ndarray]:
    return load_file(model / "model.safetensors")


def test_a_masked_model_is_scored_asked_and_fine_tuned(lm_config, loomlm_command, capsys):
    done = run(lm_config(finetune=True, steps="8"), "stages.finetune.trainer.steps=4")

    scores = done.evaluation["pretrain"]["validation"]
    assert scores["pseudo_perplexity"] == pytest.approx(np.exp(scores["loss"]), rel=1e-6)
    assert 0 <= scores["accuracy"] <= 1
    asked = loomlm_command("predict", done.folder / "pretrain", "rain and [MASK] today").out
    (mask,) = json.loads(asked)["masks"]
    assert len(mask) == 5
    assert sum(word["score"] for word in mask) <= 1
    assert loomlm_command("predict", done.folder / "pretrain", "rain").code == 2
    assert {"label", "probabilities"} <= done.model().predict(["rain"])[0].keys()


def engines() -> list[object]:
    """All that are in memory, those too that nobody holds any more."""
    names = ("TorchEngine", "TensorFlowEngine")
    return [one for one in gc.get_objects() if type(one).__name__ in names]


def test_a_stage_leaves_no_model_in_memory_when_the_next_begins(lm_config):
    before, alive = engines(), []

    class Watcher:
        @hookimpl
        def loomlm_progress(self, event):
            if "begins with" in event.message:
                alive.extend(one for one in engines() if all(one is not old for old in before))

    run(lm_config(finetune=True, steps="2"), observers=[Watcher()])

    assert len(alive) == 1


@pytest.mark.one_backend
def test_evaluation_hides_the_same_tokens_each_time(lm_config, loomlm_command):
    done = run(lm_config(steps="3"))

    again = loomlm_command("evaluate", done.folder, "--split", "validation")

    assert f"{done.evaluation['pretrain']['validation']['loss']:.4f}" in again.out


@pytest.mark.one_backend
def test_only_a_run_that_hides_words_has_a_mask_in_its_vocabulary(lm_config):
    masked = run(lm_config("masked", steps="1"))
    plain = run(
        lm_config("plain", steps="1"),
        "stages.pretrain.task={type='causal_lm', context=16}",
        "stages.pretrain.metrics=['perplexity']",
    )

    ids = [
        json.loads((each.folder / "model" / "tokenizer.json").read_text())["model"]["vocab"]
        for each in (masked, plain)
    ]
    added = set(ids[0]) - set(ids[1])
    assert added <= {"<mask>"}
    assert masked.model().tokenizer.mask_id == len(ids[1])
    assert plain.model().tokenizer.mask_id is None
    assert all(ids[0][word] == number for word, number in ids[1].items())


def test_what_is_frozen_stays_and_what_is_deeper_learns_more_slowly(lm_config):
    path = lm_config(finetune=True, steps="4")
    frozen = "stages.finetune.trainer.freeze=['backbone.embedding.*', '*.attention.*']"
    first = run(path, frozen, "stages.finetune.trainer.steps=3")
    step = f"stages.finetune.trainer={{steps=1, {PLAIN_SGD}"
    slow = run(path, "name='slow'", f"{step}, layer_decay=0.1}}")
    fast = run(path, "name='fast'", f"{step}}}")

    before, after = weights(first.folder / "pretrain" / "model"), weights(first.folder / "model")
    still = {name for name in before if "embedding" in name or ".attention." in name}
    moved = {
        name for name in before if name in after and not np.array_equal(before[name], after[name])
    }
    assert still
    assert not moved & still
    assert {"backbone.layers.0.mlp.up.weight", "backbone.norm.weight"} <= moved
    for name, share in (
        ("embedding.weight", 1e-3),
        ("layers.0.mlp.up.weight", 1e-2),
        ("norm.weight", 1e-1),
    ):
        own = f"backbone.{name}"
        steps = [np.abs(weights(r.folder / "model")[own] - before[own]).max() for r in (slow, fast)]
        assert steps[1] > 0
        # A float has few digits left of a small change.
        assert steps[0] == pytest.approx(share * steps[1], rel=0.3, abs=2e-7)


@pytest.mark.one_backend
def test_a_frozen_parameter_has_no_state_and_the_run_goes_on(lm_config):
    path = lm_config(steps="4", checkpoint_every="2")
    frozen = "stages.pretrain.trainer.freeze=['backbone.layers.0.*']"
    through = run(path, frozen)
    saved = sorted((through.folder / "pretrain" / "checkpoints").iterdir())[-1]
    names = set().union(*(load_file(file) for file in saved.glob("*optimizer*.safetensors")))
    assert names
    assert not [name for name in names if name.startswith("backbone.layers.0.")]

    short = run(path, frozen, "name='parts'", "stages.pretrain.trainer.steps=2")
    longer = run(
        path,
        frozen,
        "name='parts'",
        resume="must",
        allow=["stages.pretrain.trainer.steps", "trainer.steps"],
    )

    assert short.folder == longer.folder
    assert weights(longer.folder / "model").keys() == weights(through.folder / "model").keys()


@pytest.mark.one_backend
def test_a_wrong_pattern_is_told_before_anything_is_removed(lm_config, loomlm_command):
    path = lm_config(steps="1")
    kept = run(path)
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    wrong = "stages.pretrain.trainer.freeze=['backbone.embeding.*']"

    done = loomlm_command("run", path, "--overwrite", *words, "--set", wrong)

    assert done.code == 2
    assert "stages.pretrain.trainer.freeze" in done.err
    assert "backbone.embedding.weight" in done.err
    assert (kept.folder / "model").is_dir()


@pytest.mark.one_backend
def test_new_parameters_are_named_and_differing_keys_are_told(lm_config, loomlm_command):
    path = lm_config(finetune=True, steps="1")
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    said = loomlm_command("run", path, *words)
    assert "model; head.weight, head.bias are new" in said.out + said.err

    first = Path("runs/lm/pretrain/model").resolve()
    words += ["--set", "name='other'", "--set", f"stages.pretrain.init_from='{first}'"]
    wider = loomlm_command("run", path, *words, "--set", "backbone.width=24")
    heads = loomlm_command("run", path, *words, "--set", "backbone.heads=4")
    calm = loomlm_command("run", path, *words, "--set", "backbone.dropout=0.1")

    assert wider.code == 2
    assert "backbone.width = 16 there, 24 here" in wider.err
    assert heads.code == 2
    assert "backbone.heads = 2 there, 4 here" in heads.err
    assert calm.code == 0, calm.err
