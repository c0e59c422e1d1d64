"""Translation from files to text, on each backend: as its page says, and with one vocabulary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import loomlm
from loomlm.errors import ConfigError

from ..conftest import SMALL
from ..core.test_docs import blocks

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "tasks" / "translation.md"
SETTINGS = [f"trainer.{key}={value}" for key, value in SMALL.items()]


def load(backend: str, *more: str):
    """The first config of the page, with its files."""
    for name, text in zip(("train.de", "train.en"), blocks(PAGE, ""), strict=False):
        Path(name).write_text(text, encoding="utf-8")
    Path("my.toml").write_text(blocks(PAGE, "toml")[0])
    return loomlm.load_config("my.toml", set=[f"backend={backend}", *SETTINGS, *more])


def test_the_example_of_the_page_is_learnt(backend, loomlm_command):
    run = loomlm.run(load(backend))

    scores = run.evaluation["translate"]["test"]
    assert scores["bleu"] == pytest.approx(100)
    assert scores["perplexity"] < 2
    done = loomlm_command("predict", "runs/small", "eine Katze schläft")
    (shown,) = [json.loads(block) for block in blocks(PAGE, "json")]
    said = json.loads(done.out)
    assert said.keys() == shown.keys()
    assert said["prediction"] == shown["prediction"]
    model = loomlm.load_model("runs/small")
    texts = ["ein Mann liest ein Buch", "ein Kind spielt"]
    assert model.generate(texts) == ["a man is reading a book", "a child is playing"]
    searched = [one["prediction"] for one in model.predict(texts, beams=3)]
    assert searched == ["a man is reading a book", "a child is playing"]


@pytest.mark.one_backend
def test_one_vocabulary_and_batches_by_tokens_do_it_too(backend):
    data = 'tokenizer={type="word"}', "stages.translate.trainer.batch_tokens=40"
    config = load(backend, *data)
    settings = config.settings.stages[0].trainer
    assert (settings.batch_size, settings.batch_tokens) == (None, 40)

    run = loomlm.run(config)

    assert run.evaluation["translate"]["test"]["bleu"] == pytest.approx(100)
    assert [name for name, _ in loomlm.load_model(run.folder).engine.state("model")][:2] == [
        "backbone.embedding.weight",
        "backbone.encoder.layers.0.attention_norm.weight",
    ]


@pytest.mark.one_backend
def test_a_backbone_that_was_not_told_to_says_how(backend):
    with pytest.raises(ConfigError, match=r"Set backbone\.encoder_decoder = true"):
        load(backend, "backbone.encoder_decoder=false")


@pytest.mark.one_backend
def test_an_encoder_decoder_does_nothing_without_a_source(backend):
    with pytest.raises(
        ConfigError, match="token_classification needs a backbone that can do bidirectional"
    ):
        load(backend, "stages.translate.task=token_classification")


@pytest.mark.one_backend
def test_a_smoothed_loss_is_not_what_is_reported(backend):
    """Both models are as they began; the loss of a split is that of its texts."""
    losses = {}
    for share in (0.0, 0.4):
        more = f"stages.translate.task.label_smoothing={share}", "trainer.learning_rate=1e-30"
        run = loomlm.run(load(backend, f"name=smooth{share}", "trainer.epochs=1", *more))
        lines = (run.folder / "translate" / "metrics.jsonl").read_text().splitlines()
        trained = next(one for one in map(json.loads, lines) if one["split"] == "train")
        losses[share] = trained["loss"], run.evaluation["translate"]["test"]["loss"]

    assert losses[0.4][1] == pytest.approx(losses[0.0][1], rel=1e-6)
    assert losses[0.4][0] != pytest.approx(losses[0.0][0], rel=1e-6)


@pytest.mark.one_backend
def test_the_recipe_is_a_right_config(backend):
    from loomlm.config.load import check_tree, read_tree
    from loomlm.registry import Registry

    config = check_tree(read_tree(DOCS / "recipes" / "multi30k.toml"), Registry.load())

    assert config.settings.stages[0].task.config.beams == 5
