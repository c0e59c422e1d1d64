"""A name of `loomlm.plugin` as code and words: for `generate.py`."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Collection, Iterator
from importlib import import_module
from types import FunctionType
from typing import Any

import attrs
from attrs import frozen

import loomlm.plugin


@frozen
class Described:
    """What there is to say of a name.

    code: as Python declares it. doc: its docstring. names: its fields or arguments, as the
    docstring may list them. methods: name, docstring and arguments of each public one.
    """

    code: str
    doc: str
    names: Collection[str] = ()
    methods: tuple[tuple[str, str, Collection[str]], ...] = ()


def described(name: str) -> Described:
    """A name of `loomlm.plugin`."""
    value = getattr(loomlm.plugin, name)
    if inspect.isclass(value) and value.__name__ == name:
        return _class(value)
    if inspect.isfunction(value):
        arguments = inspect.signature(value).parameters
        return Described(f"def {name}{signature(value)}: ...", value.__doc__ or "", arguments)
    return _assigned(name)


def _class(cls: type) -> Described:
    fields = {field.name: field for field in attrs.fields(cls)} if attrs.has(cls) else {}
    lines = [f"    {n}: {hint}{_default(fields.get(n))}" for n, hint in _annotations(cls).items()]
    methods = list(_methods(cls))
    lines += [f"    def {name}{signature(method)}: ..." for name, method in methods]
    bases = [base.__name__ for base in cls.__bases__ if base is not object]
    head = f"class {cls.__name__}{f'({chr(44).join(bases)})' if bases else ''}:"
    return Described(
        code="\n".join([head, *lines]) if lines else f"{head} ...",
        doc=inspect.cleandoc(cls.__doc__ or ""),
        names=tuple(_annotations(cls)),
        methods=tuple(
            (name, method.__doc__ or "", inspect.signature(method).parameters)
            for name, method in methods
        ),
    )


def _annotations(cls: type) -> dict[str, str]:
    """The public attributes that a class declares, as its source spells their types."""
    return {n: str(hint) for n, hint in cls.__annotations__.items() if not n.startswith("_")}


def _default(field: Any) -> str:
    if field is None or field.default is attrs.NOTHING:
        return ""
    default = field.default
    if hasattr(default, "factory"):
        made = None if default.takes_self else default.factory()
        return f" = {made!r}" if made is None or isinstance(made, dict | tuple) else " = ..."
    return f" = {default!r}"


def _methods(cls: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, value in vars(cls).items():
        public = not name.startswith("_") or name == "__call__"
        if public and isinstance(value, FunctionType) and value.__doc__:
            yield name, value


def _assigned(name: str) -> Described:
    """What is no class or function, as its home assigns it, with the string below it."""
    home = _home(name)
    body = ast.parse(inspect.getsource(import_module(home))).body
    for index, node in enumerate(body):
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            after = body[index + 1] if index + 1 < len(body) else None
            doc = ""
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                doc = inspect.cleandoc(str(after.value.value))
            return Described(ast.unparse(node), doc)
    raise AssertionError(f"{home} does not assign {name}.")


def _home(name: str) -> str:
    """The module whose statement makes a name, behind those that pass it on."""
    module = "loomlm.plugin"
    while True:
        tree = ast.parse(inspect.getsource(import_module(module)))
        passed_on = [
            node.module
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]
        ]
        if not passed_on or passed_on[0] is None:
            return module
        module = passed_on[0]


class _Spelt:
    """An annotation that is shown as its source spells it."""

    def __init__(self, text: object) -> None:
        self.text = text

    def __repr__(self) -> str:
        return str(self.text)


def signature(function: Callable[..., Any]) -> str:
    """The arguments and the result, as they are declared."""
    found = inspect.signature(function)
    empty = inspect.Parameter.empty
    parameters = [
        p if p.annotation is empty else p.replace(annotation=_Spelt(p.annotation))
        for p in found.parameters.values()
    ]
    returns = found.return_annotation
    returns = returns if returns is empty else _Spelt(returns)
    return str(found.replace(parameters=parameters, return_annotation=returns))


def paragraphs(doc: str | None, names: Collection[str]) -> str:
    """A docstring in Markdown: lines that begin with one of the names and a colon are a list."""
    lines: list[str] = []
    in_list = False
    for line in inspect.cleandoc(doc or "").splitlines():
        found = re.match(r"([a-z_]+(?:, [a-z_]+)*): ", line)
        if found and all(name in names for name in found[1].split(", ")):
            listed = ", ".join(f"`{name}`" for name in found[1].split(", "))
            lines += [] if in_list or not lines or not lines[-1] else [""]
            lines.append(f"- {listed}: {line[found.end() :]}")
            in_list = True
        elif in_list and line.strip() and not line.startswith(" ") and lines[-1].endswith("."):
            lines += ["", line]
            in_list = False
        else:
            in_list = in_list and bool(line.strip())
            lines.append(f"  {line.strip()}" if in_list else line)
    return "\n".join(lines)
