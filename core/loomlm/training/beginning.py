"""What `init_from` means: the model that a stage begins with, and whether it fits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from loomlm.config.settings import SCRATCH, Choice, StageConfig
from loomlm.config.show import plain
from loomlm.contracts import Backbone, Facts, ModelSpec, Parameter, Tokenizer
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
    backbone: Backbone,
    registry: Registry,
) -> None:
    """Raise UsageError, saying what differs, where a stage cannot begin with a model.

    added: parameters that it need not have. backbone: the stage's.
    """
    place = f"stages.{stage}.init_from"
    _check_vocabulary(first, place, tokenizer, registry)
    given = from_safetensors(first / WEIGHTS)
    theirs = read_model(first, registry).backbone
    keys = differing_keys(theirs, Choice("backbone", spec.backbone, spec.config))
    _check_shapes(given, stored_shapes(spec.layout), added, first, keys)
    free = getattr(backbone, "free", None)
    meant = [
        line
        for name, line in keys.items()
        if free is not None and name not in free and not name.endswith("dropout")
    ]
    if meant:
        raise UsageError(
            f"{place}: {first} has weights of the same shapes, and they mean something else in "
            "this run's backbone:\n" + "\n".join(meant) + "\nTake its keys."
        )


def differing_keys(theirs: Choice, ours: Choice) -> dict[str, str]:
    """The keys of two backbones that differ, with a line of each for a user."""
    there, here = plain(theirs), plain(ours)
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    return {
        name: f"  backbone.{name} = {_word(there.get(name))} there, {_word(here.get(name))} here"
        for name in names
    }


def _word(value: object) -> str:
    return "none" if value is None else json.dumps(value)


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
) -> tuple[Arrays, list[str]]:
    """Initial arrays with a model's in their place: its backbone's, and its head's if it fits.

    A head fits when its shape and its labels are the same. added: parameters that the model need
    not have. Also the names of those that keep their initial values. Raises UsageError that says
    what differs.
    """
    model = read_model(first, registry)
    given = from_safetensors(first / WEIGHTS)
    stored = stored_shapes(spec.layout)
    keys = differing_keys(model.backbone, Choice("backbone", spec.backbone, spec.config))
    _check_shapes(given, stored, added, first, keys)
    same_head = model.facts.get("labels") == facts.get("labels") and _head_fits(given, stored)
    taken = {name for name in given if same_head or not name.startswith("head.")}
    return _replaced(arrays, given, taken), [name for name in stored if name not in taken]


def stored_shapes(layout: tuple[Parameter, ...]) -> dict[str, tuple[int, ...]]:
    """The shapes that a file of weights has: what is tied to another parameter is in it once."""
    return {p.name: p.shape for p in layout if p.tied_to is None}


def _replaced(
    arrays: Arrays, given: dict[str, np.ndarray], taken: set[str]
) -> Iterator[tuple[str, np.ndarray]]:
    for name, values in arrays:
        yield name, given[name] if name in taken else values


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
    keys: Mapping[str, str],
) -> None:
    """keys: of the backbones' configs, those that differ, with a line of each."""
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
        + ("".join(f"{line}\n" for line in keys.values()))
        + f"Its own keys stand under `backbone` in {first / 'config.json'}."
    )


def shape_words(shape: tuple[int, ...] | None) -> str:
    """A shape in a sentence; none of what is not there."""
    return "none" if shape is None else f"({', '.join(map(str, shape))})"
