"""Plain values to attrs classes, through cattrs with strict types; mistakes with their keys.

cattrs' own defaults are made for trusted data: they turn "no" into True and 3.7 into 3. Here a
value is of the type that the class says, or it is a mistake.
"""

from __future__ import annotations

import math
import operator
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
)

from loomlm.config.positions import KeyPath
from loomlm.config.settings import Choice, DataConfig, PartConfig, PluginsConfig, RunConfig
from loomlm.errors import LoomlmError, PluginError, did_you_mean, nearest
from loomlm.registry import Registry

LARGEST = 1 << 63
"""Whole numbers are below it, as TOML says: what goes on with them has 64 bits."""

BOUNDS = {
    "minimum": (">=", operator.ge),
    "above": (">", operator.gt),
    "maximum": ("<=", operator.le),
}
"""The bounds that `key` takes."""


@attrs.frozen
class Mistake:
    """What is wrong at a key of a config."""

    path: KeyPath
    message: str


class WrongValueError(ValueError):
    """A value that is not of its type; the message is for the user."""


class WrongTypeError(ValueError):
    """A component's `type` that means none; stands at that key."""


def is_choice(hint: Any) -> bool:
    """Whether a type is a component of a kind, `Annotated[Choice, kind]`."""
    return get_origin(hint) is Annotated and get_args(hint)[0] is Choice


def is_union(hint: Any) -> bool:
    """Whether a type is `A | B`."""
    return get_origin(hint) in (Union, types.UnionType)


READABLE = (
    "bool, int, float, str, Path, Literal, tuple[X, ...], Mapping[str, X], an attrs class, or a "
    "union of these and None"
)
"""What a key of a config class may be."""


def is_readable(hint: Any) -> bool:
    """Whether a config can give a value of a type: whether the converter has a rule for it."""
    if hint in (bool, int, float, str, Path, types.NoneType, Any) or is_choice(hint):
        return True
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return True
    if is_union(hint):
        return all(map(is_readable, inner))
    if origin is tuple:
        return len(inner) == 2 and inner[1] is ... and is_readable(inner[0])
    if origin in (Mapping, dict):
        return inner[0] is str and is_readable(inner[1])
    return isinstance(hint, type) and attrs.has(hint)


def unreadable(hint: Any) -> str:
    """What is wrong with a key's type, and what it may be: a clause behind "has"."""
    what = "no type" if hint is None else f"the type {hint!r}, which no config can give"
    return f"{what}; a key may be {READABLE}"


WITH_SOURCE: tuple[type, ...] = (DataConfig, PartConfig)
"""Classes in whose table the keys of a data source stand beside their own."""


class UnreadableError(Exception):
    """A config class has a key of a type that no config can give; says which."""


def make_converter(registry: Registry, base: Path) -> cattrs.Converter:
    """A strict converter; relative paths are taken from `base`."""
    converter = cattrs.Converter(detailed_validation=True, forbid_extra_keys=True)
    for scalar in (bool, int, float, str):
        converter.register_structure_hook(scalar, _scalar(scalar))
    converter.register_structure_hook(Path, lambda value, _: _path(value, base))
    converter.register_structure_hook_func(_is(Any), lambda value, _: value)
    converter.register_structure_hook_func(lambda hint: get_origin(hint) is Literal, _literal)
    converter.register_structure_hook_func(
        is_union, lambda value, hint: _union(value, hint, converter)
    )
    converter.register_structure_hook_func(
        lambda hint: get_origin(hint) is tuple, lambda value, hint: _items(value, hint, converter)
    )
    converter.register_structure_hook_func(
        lambda hint: get_origin(hint) in (Mapping, dict),
        lambda value, hint: _mapping(value, hint, converter),
    )
    converter.register_structure_hook_func(
        is_choice, lambda value, hint: _choice(value, get_args(hint)[1], registry, converter)
    )
    converter.register_structure_hook_factory(
        lambda hint: isinstance(hint, type) and attrs.has(hint),
        lambda hint: _class_hook(hint, converter, registry),
    )
    return converter


