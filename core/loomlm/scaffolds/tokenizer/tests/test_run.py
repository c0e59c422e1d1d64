"""A small run with the tokenizer: a model learns from its ids, and writes text."""

import loomlm


def test_a_language_model_learns_from_its_ids(tmp_path, monkeypatch):
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache"))
    text = "".join(f"Línea {number % 7}: el pingüino come.\n" for number in range(400))
    (tmp_path / "corpus.txt").write_text(text, encoding="utf-8")
    config = loomlm.load_config(
        {
            "name": "lines",
            "backend": "torch",
            "tokenizer": "plugin_component",
            "backbone": {"type": "mlp", "width": 32, "window": 8},
            "trainer": {
                "steps": 150,
                "batch_size": 8,
                "learning_rate": 1e-2,
                "threads": 1,
                "compile": False,
            },
            "stages": [
                {
                    "name": "pretrain",
                    "task": {"type": "causal_lm", "context": 32},
                    "data": {
                        "train": str(tmp_path / "corpus.txt"),
                        "split": {"validation": 0.1, "by": "position"},
                    },
                }
            ],
        }
    )

    run = loomlm.run(config, runs=tmp_path / "runs")

    # A guess among all bytes costs ln(258) = 5.55.
    assert run.evaluation["pretrain"]["validation"]["loss"] < 1
    model = loomlm.load_model(run.folder)
    assert "pingüino" in model.generate("Línea 3: el ", max_tokens=40)
