"""Finds plugins, keeps the table of components, and says where each came from.

There is no global registry: one is made at the start of a command or call, and passed in.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

import pluggy
from attrs import define, field, frozen

from loomlm import hookspecs
from loomlm.components import KINDS, PLUGIN_API, Builder, Component
from loomlm.errors import PluginError, UsageError, did_you_mean, nearest, sentence

GROUP = "loomlm"
OWN_DISTRIBUTION = "loomlm"
AUTOLOAD_OFF = "LOOMLM_DISABLE_PLUGIN_AUTOLOAD"


@define
class Plugin:
    """A plugin, loaded or not: `error` says why it is broken."""

    name: str
    module: str
    distribution: str
    version: str
    state: Literal["loaded", "broken", "blocked"] = "loaded"
    error: str = ""

    @property
    def origin(self) -> str:
        """Whom to name in a message."""
        return f"{self.distribution} {self.version}".strip() or self.module

    @property
    def full_origin(self) -> str:
        """The origin with the module: a distribution may hold several plugins."""
        return self.origin if self.origin == self.module else f"{self.origin} ({self.module})"


@frozen
class Entry:
    """A component with the plugin that registered it."""

    component: Component
    plugin: Plugin


@define
class Registry:
    """The plugins of one command, and what they registered."""

    manager: pluggy.PluginManager
    plugins: list[Plugin] = field(factory=list)
    entries: list[Entry] = field(factory=list)
    builders: list[tuple[Builder, Plugin]] = field(factory=list)
    blocked: frozenset[str] = frozenset()

    @classmethod
    def load(
        cls,
        extra: Sequence[str] = (),
        block: Iterable[str] = (),
        optional: Sequence[str] = (),
    ) -> Registry:
        """Load every installed plugin, one by one.

        extra: modules, or paths of .py files, to load besides the installed ones; one of these
            that fails is an error. optional: likewise, but one that fails is merely broken, as
            an installed one would be. block: names of plugins (entry point, distribution, module
            or file) that are not to be imported.
        """
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(hookspecs)
        registry = cls(manager, blocked=frozenset(_spec(name) for name in block))
        for point in plugin_entry_points(GROUP):
            distribution, version = _distribution(point)
            module = point.value.partition(":")[0].strip()
            plugin = Plugin(point.name, module, distribution, version)
            registry._load(plugin, partial(_import_entry_point, point))
        for spec in extra:
            registry.load_extra(spec)
        for spec in optional:
            registry.load_extra(spec, needed=False)
        known = [name for plugin in registry.plugins for name in _names(plugin)]
        for name in sorted(registry.blocked.difference(known)):
            raise UsageError(f"There is no plugin {name!r} to block. {did_you_mean(name, known)}")
        return registry

    def load_extra(self, spec: str, *, needed: bool = True) -> None:
        """Load a plugin that was named: a module, or a path that ends in .py.

        Raises PluginError when it fails and is needed; otherwise it is broken, as an installed
        one would be.
        """
        spec = _spec(spec)
        if any(_is_named(plugin, spec) and plugin.state != "broken" for plugin in self.plugins):
            return
        plugin = Plugin(name=spec, module=spec, distribution="", version="")
        self._load(plugin, partial(_import_extra, spec))
        if needed and plugin.state == "broken":
            file = f"{spec}.py"
            hint = f" A file is named with its ending: {file}." if Path(file).is_file() else ""
            said = sentence(f"The plugin {spec!r} cannot be loaded: {plugin.error}")
            raise PluginError(said + hint)

    def _load(self, plugin: Plugin, load: Callable[[], Any]) -> None:
        """Import a plugin and take its components; whatever it does wrong is its own problem."""
        self.plugins.append(plugin)
        if self.blocked.intersection(_names(plugin)):
            plugin.state = "blocked"
            return
        try:
            module = load()
            self.manager.register(module, name=f"{plugin.distribution}:{plugin.name}")
            try:
                self._take(module, plugin)
            except BaseException:
                self.manager.unregister(module)
                raise
        except KeyboardInterrupt:
            raise
        # A plugin may raise anything, SystemExit too, and must not take the others with it.
        except BaseException as error:
            plugin.state = "broken"
            said = " ".join(str(error).split()).rstrip(".")
            plugin.error = f"{type(error).__name__}: {said}" if said else type(error).__name__

    def _take(self, module: Any, plugin: Plugin) -> None:
        _check_hook_names(module)
        entries = [
            Entry(_checked(component, kind, hook), plugin)
            for kind, hook in KINDS.items()
            for component in _call(module, hook)
        ]
        _check_once([entry.component for entry in entries])
        builders = [(builder, plugin) for builder in _call(module, "loomlm_builders")]
        self.entries += entries
        self.builders += builders

    def names(self, kind: str) -> list[str]:
        """The names that a config's `type` can give for a kind."""
        return sorted({entry.component.name for entry in self.of(kind)})

    def of(self, kind: str) -> list[Entry]:
        """The components of a kind, in the order of their registration."""
        return [entry for entry in self.entries if entry.component.kind == kind]

    def default(self, kind: str) -> str | None:
        """The name that is meant where a config gives none."""
        return next((e.component.name for e in self.of(kind) if e.component.default), None)

    def find(self, kind: str, name: str) -> Entry:
        """The component that `type = name` means; `distribution/name` where two share a name.

        Raises PluginError: unknown, ambiguous, or made for another plugin API.
        """
        distribution, _, short = name.rpartition("/")
        found = [
            entry
            for entry in self.of(kind)
            if entry.component.name == short
            and (not distribution or _canonical(distribution) in _origins(entry.plugin))
        ]
        if not found:
            raise PluginError(self._unknown(kind, name))
        if len(found) > 1:
            raise PluginError(_ambiguous(kind, short, found[0].plugin, found[1].plugin))
        entry = found[0]
        if not fits(entry.component):
            oldest, newest = entry.component.api
            raise PluginError(
                f"The {_words(kind)} {name!r} of {entry.plugin.origin} is made for plugin API "
                f"{oldest} to {newest}; this is {PLUGIN_API}. Install another version of it."
            )
        return entry

    def usable(self, kind: str, name: str) -> Component:
        """The component, with the modules that it requires findable.

        Raises PluginError as `find` does, and when something is not installed.
        """
        component = self.find(kind, name).component
        missing = component.missing()
        if missing:
            install = f" Install it: {component.install}" if component.install else ""
            which = "is" if len(missing) == 1 else "are"
            raise PluginError(
                f"The {_words(kind)} {name!r} needs {' and '.join(missing)}, "
                f"which {which} not installed.{install}"
            )
        return component

    def builder(self, kind: str, name: str, backend: str) -> Any:
        """What the backend builds a backbone or an optimizer with.

        Raises PluginError where no plugin brings it.
        """
        short = name.rpartition("/")[2]
        backend = backend.rpartition("/")[2]
        for builder, _ in self.builders:
            if (builder.kind, builder.name, builder.backend) == (kind, short, backend):
                return builder.load()
        backends = sorted(b.backend for b, _ in self.builders if (b.kind, b.name) == (kind, short))
        others = f" It has one for: {', '.join(backends)}." if backends else ""
        raise PluginError(
            f"The {_words(kind)} {short!r} has no builder for the backend {backend!r}.{others}"
        )

    def _unknown(self, kind: str, name: str) -> str:
        known = self.names(kind)
        if "/" in name:
            known = [f"{e.plugin.distribution}/{e.component.name}" for e in self.of(kind)]
        message = f"There is no {_words(kind)} {name!r}. {did_you_mean(name, known)}".rstrip()
        unloaded = [p for p in self.plugins if p.state != "loaded"]
        if unloaded:
            listed = "; ".join(
                f"{p.full_origin} is blocked"
                if p.state == "blocked"
                else f"{p.full_origin} broke: {p.error}"
                for p in unloaded
            )
            message += f" Not loaded: {listed}."
        return message