def structure(
    value: Any, hint: Any, converter: cattrs.Converter
) -> tuple[Any, tuple[Mistake, ...]]:
    """The value as the type says, or None and everything that is wrong with it."""
    try:
        return converter.structure(value, hint), ()
    # A config class may raise anything for a value that it does not take: `_mistakes` sorts it.
    except Exception as error:
        mistakes = tuple(_mistakes(error, ()))
        if not mistakes:
            raise
        return None, mistakes


def _is(hint: Any) -> Callable[[Any], bool]:
    return lambda other: other is hint


def _class_hook(cls: type, converter: cattrs.Converter, registry: Registry) -> Any:
    from cattrs.gen import make_dict_structure_fn, override

    attrs.resolve_types(cls, include_extras=True)
    for field in attrs.fields(cls):
        if field.init and not is_readable(field.type):
            raise UnreadableError(f"the key {field.name!r}, with {unreadable(field.type)}")
    bounded = {
        field.name: override(struct_hook=_checked(field, converter))
        for field in attrs.fields(cls)
        if field.validator or any(field.metadata.get(name) is not None for name in BOUNDS)
    }
    inner = make_dict_structure_fn(
        cls,
        converter,
        _cattrs_forbid_extra_keys=True,
        _cattrs_detailed_validation=True,
        **bounded,  # type: ignore[arg-type] - cattrs takes an override for each field's name
    )

    def hook(value: Any, hint: Any) -> Any:
        if isinstance(value, cls):
            return value
        if cls is PluginsConfig and isinstance(value, list):
            value = {"load": value}
        if not isinstance(value, Mapping):
            raise WrongValueError(f"expected a table, got {value!r}")
        if cls in WITH_SOURCE:
            return inner(_source_apart(value, cls), hint)
        return inner(_with_defaults(value, cls, registry), hint)

    return hook


def _checked(field: Any, converter: cattrs.Converter) -> Any:
    """Reads a key and checks its bounds, of a list those of each item, and what its class checks of
    it, so that every key that is wrong is told at its line.
    """

    def hook(value: Any, hint: Any) -> Any:
        read = converter.structure(value, hint)
        for item in read if isinstance(read, tuple) else (read,):
            if isinstance(item, int | float) and not isinstance(item, bool):
                _check_bounds(item, field.metadata)
        if field.validator is not None:
            # Without the rest of its class: a check that asks for more is made with it, later.
            with suppress(AttributeError):
                field.validator(None, field, read)
        return read

    return hook


def _check_bounds(number: float, metadata: Mapping[Any, Any]) -> None:
    for name, (words, holds) in BOUNDS.items():
        bound = metadata.get(name)
        if bound is not None and not holds(number, bound):
            raise WrongValueError(f"must be {words} {bound}: {number}")


def _with_defaults(value: Mapping[str, Any], cls: type, registry: Registry) -> dict[str, Any]:
    """Name the default component where a class has a place for one and the config is silent."""
    filled = dict(value)
    for field in attrs.fields(cls):
        if is_choice(field.type) and field.name not in filled and field.default is None:
            name = registry.default(get_args(field.type)[1])
            if name is not None:
                filled[field.name] = {"type": name}
    return filled


def _source_apart(value: Mapping[str, Any], cls: type) -> dict[str, Any]:
    """A data table holds the keys of the source and the core's own, side by side."""
    own = {field.name for field in attrs.fields(cls)} - {"source"}
    apart = {name: inner for name, inner in value.items() if name in own}
    of_source = {name: inner for name, inner in value.items() if name not in own}
    if not apart.get("sources"):
        return {**apart, "source": of_source}
    if of_source:
        raise WrongValueError(
            f"{next(iter(of_source))!r} is a key of one source, and `sources` names several; put "
            "it into one of their tables"
        )
    return apart


