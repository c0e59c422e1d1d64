"""A model's folder: weights, tokenizer, and a config.json that says how to use them."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, frozen

from loomlm.components import Component
from loomlm.config.settings import Choice
from loomlm.config.show import plain
from loomlm.config.structure import WrongValueError, make_converter, structure
from loomlm.contracts import Facts, Tokenizer
from loomlm.errors import PluginError, PluginWarning, UsageError, did_you_mean
from loomlm.models.arrays import to_safetensors
from loomlm.registry import Registry
from loomlm.registry.plugins import version_of
from loomlm.registry.sources import code_of
from loomlm.storage.commit import Content, commit, verify
from loomlm.storage.foreign import ForeignError, check_files, is_inside, read_json, refuse_foreign

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
    second = (config.tokenizer.target,) if config.tokenizer.target else ()
    parts = (config.backbone, config.task, config.tokenizer, *second)
    choices = (*parts, *config.clean, *config.extensions)
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
    if not release or not all(map(_INSTALLED.fullmatch, (name, release))):
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
    return {
        name: _without_file(value) if name == "target" and isinstance(value, dict) else value
        for name, value in tokenizer.items()
        if name != "file"
    }


def read_model(folder: Path, registry: Registry) -> ModelConfig:
    """A model folder's config, its components checked. Verifies every file first.

    Raises ForeignError for a folder that holds what no model has, DamagedError for one that is not
    as it was written, and what `describe_model` does.
    """
    refuse_foreign(folder)
    if not (folder / "config.json").is_file():
        raise UsageError(f"{folder} is not a model: it has no config.json.")
    check_files(folder)
    verify(folder)
    return describe_model(folder, registry)


def describe_model(folder: Path, registry: Registry) -> ModelConfig:
    """A model folder's config, its components checked, its files taken as they are.

    A model's folder may come from anywhere: each of its keys is checked, an unknown one refused,
    and it names registered components, never code; a path in it is that of a file in the folder.

    Raises ForeignError for a config.json that is wrong, PluginError for a component that is not
    installed, or not in a version that knows its keys.
    """
    described = _described(folder / "config.json")
    parts = _Parts(folder, described["made_by"], registry)
    try:
        return ModelConfig(
            backend=described["backend"],
            stage=described["stage"],
            backbone=parts.choice("backbone", described["backbone"]),
            task=parts.choice("task", described["task"]),
            tokenizer=parts.tokenizer(described["tokenizer"]),
            clean=tuple(parts.choice("cleaner", value) for value in described["clean"]),
            facts=described["facts"],
            extensions=tuple(parts.choice("extension", v) for v in described["extensions"]),
        )
    except RecursionError:
        raise ForeignError(f"{folder / 'config.json'} is nested too deep to be read.") from None


_KEYS = {
    "format": int,
    "backend": str,
    "stage": str,
    "backbone": dict,
    "task": dict,
    "tokenizer": dict,
    "clean": list,
    "extensions": list,
    "facts": dict,
    "made_by": dict,
}
"""What a model's config.json has, and the type of each."""

_OPTIONAL = {"extensions": list, "made_by": dict}
"""Keys that a folder may lack, with what makes an empty one."""

_WORDS = {int: "a whole number", str: "a string", dict: "an object", list: "a list"}

_SHOWN = re.compile(r"[^\x00-\x1f\x7f]{0,1000}")
"""What is shown of who made a part."""

_INSTALLED = re.compile(r"[A-Za-z0-9][\w.+!-]{0,100}")
"""The names and versions that go into a command to type: nothing that a shell would heed."""


