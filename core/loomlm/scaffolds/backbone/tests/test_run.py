"""A small run with the backbone on each backend: both must come to the same."""

import loomlm
import pytest

BACKENDS = {"torch": "torch", "tensorflow": "keras"}


def run(backend, folder):
    """Learns to tell orders of words apart, which no bag of words could."""
    texts = {"not good but bad": "bad", "not bad but good": "good"}
    rows = [f"{number} {text},{texts[text]}" for number in range(80) for text in texts]
    (folder / "all.csv").write_text("text,label\n" + "\n".join(rows), encoding="utf-8")
    config = loomlm.load_config(
        {
            "name": backend,
            "backend": backend,
            "tokenizer": "word",
            "backbone": {"type": "plugin_component", "width": 8, "phrases": 16},
            "trainer": {
                "steps": 60,
                "batch_size": 16,
                "learning_rate": 1e-2,
                "device": "cpu",
                "threads": 1,
                "compile": False,
            },
            "stages": [
                {
                    "name": "finetune",
                    "task": "classification",
                    "data": {
                        "train": str(folder / "all.csv"),
                        "label": "label",
                        "split": {"test": 0.2},
                    },
                }
            ],
        }
    )
    done = loomlm.run(config, runs=folder / "runs")
    return done.evaluation["finetune"]["test"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_learns(backend, tmp_path, monkeypatch):
    pytest.importorskip(BACKENDS[backend])
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache"))

    assert run(backend, tmp_path)["accuracy"] > 0.9


def test_the_backends_agree(tmp_path, monkeypatch):
    for module in BACKENDS.values():
        pytest.importorskip(module)
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache"))

    losses = [run(backend, tmp_path)["loss"] for backend in BACKENDS]

    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