def _choice(value: Any, kind: str, registry: Registry, converter: cattrs.Converter) -> Choice:
    if isinstance(value, Choice):
        return value
    given = value if isinstance(value, Mapping) else {}
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, Mapping):
        raise WrongValueError(f"expected a table with a `type`, got {value!r}")
    name = value.get("type", registry.default(kind))
    known = ", ".join(registry.names(kind))
    if name is None:
        near = nearest("type", map(str, value))
        hint = f" Did you mean it by {near!r}?" if near else ""
        raise WrongValueError(
            f"`type` is missing. It says which {kind.replace('_', ' ')}: {known}.{hint}"
        )
    if not isinstance(name, str):
        raise WrongTypeError(f"expected one of {known}, got {name!r}")
    try:
        component = registry.find(kind, name).component
    except PluginError as error:
        raise WrongTypeError(str(error)) if "type" in given else error from None
    options = {key: inner for key, inner in value.items() if key != "type"}
    if kind == "tokenizer" and "target" in options:
        return _with_target(value, registry, converter)
    try:
        return Choice(kind, name, converter.structure(options, component.config))
    except UnreadableError as error:
        origin = registry.find(kind, name).plugin.full_origin
        raise WrongValueError(f"{name} of {origin} has a mistake of its author: {error}") from None
    except ClassValidationError as error:
        # Beside a component's own keys stand `type`, and in a data table the core's.
        others = ["target"] if kind == "tokenizer" else []
        if kind == "data_source":
            others = [k for c in WITH_SOURCE for k in _known_keys(c)]
        _note_neighbours(error, ("type", *others))
        raise


def _with_target(
    value: Mapping[str, Any], registry: Registry, converter: cattrs.Converter
) -> Choice:
    """A tokenizer in whose table stands a second one; what is wrong with either is told."""
    first = {key: inner for key, inner in value.items() if key != "target"}
    second = value["target"]
    errors: list[Exception] = []
    chosen: list[Choice] = []
    for given in (first, second):
        try:
            if given is second and isinstance(second, Mapping) and "target" in second:
                raise WrongValueError("a second tokenizer has no `target` of its own")
            chosen.append(_choice(given, "tokenizer", registry, converter))
        # Whatever a config class raises is told together with what the other one is wrong about.
        except Exception as error:
            if given is second:
                error.add_note(AttributeValidationNote("", "target", Choice))
            errors.append(error)
    if errors:
        what: tuple[Any, ...] = ("a tokenizer and its target", errors, Choice)
        raise ClassValidationError(*what)
    return attrs.evolve(chosen[0], target=chosen[1])


def _scalar(scalar: type) -> Any:
    def hook(value: Any, _: Any) -> Any:
        if scalar is float and (type(value) is int or isinstance(value, float)):
            if type(value) is int and abs(value) > LARGEST:
                raise WrongValueError(f"expected {describe(scalar)}, got one of over 64 bits")
            if not math.isfinite(value):
                raise WrongValueError(f"expected a finite number, got {value!r}")
            return float(value)
        if type(value) is int and scalar is int and not -LARGEST <= value < LARGEST:
            raise WrongValueError(f"expected {describe(scalar)}, got one of over 64 bits")
        if type(value) is not scalar:
            raise WrongValueError(f"expected {describe(scalar)}, got {value!r}")
        return value

    return hook


def _path(value: Any, base: Path) -> Path:
    if not isinstance(value, str | Path):
        raise WrongValueError(f"expected a path, got {value!r}")
    return base / Path(value).expanduser()


def _literal(value: Any, hint: Any) -> Any:
    choices = get_args(hint)
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        hint_text = did_you_mean(value, map(str, choices)) if isinstance(value, str) else ""
        raise WrongValueError(f"expected {describe(hint)}, got {value!r}. {hint_text}".rstrip(" ."))
    return value


