"""Extensions change examples, batches and models; a model's folder remembers them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import loomlm
from loomlm.errors import PluginError

PLUGIN = Path(__file__).parents[1] / "local_plugins" / "extending.py"

Train = Callable[..., loomlm.Run]


@pytest.fixture
def train(config_file) -> Train:
    """Runs the small config with extensions, as TOML."""

    def call(extensions: str, *settings: str, name: str = "small", **trainer: str) -> loomlm.Run:
        path = config_file(name, **{"steps": "12", **trainer})
        path.write_text(f'plugins = ["{PLUGIN.as_posix()}"]\n{path.read_text()}')
        whole = (f"stages.finetune.extensions={extensions}", *settings)
        return loomlm.run(loomlm.load_config(path, set=whole))

    return call


def weights(run: loomlm.Run, part: str = "model") -> dict[str, np.ndarray]:
    return load_file(run.folder / part / "model.safetensors")


def test_what_is_frozen_stays_as_it_began(train):
    first = weights(train('[{type="freeze"}]', name="one", steps="1"))
    frozen = weights(train('[{type="freeze"}]', name="frozen", steps="12"))
    free = weights(train("[]", name="free"))

    table = "backbone.embedding.weight"
    assert np.array_equal(first[table], frozen[table])
    assert not np.array_equal(first[table], free[table])
    assert not np.array_equal(first["head.weight"], frozen["head.weight"])


def test_an_added_parameter_is_trained_saved_and_used(train, loomlm_command):
    run = train('["scale"]')
    texts = ["rain and wind", "bread and soup"]

    scale = weights(run)["backbone.scale"]
    assert not np.array_equal(scale, np.ones_like(scale))
    model = run.model()
    before = model.predict(texts)
    model.engine.load_state(
        "model", [(n, a * 0 if n == "backbone.scale" else a) for n, a in weights(run).items()]
    )
    assert model.predict(texts) != before
    done = loomlm_command("predict", "runs/small", *texts)
    assert json.loads(done.out.splitlines()[0])["label"] == before[0]["label"]


def test_a_stage_begins_with_a_model_that_lacks_what_it_adds(train):
    plain = train("[]", name="plain")

    run = train(
        '[{type="freeze", prefix="backbone.embedding"}, "scale"]',
        f'stages.finetune.init_from="{plain.folder.resolve().as_posix()}"',
        name="more",
    )

    table = "backbone.embedding.weight"
    assert np.array_equal(weights(plain)[table], weights(run)[table])
    assert "backbone.scale" in weights(run)


@pytest.mark.one_backend
def test_examples_are_changed_behind_the_cut(train):
    settings = ("stages.finetune.data.split={validation=0.25, seed=1}", "tokenizer.lowercase=false")
    run, plain = train('["twice"]', *settings), train("[]", *settings, name="plain")

    cards = [(one.folder / "model" / "README.md").read_text() for one in (plain, run)]
    assert ["Trained on 300 examples" in cards[0], "Trained on 600 examples" in cards[1]] == [1, 1]
    model = run.model()
    assert {"RAIN", "rain"} <= model.tokenizer.vocabulary().keys()
    assert "RAIN" not in plain.model().tokenizer.vocabulary()
    assert model.predict(["RAIN WIND"]) == model.predict(["rain wind"])


@pytest.mark.one_backend
def test_a_change_of_batches_is_a_function_of_the_step(train):
    lines = {
        name: (train(extensions, name=name).folder / "finetune" / "metrics.jsonl").read_text()
        for name, extensions in {"a": '["drop_tokens"]', "b": '["drop_tokens"]', "c": "[]"}.items()
    }

    assert lines["a"] == lines["b"] != lines["c"]


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("extension", "said"),
    [
        (
            "nothing",
            "loomlm_batch gave None: a mistake in the extension nothing. A wrapper returns",
        ),
        (
            "wide",
            "loomlm_batch gave a batch of other arrays, dtypes or shapes: a mistake in the ex",
        ),
    ],
)
def test_what_an_extension_gives_back_is_checked(train, extension, said):
    with pytest.raises(PluginError, match=said):
        train(f'["{extension}"]')


@pytest.mark.one_backend
def test_every_text_to_predict_has_to_come_out_again(train):
    with pytest.raises(
        PluginError, match="Of 2 texts to predict, 0 came out of the extensions few"
    ):
        train('["fewer"]').model().predict(["rain", "wind"])


@pytest.mark.one_backend
def test_another_extension_makes_other_examples(train):
    runs = [train(f'["{name}"]', name=name, steps="1") for name in ("twice", "fewer")]

    told = [json.loads((run.folder / "data.json").read_text())["finetune"] for run in runs]
    assert [one["splits"]["train"]["examples"] for one in told] == [800, 400]


@pytest.mark.one_backend
def test_the_first_of_a_config_is_outermost(train):
    train('["drop_tokens", "twice"]', name="fine")
    with pytest.raises(PluginError, match="other arrays"):
        train('["drop_tokens", "wide"]', name="inner")


@pytest.mark.one_backend
def test_a_model_says_which_extension_it_lacks(train, tmp_path, loomlm_command):
    run = train('["scale"]')
    described = json.loads((run.folder / "model" / "config.json").read_text())
    assert described["extensions"] == [{"type": "scale"}]

    (run.folder / "model").rename(tmp_path / "alone")
    done = loomlm_command("predict", "alone", "rain")

    assert done.code == 2
    assert "There is no extension 'scale'." in done.err
    assert f"The model was made with {PLUGIN}" in done.err
    assert "load it with -p" in done.err
    assert loomlm_command("predict", "alone", "rain", "-p", PLUGIN).code == 0


@pytest.mark.one_backend
def test_resuming_with_another_extension_is_refused(train, loomlm_command):
    run = train('["drop_tokens"]')
    config = run.folder / "config.toml"

    done = loomlm_command(
        "run", config, "--resume", "--set", 'stages.finetune.extensions=["twice"]'
    )

    assert done.code == 2
    assert "stages.finetune.extensions" in done.err
