"""The extensions of a stage: what its config names may change examples, batches and the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pluggy
from attrs import frozen

from loomlm import hookspecs
from loomlm.config.settings import Choice
from loomlm.contracts import Batch, Example, ModelSpec
from loomlm.errors import PluginError
from loomlm.hookspecs import hookimpl
from loomlm.registry import Registry
from loomlm.registry.tracing import register


@frozen
class Extensions:
    """The extensions of a stage, or of a model; none by default.

    choices: as the config has them. objects: what their targets gave, likewise.
    """

    choices: tuple[Choice, ...] = ()
    objects: tuple[Any, ...] = ()
    _manager: pluggy.PluginManager | None = None

    @classmethod
    def of(cls, choices: Sequence[Choice], registry: Registry) -> Extensions:
        """Make the extensions that a config names."""
        if not choices:
            return cls()
        manager = pluggy.PluginManager("loomlm")
        manager.add_hookspecs(hookspecs)
        manager.register(_Core(registry))
        objects = tuple(registry.made(c.kind, c.type, c.config) for c in choices)
        # pluggy calls the last one first: the first of a config is outermost.
        for choice, made in reversed(list(zip(choices, objects, strict=True))):
            register(manager, made, registry.origin_of(choice.kind, choice.type))
        return cls(tuple(choices), objects, manager)

    def with_hook(self, name: str) -> tuple[Choice, ...]:
        """Those that implement a hook."""
        pairs = zip(self.choices, self.objects, strict=True)
        return tuple(choice for choice, made in pairs if hasattr(made, name))

    def examples(self, examples: Iterable[Example], split: str) -> Iterator[Example]:
        """What `loomlm_examples` makes of a split."""
        if self._manager is None:
            return iter(examples)
        found = self._manager.hook.loomlm_examples(examples=iter(examples), split=split)
        return iter(self._checked(found, Iterable, "loomlm_examples"))

    def batch(self, batch: Batch, step: int, seed: int) -> Batch:
        """What `loomlm_batch` makes of a batch."""
        if self._manager is None:
            return batch
        found = self._manager.hook.loomlm_batch(batch=batch, step=step, seed=seed)
        self._checked(found, Batch, "loomlm_batch")
        if _form(batch) != _form(found):
            raise self._wrong("loomlm_batch", "a batch of other arrays, dtypes or shapes")
        return found

    def spec(self, spec: ModelSpec) -> ModelSpec:
        """What `loomlm_model_spec` makes of a model's spec."""
        if self._manager is None:
            return spec
        found = self._manager.hook.loomlm_model_spec(spec=spec)
        return self._checked(found, ModelSpec, "loomlm_model_spec")

    def builders(self, registry: Registry, backend: str) -> Callable[[str, str], Any]:
        """A backend's builders by (kind, name), as a trainer wants them: the backbone's with what
        `loomlm_module` makes of its module.
        """

        def builder(kind: str, name: str) -> Any:
            if kind != "backbone" or self._manager is None:
                return registry.builder(kind, name, backend)
            hook = self._manager.hook.loomlm_module
            return lambda spec: hook(spec=spec, backend=backend)

        return builder

    def _checked(self, found: Any, expected: type, hook: str) -> Any:
        if not isinstance(found, expected):
            raise self._wrong(hook, repr(found))
        return found

    def _wrong(self, hook: str, what: str) -> PluginError:
        names = ", ".join(choice.type for choice in self.with_hook(hook))
        return PluginError(
            f"{hook} gave {what}: a mistake in the extension {names}. A wrapper returns what is to "
            "be taken: `result = yield`, then `return result`."
        )


def _form(batch: Batch) -> dict[str, Any]:
    return {name: (array.dtype, array.shape) for name, array in batch.arrays.items()}


@frozen
class _Core:
    """What is innermost: nothing changes, and the module is the builder's."""

    registry: Registry

    @hookimpl
    def loomlm_examples(self, examples: Iterator[Example]) -> Iterator[Example]:
        return examples

    @hookimpl
    def loomlm_batch(self, batch: Batch) -> Batch:
        return batch

    @hookimpl
    def loomlm_model_spec(self, spec: ModelSpec) -> ModelSpec:
        return spec

    @hookimpl
    def loomlm_module(self, spec: ModelSpec, backend: str) -> Any:
        return self.registry.builder("backbone", spec.backbone, backend)(spec)