def fits(component: Component) -> bool:
    """Whether a component is made for this plugin API."""
    oldest, newest = component.api
    return oldest <= PLUGIN_API <= newest


def plugin_entry_points(group: str) -> list[EntryPoint]:
    """The entry points of a group, our own first; others' only where autoload is on."""
    found = sorted(entry_points(group=group), key=lambda point: (_distribution(point), point.name))
    own = [point for point in found if _distribution(point)[0] == OWN_DISTRIBUTION]
    if os.environ.get(AUTOLOAD_OFF):
        return own
    return own + [point for point in found if point not in own]


def _distribution(point: EntryPoint) -> tuple[str, str]:
    """Name and version of what installed an entry point; empty where its metadata is broken."""
    try:
        return (point.dist.name or "", point.dist.version or "") if point.dist else ("", "")
    except Exception:  # What a broken dist-info raises depends on the version of Python.
        return ("", "")


def _spec(name: str) -> str:
    """One file is one plugin, however its path is written."""
    return str(Path(name).expanduser().resolve()) if name.endswith(".py") else name


def _ambiguous(kind: str, name: str, first: Plugin, second: Plugin) -> str:
    if first.distribution == second.distribution:
        way_out = first.module
        named = f"{first.full_origin} and {second.full_origin}"
    else:
        way_out = first.distribution or first.module
        named = f"{first.origin} and {second.origin}"
    return (
        f"Two plugins register the {_words(kind)} {name!r}: {named}. "
        f'Say which: type = "{way_out}/{name}".'
    )


