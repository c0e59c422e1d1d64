"""A model's folder: weights, tokenizer, and a config.json that says how to use them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from loomlm.components import Component
from loomlm.config.settings import Choice
from loomlm.config.show import plain
from loomlm.config.structure import make_converter, structure
from loomlm.contracts import Facts, Tokenizer
from loomlm.errors import PluginError, PluginWarning, UsageError
from loomlm.models.arrays import to_safetensors
from loomlm.registry import Registry
from loomlm.registry.plugins import version_of
from loomlm.registry.sources import code_of
from loomlm.storage.commit import Content, commit, verify

FORMAT = 1
WEIGHTS = "model.safetensors"


@frozen(kw_only=True)
class ModelConfig:
    """What a model's folder says of itself."""

    backend: str
    stage: str
    backbone: Choice
    task: Choice
    tokenizer: Choice
    clean: tuple[Choice, ...]
    facts: Facts
    extensions: tuple[Choice, ...] = ()


def save_model(
    folder: Path,
    config: ModelConfig,
    registry: Registry,
    tokenizer: Tokenizer,
    arrays: Iterable[tuple[str, np.ndarray]],
    card: str,
) -> None:
    """Write a model's folder, complete or not at all."""
    choices = (config.backbone, config.task, config.tokenizer, *config.clean, *config.extensions)
    described = {
        "format": FORMAT,
        "backend": config.backend,
        "stage": config.stage,
        "backbone": plain(config.backbone),
        "task": plain(config.task),
        "tokenizer": _without_file(plain(config.tokenizer)),
        "clean": plain(config.clean),
        "extensions": plain(config.extensions),
        "facts": config.facts,
        "made_by": {f"{c.kind}:{c.type}": made_by(registry, c) for c in choices},
    }
    text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
    files: dict[str, Content] = {
        # What UTF-8 has no bytes for, a label's lone surrogate, becomes JSON's own escape.
        "config.json": text.encode("utf-8", "backslashreplace"),
        WEIGHTS: to_safetensors(arrays),
        "README.md": card.encode(),
    }
    tokenizer_files = tokenizer.files()
    if taken := sorted(files.keys() & tokenizer_files.keys()):
        raise PluginError(
            f"The tokenizer {config.tokenizer.type!r} wants to save {taken[0]}, which is a "
            "file of the model itself. Its author has to choose another name."
        )
    commit(folder, {**files, **tokenizer_files})


def made_by(registry: Registry, choice: Choice) -> dict[str, str]:
    """Which plugin, at which version, brought a component; and, of a third party's, its code."""
    entry = registry.find(choice.kind, choice.type)
    code = code_of(entry.plugin, entry.component.target)
    return {
        "distribution": entry.plugin.distribution or entry.plugin.module,
        "version": entry.plugin.version,
        "component": entry.component.version,
        **({"code": code} if code else {}),
    }


def changed(made: Mapping[str, str], now: Mapping[str, str], what: str) -> str | None:
    """What is to be said of a component that `made_by` told otherwise before, if anything."""
    before, version = made.get("component"), now["component"]
    if before is not None and before != version:
        return f"{what} was of version {before} then, and is of version {version} now"
    same_release = made.get("version") == now["version"]
    if same_release and "code" in made and made["code"] != now.get("code"):
        return f"the code of {what} ({now['distribution']}) has changed since"
    return None


def _maker(source: Mapping[str, str], registry: Registry) -> tuple[str, str]:
    """Two sentences: what brought a component, and how to have it again."""
    name, release = source.get("distribution", ""), source.get("version", "")
    if not release:
        return f"The model was made with {name}.", "Have that module or file, and load it with -p."
    made_with = f"The model was made with {name} {release}."
    there = version_of(name)
    if there != release:
        return made_with, f'Install it: pip install "{name}=={release}"'
    if registry.is_loaded(name):
        return made_with, ""
    return made_with, f"That is installed, and left out here: load it with -p {name}."


def _warn_of_change(made: Mapping[str, str], now: Mapping[str, str], component: Component) -> None:
    said = changed(made, now, f"the {component.kind} {component.name!r}")
    if said is not None:
        warnings.warn(
            f"The model's results may be others than when it was made: {said}.",
            PluginWarning,
            stacklevel=2,
        )


def _without_file(tokenizer: dict[str, Any]) -> dict[str, Any]:
    """The tokenizer's own files are in the folder; where it was first read from is no matter."""
    return {name: value for name, value in tokenizer.items() if name != "file"}


def read_model(folder: Path, registry: Registry) -> ModelConfig:
    """A model folder's config, its components checked. Verifies every file first.

    Raises DamagedError for a folder that is not as it was written, and what `describe_model` does.
    """
    if not (folder / "config.json").is_file():
        raise UsageError(f"{folder} is not a model: it has no config.json.")
    verify(folder)
    return describe_model(folder, registry)


def describe_model(folder: Path, registry: Registry) -> ModelConfig:
    """A model folder's config, its components checked, its files taken as they are.

    Raises PluginError for a component that is not installed, or not in a version that knows its
    keys.
    """
    described: Mapping[str, Any] = json.loads((folder / "config.json").read_bytes())
    if described.get("format") != FORMAT:
        raise UsageError(
            f"{folder} has format {described.get('format')}; this loomlm reads {FORMAT}. "
            "Use the version that wrote it."
        )
    converter = make_converter(registry, folder)

    def choice(kind: str, value: Mapping[str, Any]) -> Choice:
        source = described["made_by"].get(f"{kind}:{value['type']}", {})
        made_with, way_out = _maker(source, registry)
        try:
            component = registry.find(kind, value["type"]).component
        except PluginError as error:
            raise PluginError(f"{error} {made_with} {way_out}".rstrip()) from None
        options = {name: inner for name, inner in value.items() if name != "type"}
        given = {name: inner for name, inner in options.items() if inner is not None}
        config, mistakes = structure(given, component.config, converter)
        if mistakes:
            path = ".".join(map(str, (kind, *mistakes[0].path)))
            said = f"{folder / 'config.json'}: {path}: {mistakes[0].message.rstrip('.')}."
            raise PluginError(f"{said} {made_with} {way_out}".rstrip())
        _warn_of_change(source, made_by(registry, Choice(kind, value["type"], None)), component)
        return Choice(kind, value["type"], config)

    return ModelConfig(
        backend=described["backend"],
        stage=described["stage"],
        backbone=choice("backbone", described["backbone"]),
        task=choice("task", described["task"]),
        tokenizer=choice("tokenizer", described["tokenizer"]),
        clean=tuple(choice("cleaner", value) for value in described["clean"]),
        facts=described["facts"],
        extensions=tuple(choice("extension", value) for value in described.get("extensions", ())),
    )
