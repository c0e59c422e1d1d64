"""A small run on the backend, and the gradients by which it learns."""

import loomlm
import numpy as np
import pytest
from loomlm.plugin import UsageError

TOPICS = {
    "weather": ("rain", "wind"),
    "food": ("soup", "bread"),
    "sport": ("goal", "match"),
}


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A config that classifies short texts by their topic."""
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache"))
    rows = [
        f"the {words[number % 2]} was {number},{topic}"
        for topic, words in TOPICS.items()
        for number in range(60)
    ]
    (tmp_path / "all.csv").write_text(
        "text,label\n" + "\n".join(rows), encoding="utf-8"
    )
    return {
        "name": "topics",
        "backend": "plugin_component",
        "tokenizer": "word",
        "backbone": {"type": "plugin_component", "width": 16},
        "trainer": {"steps": 80, "batch_size": 16, "learning_rate": 5e-2},
        "stages": [
            {
                "name": "finetune",
                "task": "classification",
                "data": {
                    "train": str(tmp_path / "all.csv"),
                    "label": "label",
                    "split": {"test": 0.2},
                },
            }
        ],
    }


def test_a_model_learns_and_is_loaded_again(config, tmp_path):
    run = loomlm.run(loomlm.load_config(config), runs=tmp_path / "runs")

    assert run.evaluation["finetune"]["test"]["accuracy"] > 0.9
    model = loomlm.load_model(run.folder)
    assert model.predict(["so much rain"])[0]["label"] == "weather"


@pytest.mark.parametrize("several", [False, True], ids=["one label", "several"])
def test_gradients_are_what_differences_say(config, several, tmp_path):
    config["backends"] = {"plugin_component": {"arithmetic": "float64"}}
    config["trainer"]["steps"] = 3
    config["stages"][0]["task"] = {
        "type": "classification",
        "multi_label": several,
        "label_smoothing": 0.1,
    }
    run = loomlm.run(loomlm.load_config(config), runs=tmp_path / "runs")
    model = loomlm.load_model(run.folder)
    module = model.module
    module.arithmetic = "float64"
    batch = model.batch(["the rain and the soup", "a goal"])
    generator = np.random.default_rng(0)
    for name, value in module.values.items():
        module.values[name] = generator.normal(size=value.shape)

    _, gradients, _ = module.gradients(batch)

    for name, gradient in gradients.items():
        value = module.values[name]
        for place in zip(*np.nonzero(gradient), strict=True):
            losses = []
            for change in (1e-5, -1e-5):
                value[place] += change
                logits = module.logits(batch)
                losses.append(module.loss(logits, batch, module.spec.loss)[0])
                value[place] -= change
            slope = (losses[0] - losses[1]) / 2e-5
            assert gradient[place] == pytest.approx(slope, abs=1e-6), name


def test_what_it_does_not_know_is_refused(config, tmp_path):
    config["trainer"]["precision"] = "bf16"
    with pytest.raises(UsageError, match=r"trainer.precision is 'bf16'"):
        loomlm.run(loomlm.load_config(config), runs=tmp_path / "runs")

    config["trainer"]["precision"] = "fp32"
    config["backbone"] = "mlp"
    with pytest.raises(UsageError, match="'mlp' has no builder for the backend"):
        loomlm.run(loomlm.load_config(config), runs=tmp_path / "runs")
