"""Finds plugins, keeps the table of components, and says where each came from.

There is no global registry: one is made at the start of a command or call, and passed in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pluggy
from attrs import define, field, frozen

from loomlm import hookspecs
from loomlm.components import Builder, Component
from loomlm.errors import PluginError, PluginWarning, UsageError, did_you_mean, nearest, sentence
from loomlm.registry import loading
from loomlm.registry.entry_points import (
    COMMANDS,
    GROUP,
    all_entry_points,
    in_order,
    plugin_entry_points,
)
from loomlm.registry.local import LOCAL, NO_LOCAL, forbids_local, say_loading
from loomlm.registry.plugins import (
    Plugin,
    ambiguous,
    unknown,
    version_of,
    words,
)
from loomlm.registry.tracing import register

SLOW = 1.0
"""Seconds of import above which a plugin is told to be slow: every command waits for it."""


WITH_HOOKS = ("observer", "extension")
"""The kinds whose objects have methods that are hooks."""


def check_object(made: Any, whose: str) -> None:
    """Raise PluginError, saying whose it is, for an object whose hooks would have no effect."""
    try:
        loading.check_hooks(made)
    except PluginError as error:
        raise PluginError(f"{whose}: {error}") from None


@frozen
class Entry:
    """A component with the plugin that registered it."""

    component: Component
    plugin: Plugin

    def load(self) -> Any:
        """The object behind the component's target. Raises PluginError where there is none."""
        return self.component.load(self.plugin.full_origin)


@frozen(kw_only=True)
class Control:
    """What is decided of plugins before any is imported, by the names that they go by.

    load: modules, or paths of .py files, to load besides the installed ones. block: not to be
    imported; "local" is all that are not installed. allow: of the installed ones that are not built
    in, the only ones to import; None for all. order: who comes first.
    """

    load: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    allow: tuple[str, ...] | None = None
    order: tuple[str, ...] = ()