def _import_entry_point(point: EntryPoint) -> Any:
    if EntryPoint.pattern.match(point.value) is None:
        raise PluginError(f"its entry point says {point.value!r}, which names no module.")
    return point.load()


def _import_extra(spec: str) -> Any:
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


def _check_hook_names(module: Any) -> None:
    known = [name for name in vars(hookspecs) if name.startswith("loomlm_")]
    for name in dir(module):
        if name not in known and _is_marked(getattr(module, name, None)):
            near = nearest(name, known)
            raise PluginError(
                f"it implements the hook {name!r}, which does not exist."
                + (f" Did you mean {near!r}?" if near else "")
            )
    for name in known:
        if inspect.isfunction(found := getattr(module, name, None)) and not _is_marked(found):
            raise PluginError(f"its function {name} is not marked with @hookimpl.")


def _is_marked(function: Any) -> bool:
    return hasattr(function, "loomlm_impl")


def _check_once(components: Iterable[Component]) -> None:
    seen = set()
    for component in components:
        if (component.kind, component.name) in seen:
            raise PluginError(
                f"it registers the {_words(component.kind)} {component.name!r} twice."
            )
        seen.add((component.kind, component.name))


def _call(module: Any, hook: str) -> list[Any]:
    function = getattr(module, hook, None)
    result = function() if function is not None and _is_marked(function) else None
    return [] if result is None else list(result)


def _checked(component: Any, kind: str, hook: str) -> Component:
    if not isinstance(component, Component):
        raise PluginError(f"{hook} returned {component!r}, which is not a Component.")
    if component.kind != kind:
        raise PluginError(f"{hook} returned a {component.kind}, {component.name!r}.")
    return component


def _is_named(plugin: Plugin, spec: str) -> bool:
    """Whether a plugin to load is this one; our own are known by module, not by plain words."""
    return spec == plugin.module or (
        plugin.distribution != OWN_DISTRIBUTION and spec in _names(plugin)
    )


def _names(plugin: Plugin) -> tuple[str, ...]:
    if plugin.distribution in ("", OWN_DISTRIBUTION):
        return (plugin.name, plugin.module)
    return (plugin.name, plugin.module, plugin.distribution)


def _origins(plugin: Plugin) -> set[str]:
    return {_canonical(plugin.distribution), _canonical(plugin.module)}


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-")


def _words(kind: str) -> str:
    return "backend" if kind == "trainer" else kind.replace("_", " ")
