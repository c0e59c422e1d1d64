"""What a plugin registers: light records that name an object by import path.

A record costs nothing to make: the object behind `target` is imported on first use.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from attrs import field, frozen

from loomlm.errors import PluginError, nearest, sentence

PLUGIN_API = 1
"""The version of the plugin API. It grows by one when a contract changes incompatibly.

A plugin declares the range that it works with beside its hooks: `loomlm_api = (1, 1)`.
"""

KINDS: Mapping[str, str] = {
    "tokenizer": "loomlm_tokenizers",
    "backbone": "loomlm_backbones",
    "trainer": "loomlm_trainers",
    "metric": "loomlm_metrics",
    "data_source": "loomlm_data_sources",
    "task": "loomlm_tasks",
    "cleaner": "loomlm_cleaners",
    "optimizer": "loomlm_optimizers",
    "schedule": "loomlm_schedules",
    "observer": "loomlm_observers",
    "extension": "loomlm_extensions",
    "template": "loomlm_templates",
}
"""Every kind of component, with the hook that registers it."""


@frozen
class NoConfig:
    """The config class of a component that has no keys."""


@frozen(kw_only=True)
class Component:
    """One pluggable part, as it stands in the registry.

    kind: one of KINDS.
    name: what a config's `type` says: lower case, digits, underscores.
    summary: one line for `loomlm plugins`.
    target: `"package.module:object"`; followed on first use. What the object must be is said at
        the hook that registers the kind.
    config: the attrs class of the component's keys; importable without any framework.
    version: the component's own version; recorded with every model that it made a part of.
    requires: modules that must be findable for the component to work.
    install: what to type when one of them is missing, e.g. `pip install "loomlm[torch]"`.
    default: taken where a config has a place for the kind and names none.
    trials: named sets of keys, as a config gives them, that checks build the component with
        (`loomlm.testing`): small, without dropout, and together all that its code can do. By
        default one set without keys. Those of an optimizer may have `learning_rate`, which is the
        trainer's.
    """

    kind: str
    name: str
    summary: str
    target: str
    config: type = NoConfig
    version: str = "1"
    requires: tuple[str, ...] = ()
    install: str = ""
    default: bool = False
    trials: Mapping[str, Mapping[str, Any]] = field(factory=lambda: {"default": {}}, hash=False)

    def missing(self) -> tuple[str, ...]:
        """The modules of `requires` that cannot be found. Imports none of them."""
        return tuple(name for name in self.requires if not _findable(name))

    def load(self, origin: str = "") -> Any:
        """The object behind `target`. Raises PluginError, with the origin, where there is none."""
        return _followed(self.target, f"The {self.kind} {self.name!r}", origin)


@frozen(kw_only=True)
class Builder:
    """How one backend builds a backbone or an optimizer: keyed (kind, name, backend).

    The package that brings the builder need not be the one that brings the component, so a third
    party can add a backend for the built-in backbones, or a backbone for the built-in backends.
    """

    kind: str
    name: str
    backend: str
    target: str

    def load(self, origin: str = "") -> Any:
        """The object behind `target`. Raises PluginError, with the origin, where there is none."""
        what = f"The builder of the {self.kind} {self.name!r} for {self.backend}"
        return _followed(self.target, what, origin)


def follow(target: str) -> Any:
    """Import `"package.module:object"` and return the object."""
    module, colon, attribute = target.partition(":")
    if not colon:
        raise ValueError("a target is package.module:object")
    home = import_module(module)
    if not hasattr(home, attribute):
        near = nearest(attribute, vars(home))
        hint = f" Did you mean {near!r}?" if near else ""
        raise AttributeError(f"module {module!r} has no attribute {attribute!r}.{hint}")
    return getattr(home, attribute)


def _followed(target: str, what: str, origin: str) -> Any:
    try:
        return follow(target)
    # Importing somebody's module may raise anything.
    except Exception as error:
        whose = f" of {origin}" if origin else ""
        raise PluginError(
            f"{what}{whose} cannot be had: its target {target!r} gives "
            f"{type(error).__name__}: {sentence(str(error))}"
        ) from error


def _findable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
