"""An encoder-decoder through the contracts that language models and classifiers go through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import loomlm

SOURCE = Path(__file__).parents[1] / "third_party" / "loomlm_copying" / "src"
LETTERS = list("abcdefghijkl")
CONFIG = """\
name = "copying"
backend = "{backend}"
plugins = ["loomlm_copying"]
tokenizer = { type = "character" }
backbone = { type = "encoder_decoder", width = 64, longest = 16 }
trainer.compile = false

[[stages]]
name = "copy"
task = { type = "copy", context = 16 }
data = { train = "train.txt", test = "test.txt" }
trainer = { steps = 500, batch_size = 64, learning_rate = 6e-3, gradient_clip = 1.0 }
"""


def strings(count: int, seed: int) -> list[str]:
    """Random strings of 1 to 10 letters."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 11, count)
    return ["".join(generator.choice(LETTERS, length)) for length in lengths]


@pytest.fixture
def config(tmp_path, monkeypatch, backend) -> Path:
    monkeypatch.syspath_prepend(SOURCE)
    train, test = strings(4000, 1), strings(200, 2)
    unseen = [text for text in test if text not in set(train)]
    (tmp_path / "train.txt").write_text("\n".join(train))
    (tmp_path / "test.txt").write_text("\n".join(unseen))
    (tmp_path / "copying.toml").write_text(CONFIG.replace("{backend}", backend))
    return tmp_path / "copying.toml"


def test_beam_search_copies_strings_that_training_did_not_have(config, tmp_path):
    run = loomlm.run(config)
    unseen = (tmp_path / "test.txt").read_text().split()

    copied = run.model().generate(unseen, beams=2, max_tokens=15)

    right = sum(source == copy for source, copy in zip(unseen, copied, strict=True))
    assert right >= 0.95 * len(unseen) > 100
    assert run.evaluation["copy"]["test"]["perplexity"] < 1.05


RNN = 'backbone={type="rnn", encoder_decoder=true, cell="gru", layers=1, width=48}'


def test_the_rnn_attends_to_what_it_copies(config):
    """Its states alone could not hold a string that it never saw."""
    keys = [RNN, "stages.copy.trainer.steps=400", "stages.copy.trainer.threads=1"]
    run = loomlm.run(loomlm.load_config(config, set=keys))
    assert run.evaluation["copy"]["test"]["perplexity"] < 1.3

    sources = ["abc", "gg", "lkjihg"]
    written = run.model().generate(sources, beams=2, max_tokens=15)

    assert written == sources


SHORT = ["stages.copy.trainer.steps=20", "backbone.dropout=0.2"]


def test_a_source_of_any_length_is_read_and_answered_on_a_line_of_its_own(config, loomlm_command):
    model = loomlm.run(loomlm.load_config(config, set=SHORT)).model()

    sources = ["", "a", "ab" * 30]
    written = model.generate(sources, temperature=0, max_tokens=100)
    assert written == [model.generate(source, temperature=0, max_tokens=100) for source in sources]
    # No token fits behind the 16th, whose place is the last.
    assert max(map(len, written)) <= 16
    done = loomlm_command("generate", "runs/copying", "--prompt", "abc", "--temperature", 0)
    assert done.out == f"abc\n{model.generate('abc', temperature=0)}\n"


def test_a_batch_that_is_cut_gives_the_same_curve(config):
    whole = loomlm.run(loomlm.load_config(config, set=[SHORT[0]]), runs="whole")
    cut = loomlm.run(
        loomlm.load_config(config, set=[SHORT[0], "stages.copy.trainer.accumulate=4"]), runs="cut"
    )

    expected = whole.evaluation["copy"]["test"]["loss"]
    assert cut.evaluation["copy"]["test"]["loss"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.one_backend
def test_a_backbone_without_a_decoder_is_refused(config):
    with pytest.raises(loomlm.ConfigError, match="copy needs a backbone that can do encoder_deco"):
        loomlm.load_config(config, set=['backbone={type="mlp"}'])
