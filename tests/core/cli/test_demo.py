"""`loomlm demo`: its config is right, and what it shows at the end is what came out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import loomlm

pytestmark = pytest.mark.one_backend


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo with a smaller model and fewer steps."""
    from loomlm_templates import demo

    small = demo.DEMO
    for long, short in (
        ("steps = 400", "steps = 12"),
        ("evaluate_every = 200", 'evaluate_every = "never"'),
        ("epochs = 3", "epochs = 0.1"),
        ("layers = 4", "layers = 1"),
        ("width = 128", "width = 32"),
        ("vocab_size = 4096", "vocab_size = 1024"),
        ("rate = 3e-3", "rate = 3e-3\nthreads = 1\ncompile = false"),
        ("rate = 1e-3", "rate = 1e-3\nthreads = 1\ncompile = false"),
    ):
        assert long in small
        small = small.replace(long, short)
    monkeypatch.setattr(demo, "DEMO", small)


@pytest.mark.each_backend
def test_the_config_alone(loomlm_command, backend):
    done = loomlm_command("demo", "--config-only", "--backend", backend)

    assert done.code == 0
    Path("my.toml").write_text(done.out)
    settings = loomlm.load_config("my.toml").settings
    assert settings.backend == backend
    assert [stage.name for stage in settings.stages] == ["pretrain", "finetune"]
    assert settings.stages[1].init_from == "pretrain"
    assert not Path("runs").exists()


def test_what_the_demo_shows_is_what_came_out(quick, loomlm_command, backend):
    done = loomlm_command("demo", "--backend", backend)

    assert done.code == 0
    scores = json.loads(Path("runs/demo/evaluation.json").read_text())["finetune"]["test"]
    row = next(line for line in done.out.splitlines() if line.startswith("finetune of this run"))
    assert row.split()[-2:] == [f"{scores['accuracy']:.2%}", f"{scores['f1']:.4f}"]
    for part in ("majority class", "TF-IDF", "Predictions:", "The language model, after", "Model:"):
        assert part in done.out
    assert " points " in done.out

    again = loomlm_command("demo", "--backend", backend)
    assert again.code == 0
    assert "It has ended already" in again.err
    assert again.out == done.out