def _union(value: Any, hint: Any, converter: cattrs.Converter) -> Any:
    arms = get_args(hint)
    if value is None and type(None) in arms:
        return None
    arms = [arm for arm in arms if arm is not type(None)]
    tables = [arm for arm in arms if isinstance(arm, type) and attrs.has(arm)]
    if tables and isinstance(value, Mapping):
        return converter.structure(value, tables[0])
    if len(arms) == 1:
        return converter.structure(value, arms[0])
    for arm in arms:
        try:
            return converter.structure(value, arm)
        # Whatever an arm raises, the value is none of its kind; the next one may take it.
        except Exception:
            continue
    raise WrongValueError(f"expected {describe(hint)}, got {value!r}")


def _items(value: Any, hint: Any, converter: cattrs.Converter) -> tuple[Any, ...]:
    inner = get_args(hint)[0]
    if not isinstance(value, list | tuple):
        raise WrongValueError(f"expected {describe(hint)}, got {value!r}")
    return tuple(converter.structure(list(value), list[inner]))


def _mapping(value: Any, hint: Any, converter: cattrs.Converter) -> dict[str, Any]:
    inner = (get_args(hint) or (str, Any))[1]
    if not isinstance(value, Mapping):
        raise WrongValueError(f"expected a table, got {value!r}")
    return {name: converter.structure(item, inner) for name, item in value.items()}


def describe(hint: Any) -> str:
    """A type in words, for messages and docs."""
    words = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a string",
        Path: "a path",
        type(None): "nothing",
    }
    if hint in words:
        return words[hint]
    if get_origin(hint) is Literal:
        return " or ".join(repr(choice) for choice in get_args(hint))
    if is_union(hint):
        return " or ".join(describe(arm) for arm in get_args(hint) if arm is not type(None))
    if get_origin(hint) is tuple:
        return f"a list, each {describe(get_args(hint)[0])}"
    if is_choice(hint):
        return "a name, or a table with a `type`"
    return "a table"


def _mistakes(error: BaseException, path: KeyPath) -> Iterator[Mistake]:
    if isinstance(error, ClassValidationError):
        yield from _group(error, path, "name")
    elif isinstance(error, IterableValidationError):
        yield from _group(error, path, "index")
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [*_known_keys(error.cl), *getattr(error, "neighbours", ())]
        for name in sorted(error.extra_fields):
            hint = did_you_mean(name, known) or "There are none."
            yield Mistake((*path, name), f"there is no such key. {hint}")
    elif isinstance(error, KeyError):
        yield Mistake((*path, error.args[0]), "this key is missing")
    elif isinstance(error, WrongTypeError):
        yield Mistake((*path, "type"), str(error))
    elif isinstance(error, LoomlmError | WrongValueError):
        yield Mistake(path, str(error))
    elif isinstance(error, ValueError | TypeError):
        yield Mistake(path, _bound(error))


def _group(error: BaseValidationError, path: KeyPath, attribute: str) -> Iterator[Mistake]:
    noted, others = error.group_exceptions()  # type: ignore[attr-defined] - both kinds have it, their base not
    for inner, note in noted:
        step = getattr(note, attribute)
        # The source's keys stand in the data table itself.
        source = isinstance(error, ClassValidationError) and error.cl in WITH_SOURCE
        inner_path = path if source and step == "source" else (*path, step)
        if isinstance(inner, KeyError):
            inner_path = inner_path[:-1]
        yield from _mistakes(inner, inner_path)
    for inner in others:
        yield from _mistakes(inner, path)


def _known_keys(cls: type) -> list[str]:
    names = [field.name for field in attrs.fields(cls) if field.name != "source"]
    return [*names, "trainer"] if cls is RunConfig else names


def _note_neighbours(error: ClassValidationError, names: tuple[str, ...]) -> None:
    """Keys that stand in the same table as the class's own, to offer for a misspelt one."""
    for inner in error.exceptions:
        if isinstance(inner, ForbiddenExtraKeysError):
            inner.neighbours = names  # type: ignore[attr-defined] - our note on their error


def _bound(error: Exception) -> str:
    """attrs' validators say "'steps' must be >= 1: 0"; the key stands in front of it already."""
    message = str(error.args[0]) if error.args else str(error)
    quoted, _, rest = message.partition(" must be ")
    return f"must be {rest}" if rest and quoted.startswith("'") else message
