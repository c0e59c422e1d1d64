"""What is known of a plugin, loaded or not, and the names that it goes by."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from attrs import define

from loomlm.errors import PluginError, did_you_mean, sentence

OWN_DISTRIBUTION = "loomlm"

State = Literal["loaded", "blocked", "broken", "incompatible"]


@define
class Plugin:
    """A plugin, loaded or not.

    state: why it is not, where it is not; `error` says more. api: the range of the plugin API that
    it declares, None where it declares none. seconds: that importing it took. printed: what it
    wrote to standard output while it was imported, which nobody was shown. hooks: those of a run's
    life that it implements itself.
    """

    name: str
    module: str
    distribution: str
    version: str
    state: State = "loaded"
    error: str = ""
    api: tuple[int, int] | None = None
    seconds: float = 0.0
    printed: str = ""
    hooks: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """Whom to name in a message."""
        return f"{self.distribution} {self.version}".strip() or self.module

    @property
    def full_origin(self) -> str:
        """The origin with the module: a distribution may hold several plugins."""
        return self.origin if self.origin == self.module else f"{self.origin} ({self.module})"

    @property
    def built_in(self) -> bool:
        """Whether it comes with loomlm itself."""
        return self.distribution == OWN_DISTRIBUTION

    @property
    def names(self) -> tuple[str, ...]:
        """What it can be called where a plugin is to be left out, put first or asked for."""
        if self.distribution in ("", OWN_DISTRIBUTION):
            return (self.name, self.module)
        return (self.name, self.module, self.distribution)

    def is_called(self, name: str) -> bool:
        """Whether a name means it; `-` and `_` are one, as in names of distributions."""
        return canonical(name) in map(canonical, self.names)

    def is_named(self, spec: str) -> bool:
        """Whether a plugin to load is this one; our own are known by module, not by plain words."""
        return spec == self.module or (not self.built_in and spec in self.names)

    def comes_with(self, other: Plugin) -> bool:
        """Whether both are of one distribution, or the same file."""
        return self is other or self.distribution == other.distribution != ""

    def comes_from(self, origin: str) -> bool:
        """Whether `origin/name` in a config means a component of it."""
        return canonical(origin) in (canonical(self.distribution), canonical(self.module))


def version_of(distribution: str) -> str | None:
    """The version of an installed distribution; None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def canonical(name: str) -> str:
    """Names that differ in case or in `-` and `_` alone are one."""
    return name.lower().replace("_", "-")


def words(kind: str) -> str:
    """A kind in a sentence."""
    return "backend" if kind == "trainer" else kind.replace("_", " ")


def ambiguous(kind: str, name: str, first: Plugin, second: Plugin) -> PluginError:
    """The error for a name that two plugins claim."""
    if first.distribution == second.distribution:
        way_out = first.module
        named = f"{first.full_origin} and {second.full_origin}"
    else:
        way_out = first.distribution or first.module
        named = f"{first.origin} and {second.origin}"
    return PluginError(
        f"Two plugins register the {words(kind)} {name!r}: {named}. "
        f'Say which: type = "{way_out}/{name}".'
    )


def unknown(kind: str, name: str, entries: list[Any], plugins: list[Plugin]) -> PluginError:
    """The error for a name that nobody registers. entries: the components of the kind."""
    known = sorted({entry.component.name for entry in entries})
    if "/" in name:
        known = [f"{e.plugin.distribution}/{e.component.name}" for e in entries]
    message = f"There is no {words(kind)} {name!r}. {did_you_mean(name, known)}".rstrip()
    unloaded = "; ".join(why_not(plugin) for plugin in plugins if plugin.state != "loaded")
    return PluginError(f"{message} Not loaded: {sentence(unloaded)}" if unloaded else message)


def why_not(plugin: Plugin) -> str:
    """Why a plugin is not loaded: a clause."""
    if plugin.state == "blocked" and plugin.error:
        return f"{plugin.full_origin}: {plugin.error}"
    if plugin.state == "blocked":
        return f"{plugin.full_origin} is blocked"
    if plugin.state == "incompatible":
        return f"{plugin.full_origin} {plugin.error}"
    return f"{plugin.full_origin} broke: {plugin.error}"
