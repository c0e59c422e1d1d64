"""Imports one plugin and reads what it registers; whatever it does wrong is its own problem."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout, suppress
from functools import partial
from hashlib import sha256
from importlib.metadata import EntryPoint
from io import StringIO
from pathlib import Path
from typing import Any

import attrs

from loomlm import hookspecs
from loomlm.components import KINDS, PLUGIN_API, Builder, Component
from loomlm.deprecations import warn_of_hooks
from loomlm.errors import LoomlmError, PluginError, nearest
from loomlm.hookspecs import ON_EXTENSIONS, ON_PLUGINS
from loomlm.registry.plugins import Plugin, words
from loomlm.registry.tracing import traced_call

API = "loomlm_api"
"""The attribute of a plugin's module that declares the range of the plugin API."""


def load(plugin: Plugin, importing: Callable[[], Any]) -> Any:
    """The plugin's module, or None where it cannot be imported: its state says why, then."""
    started = time.perf_counter()
    printed = StringIO()
    try:
        # Standard output is the command's: somebody may read JSON from it.
        with redirect_stdout(printed):
            module = importing()
        declare(plugin, getattr(module, API, None))
        return module if plugin.state == "loaded" else None
    except KeyboardInterrupt:
        raise
    # A plugin may raise anything, SystemExit too, and must not take the others with it.
    except BaseException as error:
        fail(plugin, error)
        # One made for another API fails in any way; that it is, says more than how.
        with suppress(Exception):
            declare(plugin, _written_api(plugin.module))
        return None
    finally:
        plugin.seconds = time.perf_counter() - started
        plugin.printed = " ".join(printed.getvalue().split())


def fail(plugin: Plugin, error: BaseException) -> None:
    """A plugin that raised something is broken."""
    plugin.state = "broken"
    said = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, LoomlmError):
        plugin.error = said
        return
    plugin.error = f"{type(error).__name__}: {said}" if said else type(error).__name__


def declare(plugin: Plugin, api: object) -> None:
    """Take the range of the plugin API that a plugin declares; without one, it is the first."""
    if api is None:
        first = last = 1
    elif isinstance(api, int):
        first = last = api
    elif isinstance(api, tuple) and len(api) == 2 and all(isinstance(n, int) for n in api):
        first, last = api
    else:
        raise PluginError(f"its {API} is {api!r}; expected a number, or (first, last).")
    if api is not None:
        plugin.api = (first, last)
    if not first <= PLUGIN_API <= last:
        plugin.state = "incompatible"
        numbers = str(first) if first == last else f"{first} to {last}"
        plugin.error = (
            f"is made for plugin API {numbers}; this is {PLUGIN_API}. Install another version of it"
        )


def _written_api(module: str) -> object:
    """What a module that cannot be imported says of its API, read from its source."""
    found = None if module.endswith(".py") else importlib.util.find_spec(module)
    source = Path(module if found is None else found.origin or "").read_text(encoding="utf-8")
    line = re.search(rf"^{API}\s*(?::[^=]*)?=\s*(.+)$", source, re.MULTILINE)
    return None if line is None else ast.literal_eval(line[1].partition("#")[0].strip())


def components_of(module: Any, plugin: Plugin) -> list[Component]:
    """What a plugin registers, checked. Raises PluginError for what cannot be right."""
    check_hooks(module)
    for name in ON_EXTENSIONS:
        if getattr(module, name, None) is not None:
            raise PluginError(
                f"it implements {name} itself, and would change every run. Give it to an "
                "extension, which a config names."
            )
    components = [
        _checked(component, kind, hook)
        for kind, hook in KINDS.items()
        for component in _answer(module, hook, plugin)
    ]
    _check_once(components)
    warn_of_hooks(module)
    return components


def builders_of(module: Any, plugin: Plugin) -> list[Builder]:
    """The builders that a plugin registers, checked."""
    builders = _answer(module, "loomlm_builders", plugin)
    for builder in builders:
        if not isinstance(builder, Builder):
            raise PluginError(f"loomlm_builders returned {builder!r}, which is not a Builder.")
    return builders


