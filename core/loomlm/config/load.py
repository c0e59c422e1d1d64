"""Reads a config: a TOML file, a dict, `--set` assignments; all through one door."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from loomlm.config.check import check_run
from loomlm.config.needs import required_problems
from loomlm.config.parsing import parse_toml
from loomlm.config.positions import KeyPath, key_lines
from loomlm.config.secrets import secrets_in
from loomlm.config.settings import SCRATCH, RunConfig
from loomlm.config.structure import Mistake, make_converter, structure
from loomlm.deprecations import warn_of_keys
from loomlm.errors import ConfigError, Problem, UsageError, did_you_mean, sentence
from loomlm.registry import Control, Registry

ALTERNATIVES = {
    "steps": "epochs",
    "epochs": "steps",
    "batch_size": "batch_tokens",
    "batch_tokens": "batch_size",
}
"""Trainer keys of which a stage gives one: its own silences the other's default."""

SET = "--set"
"""The origin of what was assigned."""


@frozen
class Config:
    """A checked config.

    settings: the attrs classes. registry: the plugins that it was checked with. origins: for each
    key that was given, the file and line, or `--set`. folder: where relative paths start.
    """

    settings: RunConfig
    registry: Registry
    origins: Mapping[KeyPath, str]
    folder: Path


@frozen
class Tree:
    """Plain values as they were given, and where each came from."""

    values: dict[str, Any]
    origins: dict[KeyPath, str]
    folder: Path


def load_config(
    config: str | Path | Mapping[str, Any],
    *,
    set: Sequence[str] = (),  # noqa: A002 - named as on the command line
    backend: str | None = None,
    plugins: Sequence[str] = (),
    block: Iterable[str] = (),
) -> Config:
    """Read and check a config, from a TOML file or a dict.

    set: assignments such as "stages.finetune.trainer.learning_rate=3e-4". backend: overrides the
    config's. plugins: modules or .py files to load; block: names of plugins not to load.

    Raises ConfigError with every mistake, UsageError when the file cannot be read, PluginError
    when one of `plugins` cannot be loaded.
    """
    if not isinstance(config, str | Path | Mapping):
        raise UsageError(f"A config is a .toml file or a dict, not {config!r}.")
    tree = read_tree(config)
    for assignment in set:
        assign(tree, assignment)
    if backend is not None:
        tree.values["backend"] = backend
        tree.origins["backend",] = "--backend"
    registry = Registry.load(plugins, block, control_of(tree))
    problems = [*_plugin_problems(tree, registry), *_required_problems(tree, registry)]
    try:
        checked = check_tree(tree, registry)
    except ConfigError as error:
        raise ConfigError(dict.fromkeys((*problems, *error.problems))) from None
    if problems:
        raise ConfigError(problems)
    return checked


def _plugin_problems(tree: Tree, registry: Registry) -> Iterator[Problem]:
    """A plugin that a config names has to load."""
    for index, name in enumerate(control_of(tree).load):
        for plugin in registry.plugins:
            # One that is blocked by its name is left out without a word: somebody said so.
            if plugin.error and name in (plugin.name, plugin.module):
                said = sentence(f"The plugin cannot be loaded: {plugin.error}")
                place = origin_of(("plugins", "load", index), tree.origins)
                yield Problem(said, f"plugins.{index}", place)


def _required_problems(tree: Tree, registry: Registry) -> Iterator[Problem]:
    for index, message in required_problems(_names(tree.values, "required_plugins"), registry):
        path = ("required_plugins", index)
        yield Problem(message, "required_plugins", origin_of(path, tree.origins))


def check_tree(tree: Tree, registry: Registry) -> Config:
    """Check plain values with the registry's components.

    Raises ConfigError with every mistake.
    """
    merged = _merge_defaults(tree)
    converter = make_converter(registry, merged.folder)
    settings, mistakes = structure(merged.values, RunConfig, converter)
    secrets = tuple(secrets_in(merged.values))
    if secrets:
        # Alone: what else is wrong may show the value.
        raise ConfigError(dict.fromkeys(_problem(mistake, tree, merged) for mistake in secrets))
    # What is wrong between keys is told at once too, where the other keys make a config.
    sound = structure(_without(merged.values, mistakes), RunConfig, converter)
    if not sound[1]:
        settings = _placed(sound[0], merged.folder)
        mistakes = (*mistakes, *check_run(settings, registry))
    # What [trainer] says wrong is wrong in every stage, and told once.
    problems = dict.fromkeys(_problem(mistake, tree, merged) for mistake in mistakes)
    problems |= dict.fromkeys(_unheard(tree))
    if problems:
        raise ConfigError(sorted(problems, key=_by_line))
    warn_of_keys(settings, merged.origins)
    return Config(settings, registry, merged.origins, merged.folder)