@define
class Registry:
    """The plugins of one command, and what they registered."""

    manager: pluggy.PluginManager
    control: Control = field(factory=Control)
    plugins: list[Plugin] = field(factory=list)
    entries: list[Entry] = field(factory=list)
    builders: list[tuple[Builder, Plugin]] = field(factory=list)
    _modules: list[tuple[Any, Plugin]] = field(factory=list, init=False)

    @classmethod
    def load(
        cls,
        extra: Sequence[str] = (),
        block: Iterable[str] = (),
        control: Control | None = None,
    ) -> Registry:
        """Load every installed plugin, one by one.

        extra, block: as in `Control`, said for this one command: one of `extra` that fails, and one
        to block that is not there, is an error. control: what a config says, which may have been
        written on another machine: what fails is merely broken, and only a likely misspelling of a
        name is worth a warning.
        """
        block, control = tuple(block), control or Control()
        whole = Control(
            load=(*control.load, *extra),
            block=tuple(map(_spec, (*control.block, *block))),
            # Who is named is allowed.
            allow=None if control.allow is None else (*control.allow, *control.load, *extra),
            order=control.order,
        )
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(hookspecs)
        registry = cls(manager, whole)
        for plugin, point in in_order(GROUP, whole.order):
            registry._load(plugin, partial(loading.from_entry_point, point))
        for spec in extra:
            registry.load_extra(spec, named_by="-p")
        for spec in control.load:
            registry.load_extra(spec, needed=False)
        registry._in_order()
        registry._check_names(tuple(map(_spec, block)))
        return registry

    def load_extra(self, spec: str, *, needed: bool = True, named_by: str = "the config") -> None:
        """Load a plugin that was named: a module, or a path that ends in .py.

        Raises PluginError when it fails and is needed; otherwise it is broken, as an installed
        one would be.
        """
        spec = _spec(spec)
        if any(plugin.is_named(spec) and plugin.state != "broken" for plugin in self.plugins):
            return
        installed = [pair for pair in all_entry_points(GROUP) if pair[0].is_named(spec)]
        for plugin, point in installed:
            self._load(plugin, partial(loading.from_entry_point, point))
        if not installed:
            plugin = Plugin(name=spec, module=spec, distribution="", version="")
            if not self._is_left_out(plugin):
                say_loading(spec, named_by)
            self._load(plugin, partial(loading.from_spec, spec))
        plugin = self.plugins[-1]
        forbidden = plugin.state == "blocked" and plugin.error
        if needed and (forbidden or plugin.state in ("broken", "incompatible")):
            file = f"{spec}.py"
            hint = f" A file is named with its ending: {file}." if Path(file).is_file() else ""
            said = sentence(f"The plugin {spec!r} cannot be loaded: {plugin.error}")
            raise PluginError(said + hint)

    def _load(self, plugin: Plugin, importing: Callable[[], Any]) -> None:
        """Import a plugin and take what it registers; whatever it does wrong is its own problem."""
        self.plugins.append(plugin)
        if self._is_left_out(plugin):
            plugin.state = "blocked"
            plugin.error = (
                "" if plugin.distribution or not forbids_local(self.control.block) else NO_LOCAL
            )
            return
        module = loading.load(plugin, importing)
        if module is not None:
            self._take(module, plugin)
        _warn(plugin)

    def _is_left_out(self, plugin: Plugin) -> bool:
        if not plugin.distribution and forbids_local(self.control.block):
            return True
        if any(plugin.is_called(name) for name in self.control.block):
            return True
        allow = self.control.allow
        installed = plugin.distribution and not plugin.built_in
        return bool(installed) and allow is not None and not any(map(plugin.is_called, allow))

    def _take(self, module: Any, plugin: Plugin) -> None:
        try:
            self._check_new(module)
            components = loading.components_of(module, plugin)
            builders = loading.builders_of(module, plugin)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            loading.fail(plugin, error)
            return
        plugin.hooks = loading.hooks_of(module)
        self.entries += [Entry(component, plugin) for component in components]
        self.builders += [(builder, plugin) for builder in builders]
        self._modules.append((module, plugin))

    def _check_new(self, module: Any) -> None:
        for known, plugin in self._modules:
            if known is module:
                raise PluginError(f"its module is the plugin {plugin.name!r} already.")

    def _in_order(self) -> None:
        """Hooks are called in the order of the plugins: pluggy calls the last one first."""
        for module, plugin in reversed(self._modules):
            if plugin.hooks:
                register(self.manager, module, plugin.full_origin, guard=True)

    def _check_names(self, block: Iterable[str]) -> None:
        """A name to block on the command line has to be one; one of a config may be misspelt."""
        known = [name for plugin in self.plugins for name in plugin.names]

        def is_there(name: str) -> bool:
            return name == LOCAL or any(plugin.is_called(name) for plugin in self.plugins)

        for name in block:
            if not is_there(name):
                hint = did_you_mean(name, known)
                raise UsageError(f"There is no plugin {name!r} to block. {hint}")
        control = self.control
        for name in (*control.block, *(control.allow or ()), *control.order):
            near = None if is_there(name) or version_of(name) else nearest(name, known)
            if near is not None:
                warnings.warn(
                    f"The config names the plugin {name!r}, which is not installed. "
                    f"Did you mean {near!r}?",
                    PluginWarning,
                    stacklevel=2,
                )

    def is_loaded(self, distribution: str) -> bool:
        """Whether a plugin of a distribution is loaded."""
        return any(p.is_called(distribution) and p.state == "loaded" for p in self.plugins)

    @cached_property
    def _commands(self) -> list[tuple[Plugin, EntryPoint]]:
        """Read once: it takes a while where much is installed."""
        return plugin_entry_points(COMMANDS)

    def commands(self, plugin: Plugin) -> list[EntryPoint]:
        """The commands that a plugin's package brings."""
        root = plugin.module.partition(".")[0]
        return [
            point
            for whose, point in self._commands
            if plugin.distribution == whose.distribution != ""
            and point.module.split(".")[0] == root
        ]

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

        Raises PluginError: unknown, or ambiguous.
        """
        origin, _, short = name.rpartition("/")
        found = [
            entry
            for entry in self.of(kind)
            if entry.component.name == short and (not origin or entry.plugin.comes_from(origin))
        ]
        if not found:
            raise unknown(kind, name, self.of(kind), self.plugins)
        if len(found) > 1:
            raise ambiguous(kind, short, found[0].plugin, found[1].plugin)
        return found[0]

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
                f"The {words(kind)} {name!r} needs {' and '.join(missing)}, "
                f"which {which} not installed.{install}"
            )
        return component

    def target(self, kind: str, name: str) -> Any:
        """The object behind a component's target.

        Raises PluginError as `usable` does, and when the target does not exist.
        """
        self.usable(kind, name)
        entry = self.find(kind, name)
        found = entry.load()
        if kind in WITH_HOOKS:
            check_object(found, f"The {words(kind)} {name!r} of {entry.plugin.full_origin}")
        return found

    def made(self, kind: str, name: str, config: Any) -> Any:
        """What a target gives for a config, of a kind whose target is called with it alone.

        Raises PluginError as `target` does, and for an object whose hooks would have no effect.
        """
        made = self.target(kind, name)(config)
        if kind in WITH_HOOKS:
            origin = self.find(kind, name).plugin.full_origin
            check_object(made, f"The {words(kind)} {name!r} of {origin}")
        return made

    def origin_of(self, kind: str, name: str) -> str:
        """Whom to name in a message about a component's object."""
        return f"{words(kind)} {name} of {self.find(kind, name).plugin.full_origin}"

    def backends(self, kind: str, name: str) -> dict[str, list[tuple[Builder, Plugin]]]:
        """What builds a component, by backend: its own distribution's builder, or others'.

        A plugin that registers another component of the same name builds that one alone.
        """
        entry = self.find(kind, name)
        short = entry.component.name
        rivals = [e.plugin for e in self.of(kind) if e.component.name == short and e is not entry]
        found: dict[str, list[tuple[Builder, Plugin]]] = {}
        for builder, plugin in self.builders:
            is_rivals = any(plugin.comes_with(rival) for rival in rivals)
            if (builder.kind, builder.name) == (kind, short) and (
                plugin.comes_with(entry.plugin) or not is_rivals
            ):
                found.setdefault(builder.backend, []).append((builder, plugin))
        for backend, builders in found.items():
            own = [pair for pair in builders if pair[1].comes_with(entry.plugin)]
            found[backend] = own or builders
        return found

    def built_by(self, backend: str, kind: str) -> set[str]:
        """The names of the components that a backend has builders for."""
        return {b.name for b, _ in self.builders if (b.kind, b.backend) == (kind, backend)}

    def builder(self, kind: str, name: str, backend: str) -> Any:
        """What the backend builds a backbone or an optimizer with.

        Raises PluginError where no plugin brings it, two do, or what one brings is not there.
        """
        backend = backend.rpartition("/")[2]
        builders = self.backends(kind, name)
        found = builders.get(backend, [])
        if len(found) == 1:
            builder, plugin = found[0]
            return builder.load(plugin.full_origin)
        which = f"{words(kind)} {name.rpartition('/')[2]!r}"
        if found:
            first, second = (plugin for _, plugin in found[:2])
            raise PluginError(
                f"Two plugins build the {which} for {backend!r}: {first.full_origin} and "
                f"{second.full_origin}. Leave one out with -p no:{second.names[-1]}."
            )
        others = f" It has one for: {', '.join(sorted(builders))}." if builders else ""
        raise PluginError(f"The {which} has no builder for the backend {backend!r}.{others}")


def _warn(plugin: Plugin) -> None:
    """Say what every command has of a plugin that does what it should not."""
    said = []
    way_out = f"Leave it out with -p no:{plugin.distribution or plugin.name}."
    if plugin.distribution and plugin.state in ("broken", "incompatible"):
        why = plugin.error if plugin.state == "incompatible" else f"is left out: {plugin.error}"
        said.append(f"{sentence(why)} {way_out}")
    if plugin.seconds > SLOW and not plugin.built_in:
        said.append(f"took {plugin.seconds:.1f} s to import. {way_out}")
    if plugin.printed:
        said.append(f"wrote {plugin.printed[:80]!r} while it was imported.")
    for sentences in said:
        warnings.warn(f"The plugin {plugin.full_origin} {sentences}", PluginWarning, stacklevel=2)


def _spec(name: str) -> str:
    """One file is one plugin, however its path is written."""
    return str(Path(name).expanduser().resolve()) if name.endswith(".py") else name


__all__ = [
    "COMMANDS",
    "GROUP",
    "WITH_HOOKS",
    "Control",
    "Entry",
    "Plugin",
    "Registry",
    "check_object",
    "forbids_local",
    "plugin_entry_points",
]
