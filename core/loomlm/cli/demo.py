"""`loomlm demo`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import click

from loomlm.cli.options import load_registry, plugin_options, split_plugins

SHOWN = 3
"""Predictions that are shown."""

WIDTH = 60
"""Characters of a text that are shown."""


@click.command("demo")
@click.option("--config-only", is_flag=True, help="Print the config, and run nothing.")
@click.option("--runs", metavar="DIR", help="Where runs go: by default LOOMLM_RUNS, or ./runs.")
@click.option("--backend", metavar="NAME", help="The backend; by default one that is installed.")
@click.option("--overwrite", is_flag=True, help="Start anew where the demo has run already.")
@plugin_options
def command(
    config_only: bool,
    runs: str | None,
    backend: str | None,
    overwrite: bool,
    plugins: tuple[str, ...],
) -> None:
    """Everything once, on Python's own documentation: nothing to download, a few minutes.

    Prepares the text, trains a tokenizer, pretrains a small language model, fine-tunes it to tell
    which area of the standard library a text is about, and evaluates it beside two baselines.
    """
    from loomlm.data.looking import look

    registry = load_registry(plugins)
    template = registry.default("template")
    assert template is not None
    written = look(template, None, "demo", backend, registry)
    click.echo(written)
    if not config_only:
        _run(written, runs, overwrite, plugins)


def _run(written: str, runs: str | None, overwrite: bool, plugins: tuple[str, ...]) -> None:
    from loomlm.cli.progress import ProgressLine
    from loomlm.config.load import load_config
    from loomlm.training.run import run

    extra, block = split_plugins(plugins)
    config = load_config(tomllib.loads(written), plugins=extra, block=block)
    done = run(
        config,
        runs=runs,
        resume="never" if overwrite else "auto",
        overwrite=overwrite,
        observers=[ProgressLine()],
    )
    _show(done, config)


def _show(done: Any, config: Any) -> None:
    from loomlm.cli.tables import table
    from loomlm.data.reading import read_examples
    from loomlm.inference.baselines import baselines

    *_, last = config.settings.stages
    splits = read_examples(last.data, config.registry, config.settings.seed, _quiet).splits
    ours = done.evaluation[last.name]["test"]
    found = baselines(splits["train"], splits["test"])
    rows = [(b.name, f"{b.accuracy:.2%}", f"{b.f1:.4f}") for b in found]
    rows.append((f"{last.name} of this run", f"{ours['accuracy']:.2%}", f"{ours['f1']:.4f}"))
    click.echo()
    table((f"test split, {len(splits['test']):,} texts", "accuracy", "macro F1"), rows)
    click.echo(_verdict(ours["accuracy"], found[-1]))
    for line in (*_predictions(done, splits["test"]), *_written(done, splits["test"])):
        click.echo(line)
    click.echo(f"\nRun:   {done.folder}\nModel: {done.folder / 'model'}")
    click.echo("A config to start from: loomlm demo --config-only > my.toml")


def _verdict(accuracy: float, baseline: Any) -> str:
    points = 100 * (accuracy - baseline.accuracy)
    word = "above" if points >= 0 else "below"
    return f"The model is {abs(points):.1f} points {word} {baseline.name}."


def _predictions(done: Any, test: Any) -> Iterator[str]:
    """Some texts of the test split, evenly apart, with what the model says of them."""
    step = max(1, len(test) // SHOWN)
    examples = list(test.examples())[step // 2 :: step][:SHOWN]
    found = done.model().predict([example.text for example in examples])
    yield "\nPredictions:"
    for example, prediction in zip(examples, found, strict=True):
        sure = prediction["probabilities"][prediction["label"]]
        text = " ".join(example.text.split())
        shown = text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
        right = "right" if prediction["label"] == example.label else f"it is {example.label}"
        yield f"  {shown}\n    -> {prediction['label']} ({sure:.0%}), {right}"


def _written(done: Any, test: Any) -> Iterator[str]:
    """How the language model goes on from the first words of a text."""
    from loomlm.inference.model import load_model

    words = next(test.texts()).split()[:3]
    prompt = " ".join(words)
    said = load_model(done.folder, generates=True).generate(prompt, max_tokens=60, temperature=0.7)
    yield f"\nThe language model, after {prompt!r}:\n  " + f"{prompt}{said}".replace("\n", "\n  ")


def _quiet(message: str) -> None:
    """What is read here has been read before."""
