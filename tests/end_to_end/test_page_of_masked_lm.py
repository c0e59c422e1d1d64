"""The examples of the pages about masked_lm and fine-tuning work as they stand."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

import loomlm

from ..conftest import SMALL
from ..core.test_docs import blocks

DOCS = Path(__file__).parents[2] / "docs"
SETTINGS = [f"trainer.{key}={value}" for key, value in SMALL.items()]
TINY = ["tokenizer.vocab_size=60", "backbone.width=16", "backbone.layers=2", "backbone.heads=2"]


def test_the_masked_text_of_the_page_is_filled(backend, loomlm_command):
    page = DOCS / "tasks" / "masked_lm.md"
    Path("corpus.txt").write_text(blocks(page, "")[0] * 40)
    Path("my.toml").write_text(blocks(page, "toml")[0])
    small = ["trainer.steps=3", "trainer.batch_size=8", "stages.pretrain.task.context=16"]

    config = loomlm.load_config("my.toml", set=[f"backend={backend}", *SETTINGS, *TINY, *small])
    run = loomlm.run(config)

    assert run.evaluation["pretrain"]["validation"]["pseudo_perplexity"] > 1
    done = loomlm_command("predict", "runs/masked", "rain and [MASK] from the west")
    found, shown = json.loads(done.out), json.loads(blocks(page, "json")[0])
    assert found.keys() == shown.keys()
    assert found["masks"][0][0].keys() == shown["masks"][0][0].keys()


@pytest.mark.one_backend
def test_the_config_of_fine_tuning_runs(topics, backend):
    page = DOCS / "fine-tuning.md"
    Path("unlabelled.txt").write_text(Path("train.csv").read_text().replace(",", " "))
    Path("my.toml").write_text(blocks(page, "toml")[0])
    small = [f"stages.pretrain.trainer.{key}={value}" for key, value in SMALL.items()]
    small += [f"stages.finetune.trainer.{key}={value}" for key, value in SMALL.items()]
    small += ["stages.pretrain.trainer.steps=2", "stages.pretrain.task.context=16"]
    small += ["stages.finetune.trainer.epochs=0.1", 'tokenizer={type="word"}']

    run = loomlm.run(loomlm.load_config("my.toml", set=[f"backend={backend}", *TINY[1:], *small]))

    assert 0 < run.evaluation["finetune"]["test"]["accuracy"] <= 1


@pytest.mark.one_backend
def test_the_recipe_of_pretraining_is_right(backend):
    recipe = DOCS / "recipes" / "pretraining_imdb.toml"
    (sst2,) = blocks(DOCS / "recipes" / "pretraining_imdb.md", "toml")
    Path("sst2.toml").write_text(sst2)

    checked = loomlm.load_config(recipe, set=[f"backend={backend}"])

    assert [stage.name for stage in checked.settings.stages] == ["pretrain", "finetune"]
    elsewhere = ["tokenizer={type='word'}", "stages.finetune.init_from='scratch'"]
    own = loomlm.load_config("sst2.toml", set=[f"backend={backend}", *elsewhere])
    assert own.settings.backbone == checked.settings.backbone
    assert tomllib.loads(sst2)["stages"][0]["init_from"].startswith("runs/imdb-pretrained")