def _without(values: Mapping[str, Any], mistakes: Sequence[Mistake]) -> dict[str, Any]:
    """A copy of plain values without the keys that are wrong."""
    copy = deepcopy(dict(values))
    for *steps, last in (mistake.path for mistake in mistakes if mistake.path):
        node: Any = copy
        for step in steps:
            # Of plugins a list is short for a table, so that what is wrong in it has a longer path.
            named = isinstance(node, dict)
            node = node.get(step, {}) if named else node[step] if isinstance(step, int) else {}
        if isinstance(node, dict):
            node.pop(last, None)
    return copy


def _placed(settings: RunConfig, folder: Path) -> RunConfig:
    """The settings with paths in `init_from`, which may be a stage's name, from the config on."""
    names = {SCRATCH, *(stage.name for stage in settings.stages)}
    stages = tuple(
        stage
        if stage.init_from in names
        else evolve(stage, init_from=str(folder / Path(stage.init_from).expanduser()))
        for stage in settings.stages
    )
    return evolve(settings, stages=stages)


def read_tree(config: str | Path | Mapping[str, Any]) -> Tree:
    """The plain values of a TOML file or a dict."""
    if isinstance(config, Mapping):
        values = _as_lists(config)
        return Tree(values, dict.fromkeys([(), *_all_paths(values)], "dict"), Path.cwd())
    path = Path(config)
    text = _read(path)
    try:
        values = parse_toml(text)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    origins: dict[KeyPath, str] = {(): str(path)}
    origins |= {key: f"{path}:{line}" for key, line in key_lines(text).items()}
    return Tree(values, origins, path.resolve().parent)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # Some editors on Windows put a mark first.
    except FileNotFoundError:
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*.toml")])
        raise UsageError(f"There is no config {path}. {near}".rstrip()) from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder; a config is a .toml file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The config {path} cannot be read: {error}.") from None


def control_of(tree: Tree) -> Control:
    """What a config says of plugins; files are taken from beside it.

    What is of a wrong type counts for nothing here: the check of the whole config reports it.
    """
    table = tree.values.get("plugins", {})
    if not isinstance(table, Mapping):
        table = {"load": table}

    def placed(name: str) -> str:
        path = tree.folder / Path(name).expanduser()
        return str(path.resolve()) if name.endswith(".py") else name

    return Control(
        load=tuple(map(placed, _names(table, "load"))),
        block=tuple(map(placed, _names(table, "block"))),
        allow=_names(table, "allow") if "allow" in table else None,
        order=_names(table, "order"),
    )


