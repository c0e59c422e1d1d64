"""The model card: what a model is, how it was made, how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loomlm.config.settings import RunConfig

LOWEST = 5
"""Labels that the card names."""


def model_card(
    settings: RunConfig,
    stage: str,
    data: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    writes: bool,
    changes: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Markdown for the model's folder. data: what data.json says of the stage's. writes: whether
    the model writes text. changes: what resumed.jsonl says, of a run that went on otherwise.
    """
    chosen = next(s for s in settings.stages if s.name == stage)
    train = data["splits"]["train"]
    trained_on = f"{train['examples']:,} examples" if "examples" in train else "a stream"
    lines = [
        f"# {settings.name}",
        "",
        f"Task: {chosen.task.type}. Backbone: {settings.backbone.type}. "
        f"Tokenizer: {settings.tokenizer.type}. Trained on {trained_on} "
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
    lines += _details(evaluation.get(stage, {}))
    lines += ["", *_data(data["splits"]), *_changes(changes)]
    use = ["", "```python", "import loomlm", "", 'model = loomlm.load_model("path/to/this/folder")']
    call = 'model.generate("some text")' if writes else 'model.predict(["some text"])'
    return "\n".join([*lines, *use, call, "```", ""])


def _details(splits: Mapping[str, Any]) -> list[str]:
    """What the stage's evaluation says besides the scores: how sure they are, the lowest labels."""
    lines = []
    for name, scores in splits.items():
        details = scores.get("details", {})
        if interval := details.get("interval"):
            low, high = interval["low"], interval["high"]
            lines += [
                "",
                f"{name}: the {interval['level']:.0%} interval of {interval['metric']} is "
                f"{low:.4f} to {high:.4f} (bootstrap, {interval['resamples']:,} resamples).",
            ]
        if classes := details.get("per_class"):
            lowest = sorted(classes, key=lambda label: classes[label]["f1"])[:LOWEST]
            said = ", ".join(f"{label} {classes[label]['f1']:.4f}" for label in lowest)
            lines += ["", f"{name}: the lowest F1 of {len(classes)} labels: {said}."]
        lines += [line for note in details.get("notes", ()) for line in ("", note)]
    return lines


def _data(splits: Mapping[str, Any]) -> list[str]:
    """The sizes of the splits, and what cleaning did to them."""
    lines = ["| split | examples | tokens |", "|---|---|---|"]
    lines += [
        f"| {name} | {split['examples']:,} | {split['tokens']:,} |"
        for name, split in splits.items()
        if "examples" in split
    ]
    steps = [
        f"| {name} | {report['step']} | {report['read']:,} | {report['changed']:,} "
        f"| {sum(report['dropped'].values()):,} | {_reasons(report['dropped'])} |"
        for name, split in splits.items()
        for report in split["cleaning"]
        if "read" in report
    ]
    if not steps:
        return lines
    head = ["", "| split | cleaning step | read | changed | left out | why |"]
    return [*lines, *head, "|---|---|---|---|---|---|", *steps]


def _changes(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a run went on with in another way than it began."""
    if not changes:
        return []
    rows = []
    for change in changes:
        steps = ", ".join(f"{name} {step:,}" for name, step in change["steps"].items())
        rows += [
            f"| {steps or 'none'} | {one['name']} | {one['before']} | {one['now']} |"
            for one in change["differences"]
        ]
    said = "The run went on with changes, so its config alone does not give these weights again."
    return ["", said, "", "| after step | what | before | then |", "|---|---|---|---|", *rows]


def _reasons(dropped: Mapping[str, int]) -> str:
    return "; ".join(f"{count:,} {reason}" for reason, count in dropped.items())
