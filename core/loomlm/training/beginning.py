"""What `init_from` means: the model that a stage begins with, and whether it fits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from loomlm.config.settings import SCRATCH, StageConfig
from loomlm.contracts import Facts, ModelSpec, Parameter, Tokenizer
from loomlm.data.prepare import load_tokenizer, tokenizer_digest
from loomlm.data.vocabularies import target_of
from loomlm.errors import UsageError
from loomlm.inference.folders import model_folder
from loomlm.models.arrays import from_safetensors
from loomlm.models.folder import WEIGHTS, read_model
from loomlm.registry import Registry
from loomlm.training.folder import MODEL

Arrays = Iterable[tuple[str, np.ndarray]]

MOST = 8
"""Differing parameters that an error lists."""


def first_model(stage: StageConfig, folder: Path) -> Path | None:
    """The folder of the model that a stage of the run in `folder` begins with, if any.

    Raises UsageError when `init_from` names no model.
    """
    if stage.init_from == SCRATCH:
        return None
    own = folder / stage.init_from / MODEL
    return own if (own / "config.json").is_file() else model_folder(Path(stage.init_from))


def check_first(
    first: Path,
    stage: str,
    spec: ModelSpec,
    added: frozenset[str],
    tokenizer: Tokenizer,
    registry: Registry,
) -> None:
    """Raise UsageError, saying what differs, where a stage cannot begin with a model.

    added: parameters that it need not have.
    """
    place = f"stages.{stage}.init_from"
    _check_vocabulary(first, place, tokenizer, registry)
    given = from_safetensors(first / WEIGHTS)
    _check_shapes(given, stored_shapes(spec.layout), added, first)


def check_stays(first: Path, stage: str, folder: Path) -> None:
    """Raise UsageError where a model would be removed together with the run in a folder."""
    if folder.resolve() in first.resolve().parents:
        raise UsageError(
            f"stages.{stage}.init_from: {first} would be removed by --overwrite before the stage "
            "begins with it. Give this run another name: --set name=..."
        )


def _check_vocabulary(first: Path, place: str, tokenizer: Tokenizer, registry: Registry) -> None:
    theirs = load_tokenizer(read_model(first, registry).tokenizer, registry, first)
    if tokenizer_digest(theirs) == tokenizer_digest(tokenizer):
        return
    there, here = _size(theirs), _size(tokenizer)
    sizes = (
        f"{there} tokens there, {here} here"
        if there != here
        else f"{there} tokens in both, not the same ones"
    )
    file = first / "tokenizer.json"
    raise UsageError(
        f"{place}: {first} has another vocabulary: {sizes}, so its weights would mean other tokens."
        + (f' Take its own: tokenizer.file = "{file}".' if file.is_file() else "")
    )


def _size(tokenizer: Tokenizer) -> str:
    target = target_of(tokenizer)
    written = f" and {target.vocab_size:,}" if target is not tokenizer else ""
    return f"{tokenizer.vocab_size:,}{written}"


def with_model(
    arrays: Arrays,
    first: Path,
    spec: ModelSpec,
    added: frozenset[str],
    facts: Facts,
    registry: Registry,
) -> Arrays:
    """Initial arrays with a model's in their place: its backbone's, and its head's if it fits.

    A head fits when its shape and its labels are the same. added: parameters that the model need
    not have. Raises UsageError that says what differs.
    """
    labels = read_model(first, registry).facts.get("labels")
    given = from_safetensors(first / WEIGHTS)
    stored = stored_shapes(spec.layout)
    _check_shapes(given, stored, added, first)
    same_head = labels == facts.get("labels") and _head_fits(given, stored)
    return _replaced(arrays, given, same_head)


def stored_shapes(layout: tuple[Parameter, ...]) -> dict[str, tuple[int, ...]]:
    """The shapes that a file of weights has: what is tied to another parameter is in it once."""
    return {p.name: p.shape for p in layout if p.tied_to is None}


def _replaced(
    arrays: Arrays, given: dict[str, np.ndarray], same_head: bool
) -> Iterator[tuple[str, np.ndarray]]:
    for name, values in arrays:
        taken = name in given and (same_head or not name.startswith("head."))
        yield name, given[name] if taken else values


def _head_fits(given: dict[str, np.ndarray], stored: dict[str, tuple[int, ...]]) -> bool:
    heads = {name for name in given.keys() | stored.keys() if name.startswith("head.")}
    return all(
        name in given and name in stored and given[name].shape == stored[name] for name in heads
    )


def _check_shapes(
    arrays: dict[str, np.ndarray],
    stored: dict[str, tuple[int, ...]],
    added: frozenset[str],
    first: Path,
) -> None:
    given = {name: array.shape for name, array in arrays.items()}
    names = sorted(n for n in given.keys() | stored.keys() if n.startswith("backbone."))
    differing = [
        name
        for name in names
        if given.get(name) != stored.get(name) and not (name in added and name not in given)
    ]
    if not differing:
        return
    shown = [
        f"  {name}: {shape_words(given.get(name))} there, {shape_words(stored.get(name))} here"
        for name in differing[:MOST]
    ]
    more = [f"  and {len(differing) - MOST} more"] if len(differing) > MOST else []
    listed = "\n".join([*shown, *more])
    raise UsageError(
        f"{first} is of another shape than this run's backbone:\n{listed}\n"
        f"Its own keys stand under `backbone` in {first / 'config.json'}."
    )


def shape_words(shape: tuple[int, ...] | None) -> str:
    """A shape in a sentence; none of what is not there."""
    return "none" if shape is None else f"({', '.join(map(str, shape))})"
