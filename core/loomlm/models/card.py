"""The model card: what a model is, how it was made, how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loomlm.config.settings import RunConfig


def model_card(
    settings: RunConfig, stage: str, examples: int, evaluation: Mapping[str, Any], writes: bool
) -> str:
    """Markdown for the model's folder. writes: whether the model writes text."""
    chosen = next(s for s in settings.stages if s.name == stage)
    lines = [
        f"# {settings.name}",
        "",
        f"Task: {chosen.task.type}. Backbone: {settings.backbone.type}. "
        f"Tokenizer: {settings.tokenizer.type}. Trained on {examples:,} examples "
        f"with the {settings.backend} backend, seed {settings.seed}.",
        "",
        "| stage | split | metric | value |",
        "|---|---|---|---|",
    ]
    for name, splits in evaluation.items():
        for split, scores in splits.items():
            lines += [
                f"| {name} | {split} | {metric} | {value:.4f} |"
                for metric, value in scores.items()
                if isinstance(value, int | float)
            ]
    use = ["", "```python", "import loomlm", "", 'model = loomlm.load_model("path/to/this/folder")']
    call = 'model.generate("some text")' if writes else 'model.predict(["some text"])'
    return "\n".join([*lines, *use, call, "```", ""])
