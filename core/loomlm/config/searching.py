"""What `loomlm sweep` searches: the keys of `[sweep.search]`, each held against its own key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from attrs import frozen

from loomlm.config.load import Tree, assign, check_tree, origin_of
from loomlm.config.settings import SearchRange
from loomlm.config.show import to_toml
from loomlm.errors import ConfigError, Problem, UsageError, sentence
from loomlm.registry import Registry

FIXED = ("name", "plugins", "required_plugins", "sweep", "backends")
"""Tables that all trials of a sweep share."""


@frozen
class Dimension:
    """A key that is searched.

    whole: whether its values are whole numbers. choices: as TOML, in place of a range.
    """

    key: str
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    whole: bool = False
    choices: tuple[str, ...] = ()

    def drawn(self, trial: Any) -> str:
        """What a trial of Optuna is to have, as `--set` takes it."""
        if self.choices:
            return f"{self.key}={trial.suggest_categorical(self.key, self.choices)}"
        if self.whole:
            low, high, step = int(self.low), int(self.high), int(self.step or 1)
            return f"{self.key}={trial.suggest_int(self.key, low, high, step=step, log=self.log)}"
        value = trial.suggest_float(self.key, self.low, self.high, step=self.step, log=self.log)
        return f"{self.key}={value!r}"


def dimensions(
    tree: Tree, search: Mapping[str, SearchRange], registry: Registry
) -> tuple[Dimension, ...]:
    """The keys that are searched, in the order of the config.

    tree: the config, as it was given. Both ends of a range, and each choice, are tried on the
    config. Raises ConfigError with every mistake.
    """
    problems: list[Problem] = []
    found = []
    for key, given in search.items():
        values = given.choices or (given.low, given.high)
        told = dict.fromkeys(p for value in values for p in _problems(tree, key, value, registry))
        problems += told
        found.append(_dimension(tree, key, given, registry))
    if not search:
        place = origin_of(("sweep",), tree.origins)
        said = 'nothing is searched. Give a range, such as "trainer.learning_rate" = '
        problems.append(
            Problem(f"{said}{{ low = 1e-4, high = 1e-2, log = true }}.", "sweep.search", place)
        )
    if problems:
        raise ConfigError(problems)
    return tuple(found)


def as_toml(value: Any) -> str:
    """A value as a config has it, in a line."""
    import tomli_w

    if isinstance(value, Mapping):
        inner = ", ".join(f"{tomli_key(name)} = {as_toml(one)}" for name, one in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_toml, value))}]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n")


def tomli_key(name: str) -> str:
    """A key as TOML has it, in quotes where it needs them."""
    return to_toml({name: 0}).removesuffix(" = 0\n")


def _dimension(tree: Tree, key: str, given: SearchRange, registry: Registry) -> Dimension:
    if given.choices:
        return Dimension(key, choices=tuple(map(as_toml, given.choices)))
    assert given.low is not None
    assert given.high is not None
    numbers = [n for n in (given.low, given.high, given.step) if n is not None]
    whole = all(isinstance(number, int) for number in numbers)
    # A range from 0 to 1 is one of whole numbers where the key wants those alone.
    if whole and given.step is None:
        whole = any(_problems(tree, key, given.low + 0.5, registry))
    return Dimension(key, given.low, given.high, given.step, given.log, whole)


def _problems(tree: Tree, key: str, value: Any, registry: Registry) -> Iterator[Problem]:
    """What is wrong with a value of a key, by itself: how it goes with others is for the trial."""
    where = f"sweep.search.{tomli_key(key)}"
    place = origin_of(("sweep", "search", key), tree.origins)
    if key.split(".", maxsplit=1)[0] in FIXED:
        yield Problem("all trials have the same; it cannot be searched.", where, place)
        return
    tried = Tree(deepcopy(tree.values), dict(tree.origins), tree.folder)
    given = f"{key}={as_toml(value)}"
    try:
        assign(tried, given)
        check_tree(tried, registry)
    except ConfigError as error:
        for one in error.problems:
            if _is_of(one.key, key):
                yield Problem(f"with {value!r}: {one.message}", where, place, one.hint)
    except UsageError as error:
        said = str(error).removeprefix(f"--set {given}: ")
        yield Problem(sentence(said), where, place)


def _is_of(told: str, key: str) -> bool:
    """Whether a mistake's key is the one that is tried; a stage's may go by its number or name."""
    names, others = told.split("."), key.split(".")
    if names[:1] == others[:1] == ["stages"]:
        names[1:2], others[1:2] = [], []
    return names[: len(others)] == others
