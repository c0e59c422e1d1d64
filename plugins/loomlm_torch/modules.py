"""One's own `torch.nn.Module` as a backbone. Nothing on this page imports torch or numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from loomlm.plugin import Builder, Component, NoConfig, hookimpl

Hooks = tuple[Callable[[], list[Component]], Callable[[], list[Builder]]]


def module_backbone(
    name: str,
    module: Callable[..., Any],
    *,
    width: int | None = None,
    config: type = NoConfig,
    causal: bool = False,
    longest: int | None = None,
    summary: str = "",
) -> Hooks:
    """The two hooks that make a module a backbone, for the names that they are called by:

        loomlm_backbones, loomlm_builders = module_backbone("mine", Mine, width=64)

    module: a class, or a function that makes the module, called with the size of the vocabulary and
        the config's keys as keywords. Its forward takes a dict with `tokens` (batch, time) and
        `length` (batch,), and gives hidden states (batch, time, width); where the head reads whole
        texts their mean over a text's tokens is taken, or (batch, width) as it is. It may have
        `start` and `step`, as `loomlm_torch.transformer` has; without, text is written by reading
        the whole of it again for each token.
    width: of the hidden states; by default the key `width` of the config.
    causal: whether a state depends on the tokens before its own alone, right padding included.
    longest: the most tokens of a row.

    Parameters bear the module's own names behind `module.`, and start with the values that it
    gives them, drawn with the run's seed.
    """
    form = ModuleForm(name=name, module=module, width=width, causal=causal, longest=longest)
    where = f"{module.__module__}:{module.__qualname__}"

    @hookimpl
    def loomlm_backbones() -> list[Component]:
        said = summary or f"the module {module.__qualname__}"
        return [
            _ModuleComponent(
                kind="backbone",
                name=name,
                summary=said,
                target=where,
                config=config,
                requires=("torch",),
                install='pip install "loomlm[torch]"',
                form=form,
            )
        ]

    @hookimpl
    def loomlm_builders() -> list[Builder]:
        return [
            _ModuleBuilder(kind="backbone", name=name, backend="torch", target=where, form=form)
        ]

    return loomlm_backbones, loomlm_builders


@frozen(kw_only=True)
class ModuleForm:
    """What `module_backbone` was told."""

    name: str
    module: Callable[..., Any]
    width: int | None
    causal: bool
    longest: int | None


@frozen(kw_only=True)
class _ModuleComponent(Component):
    """A component whose backbone is made from a form, instead of found at an import path."""

    form: ModuleForm

    def load(self, origin: str = "") -> Any:
        from functools import partial

        from loomlm_torch.wrapped import ModuleBackbone

        return partial(ModuleBackbone, self.form)


@frozen(kw_only=True)
class _ModuleBuilder(Builder):
    """The same for what builds it."""

    form: ModuleForm

    def load(self, origin: str = "") -> Any:
        from functools import partial

        from loomlm_torch.wrapped import Wrapped

        return partial(Wrapped, self.form)