def _described(path: Path) -> dict[str, Any]:
    """A model's config.json with every key, each of its type."""
    described = read_json(path)
    if not isinstance(described, dict):
        raise ForeignError(f"{path} is {type(described).__name__}, not an object.")
    if described.get("format") != FORMAT or isinstance(described["format"], bool):
        given = repr(described.get("format"))[:40]
        raise UsageError(
            f"{path.parent} has format {given}; this loomlm reads {FORMAT}. "
            "Use the version that wrote it."
        )
    for name in described:
        if name not in _KEYS:
            raise ForeignError(
                f"{path}: there is no such key as {name[:80]!r}. {did_you_mean(name, _KEYS)}"
            )
    described |= {name: make() for name, make in _OPTIONAL.items() if name not in described}
    for name, kind in _KEYS.items():
        if name not in described:
            raise ForeignError(f"{path}: the key {name!r} is missing.")
        if not isinstance(described[name], kind):
            raise ForeignError(f"{path}: {name}: expected {_WORDS[kind]}.")
    if not is_inside(described["stage"]) or "/" in described["stage"]:
        raise ForeignError(f"{path}: stage: {described['stage'][:80]!r} names no stage.")
    _check_labels(path, described["facts"])
    _check_makers(path, described["made_by"])
    return described


def _check_labels(path: Path, facts: Mapping[str, Any]) -> None:
    """What a task learnt is its own to check, but for its labels, which are shown."""
    labels = facts.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ForeignError(f"{path}: facts.labels: expected a list of strings.")
    if len(set(labels)) < len(labels):
        raise ForeignError(f"{path}: facts.labels: a label stands there twice.")


def _check_makers(path: Path, makers: Mapping[str, Any]) -> None:
    for part, made in makers.items():
        fields = made if isinstance(made, dict) else {"": None}
        if not all(isinstance(said, str) and _SHOWN.fullmatch(said) for said in fields.values()):
            raise ForeignError(f"{path}: made_by.{part[:80]!r}: expected names and versions.")


@frozen
class _Parts:
    """Makes choices of what a model's folder says of its parts."""

    folder: Path
    made_by: Mapping[str, Mapping[str, str]]
    registry: Registry

    def tokenizer(self, value: Any) -> Choice:
        """A tokenizer, with the second one where its table has one."""
        if not isinstance(value, dict) or "target" not in value:
            return self.choice("tokenizer", value)
        first = {name: inner for name, inner in value.items() if name != "target"}
        second = self.choice("tokenizer", value["target"])
        return evolve(self.choice("tokenizer", first), target=second)

    def choice(self, kind: str, value: Any) -> Choice:
        """A component and its keys, as the folder has them."""
        path = self.folder / "config.json"
        name = value.get("type") if isinstance(value, dict) else None
        if not isinstance(name, str):
            raise ForeignError(f"{path}: {kind}: expected an object with a `type`.")
        source = self.made_by.get(f"{kind}:{name}", {})
        made_with, way_out = _maker(source, self.registry)
        try:
            component = self.registry.find(kind, name).component
        except PluginError as error:
            raise PluginError(f"{error} {made_with} {way_out}".rstrip()) from None
        given = {key: inner for key, inner in value.items() if key != "type" and inner is not None}
        converter = make_converter(self.registry, self.folder)
        converter.register_structure_hook(Path, lambda path, _: _own_file(path, self.folder))
        config, mistakes = structure(given, component.config, converter)
        if mistakes:
            place = ".".join(map(str, (kind, *mistakes[0].path)))
            said = f"{path}: {place}: {mistakes[0].message.rstrip('.')}."
            raise PluginError(f"{said} {made_with} {way_out}".rstrip())
        now = made_by(self.registry, Choice(kind, name, None))
        _warn_of_change(source, now, component)
        return Choice(kind, name, config)


def _own_file(value: Any, folder: Path) -> Path:
    """A path that a component's keys have: of a file in the folder, wherever it was once.

    What a part was first made from, word vectors say, is in the weights by now.
    """
    name = Path(value).name if isinstance(value, str | Path) else ""
    if not is_inside(name):
        raise WrongValueError(f"expected a path, got {value!r}")
    return folder / name