def hooks_of(module: Any) -> tuple[str, ...]:
    """The hooks of a run's life that a module implements."""
    return tuple(name for name in ON_PLUGINS if _is_marked(getattr(module, name, None)))


def from_entry_point(point: EntryPoint) -> Any:
    """Import what an entry point names."""
    if EntryPoint.pattern.match(point.value) is None:
        raise PluginError(f"its entry point says {point.value!r}, which names no module.")
    return point.load()


def from_spec(spec: str) -> Any:
    """Import a module by its name, or a file that ends in .py."""
    if not spec.endswith(".py"):
        return importlib.import_module(spec)
    path = Path(spec)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {spec}")
    # The folder keeps apart two files of one name, whose components' import paths start here.
    name = f"loomlm_local_{path.stem}_{sha256(str(path.parent).encode()).hexdigest()[:8]}"
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    # Registered before it runs, so that its components' import paths can be followed.
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def check_hooks(plugin: Any) -> None:
    """Raise PluginError for hooks of a module, a class or an object that would have no effect: a
    name or an argument that does not exist, a mark that is missing.
    """
    known = {name: value for name, value in vars(hookspecs).items() if name.startswith("loomlm_")}
    for name in dir(plugin):
        function = inspect.getattr_static(plugin, name, None)
        named = name.startswith("loomlm_") and name != API and inspect.isfunction(function)
        if not _is_marked(function) and not named:
            continue
        if name not in known:
            near = nearest(name, known)
            raise PluginError(
                f"it implements the hook {name!r}, which does not exist."
                + (f" Did you mean {near!r}?" if near else "")
            )
        if not _is_marked(function):
            mark = "@hookimpl(wrapper=True)" if name in ON_EXTENSIONS else "@hookimpl"
            raise PluginError(f"its function {name} is not marked with {mark}.")
        _check_implementation(name, function, known[name])


def _check_implementation(name: str, function: Any, spec: Any) -> None:
    marked = function.loomlm_impl
    if name in ON_EXTENSIONS and not (marked["wrapper"] or marked["hookwrapper"]):
        raise PluginError(f"its function {name} is not marked with @hookimpl(wrapper=True).")
    parameters = inspect.signature(function).parameters.values()
    given = [p.name for p in parameters if p.default is p.empty and p.name != "self"]
    right = list(inspect.signature(spec).parameters)
    for argument in given:
        if argument not in right:
            takes = f"It takes {', '.join(right)}." if right else "It takes none."
            raise PluginError(f"its function {name} has an argument {argument!r}. {takes}")


def _is_marked(function: Any) -> bool:
    return hasattr(function, "loomlm_impl")


def _check_once(components: Iterable[Component]) -> None:
    seen = set()
    for component in components:
        if (component.kind, component.name) in seen:
            raise PluginError(f"it registers the {words(component.kind)} {component.name!r} twice.")
        seen.add((component.kind, component.name))


def _answer(module: Any, hook: str, plugin: Plugin) -> list[Any]:
    """What a module's implementation of a registration hook gives, as a list."""
    function = getattr(module, hook, None)
    if function is None or not _is_marked(function):
        return []
    result = traced_call(hook, plugin.full_origin, partial(function))
    if result is None:
        return []
    if isinstance(result, str | bytes | Mapping) or not isinstance(result, Iterable):
        raise PluginError(f"{hook} returned {result!r}, which is no list.")
    return list(result)


def _checked(component: Any, kind: str, hook: str) -> Component:
    if not isinstance(component, Component):
        raise PluginError(f"{hook} returned {component!r}, which is not a Component.")
    if component.kind != kind:
        raise PluginError(f"{hook} returned a {component.kind}, {component.name!r}.")
    if not (isinstance(component.config, type) and attrs.has(component.config)):
        raise PluginError(
            f"the config of its {words(kind)} {component.name!r} is {component.config!r}, which is "
            "no attrs class."
        )
    return component