def _names(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = table.get(key, [])
    is_right = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if is_right else ()


def assign(tree: Tree, assignment: str) -> None:
    """Carry out one `--set a.b.c=value`."""
    name, equals, text = assignment.partition("=")
    if not equals or not all(step.strip() for step in name.split(".")):
        raise UsageError(f"--set {assignment}: expected KEY=VALUE, such as seed=3.")
    try:
        value = parse_value(text.strip())
    except UsageError as error:
        raise UsageError(f"--set {assignment[:80]}: {error}") from None
    node: Any = tree.values
    path: KeyPath = ()
    *steps, last = name.strip().split(".")
    for step in steps:
        node, path = _enter(node, path, step, assignment, tree.origins)
    if isinstance(node, list):
        last = str(_index(node, last, assignment))
        node[int(last)] = value
        path += (int(last),)
    else:
        node[last] = value
        path += (last,)
    for old in [key for key in tree.origins if key[: len(path)] == path]:
        del tree.origins[old]
    for inner in ((), *_all_paths(value)):
        tree.origins[path + inner] = SET


def _enter(
    node: Any, path: KeyPath, step: str, assignment: str, origins: dict[KeyPath, str]
) -> tuple[Any, KeyPath]:
    if isinstance(node, list):
        index = _index(node, step, assignment)
        return node[index], (*path, index)
    inner = node.setdefault(step, {})
    if isinstance(inner, str):
        inner = node[step] = {"type": inner}  # A component given by its name alone.
        origins[(*path, step, "type")] = origin_of((*path, step), origins)
        origins[(*path, step)] = SET
    if not isinstance(inner, dict | list):
        raise UsageError(f"--set {assignment}: {step!r} is {inner!r}, not a table.")
    return inner, (*path, step)


def _index(items: list[Any], step: str, assignment: str) -> int:
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    if step in names:
        return names.index(step)
    if step.isdigit() and int(step) < len(items):
        return int(step)
    known = [name for name in names if isinstance(name, str)]
    raise UsageError(f"--set {assignment}: there is no {step!r}. {did_you_mean(step, known)}")


def parse_value(text: str) -> Any:
    """A TOML value, or else the text itself, so that `name=news` needs no quotes.

    Raises UsageError for one that is nested too deep.
    """
    try:
        found = parse_toml(f"value = {text}")
    except UsageError as error:
        if str(error).startswith("not valid"):
            return text
        raise
    return found["value"]


def _merge_defaults(tree: Tree) -> Tree:
    """Give each stage what the top-level [trainer] says and the stage does not."""
    values = dict(tree.values)
    origins = dict(tree.origins)
    defaults = values.pop("trainer", {})
    stages = values.get("stages")
    if not isinstance(defaults, dict):
        raise ConfigError(
            [
                Problem(
                    f"expected a table, got {defaults!r}.",
                    "trainer",
                    origin_of(("trainer",), origins),
                )
            ]
        )
    if not isinstance(stages, list):
        return Tree(values, origins, tree.folder)  # The check of the whole config reports it.
    values["stages"] = [
        _with_trainer(stage, index, defaults, origins) for index, stage in enumerate(stages)
    ]
    return Tree(values, origins, tree.folder)


def _unheard(tree: Tree) -> Iterator[Problem]:
    """Keys of [trainer] that were set for this run, where every stage has its own, and another."""
    defaults, stages = (tree.values.get(name) for name in ("trainer", "stages"))
    set_now = {
        str(path[1])
        for path, origin in tree.origins.items()
        if len(path) > 1 and path[0] == "trainer" and origin == SET
    }
    if not (set_now and isinstance(defaults, dict) and isinstance(stages, list) and stages):
        return
    for name in sorted(set_now):
        own = [_own(stage, name) for stage in stages]
        if all(own) and any(stage["trainer"].get(name) != defaults[name] for stage in stages):
            first = show_path(("stages", 0, "trainer", own[0]), tree.values)
            yield Problem(
                f"changes nothing, since every stage has its own {' or '.join(dict.fromkeys(own))}"
                f". Set {first}.",
                f"trainer.{name}",
                SET,
            )


def _own(stage: Any, name: str) -> str:
    """The key by which a stage silences a default of [trainer], or ""."""
    trainer = stage.get("trainer") if isinstance(stage, dict) else None
    known = trainer if isinstance(trainer, dict) else {}
    return next((key for key in (name, ALTERNATIVES.get(name)) if key and key in known), "")


def _with_trainer(
    stage: Any, index: int, defaults: dict[str, Any], origins: dict[KeyPath, str]
) -> Any:
    if not isinstance(stage, dict) or not isinstance(stage.get("trainer", {}), dict):
        return stage
    own = stage.get("trainer", {})
    taken = {name: value for name, value in defaults.items() if not _own(stage, name)}
    for path, origin in list(origins.items()):
        if len(path) > 1 and path[0] == "trainer" and path[1] in taken:
            origins["stages", index, *path] = origin
    return {**stage, "trainer": {**taken, **own}}


def _as_lists(value: Any) -> Any:
    """A copy of plain values, with lists for tuples, as a TOML file would give them."""
    if isinstance(value, Mapping):
        return {name: _as_lists(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_lists(inner) for inner in value]
    return value


def _all_paths(value: Any) -> Iterable[KeyPath]:
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    for name, inner in items:
        yield (name,)
        for path in _all_paths(inner):
            yield (name, *path)


def _problem(mistake: Mistake, given: Tree, merged: Tree) -> Problem:
    path, values = mistake.path, merged.values
    if path not in given.origins and path[2:] in given.origins and path[2:3] == ("trainer",):
        path, values = path[2:], given.values  # The stage has it from [trainer].
    return Problem(
        message=sentence(mistake.message),
        key=show_path(path, values),
        place=origin_of(path, merged.origins),
    )


def _by_line(problem: Problem) -> tuple[str, int]:
    file, _, line = problem.place.rpartition(":")
    return (file, int(line)) if line.isdigit() else (problem.place, 0)


def origin_of(path: KeyPath, origins: Mapping[KeyPath, str]) -> str:
    """Where a key came from, or its first inner key, or the table around it."""
    while path and path not in origins:
        for inner, origin in origins.items():
            if inner[: len(path)] == path:
                return origin
        path = path[:-1]
    return origins.get(path, "")


def show_path(path: KeyPath, values: Mapping[str, Any]) -> str:
    """A key as --set takes it: `stages.finetune.trainer.steps`."""
    shown: list[str] = []
    node: Any = values
    for step in path:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            node = None
        # A stage goes by its name; a component may have a key of that name.
        is_stage = isinstance(step, int) and isinstance(node, Mapping) and "type" not in node
        name = node.get("name") if is_stage else None
        shown.append(str(step if name is None else name))
    return ".".join(shown)
