"""A name of `loomlm.plugin` as code and words: for `generate.py`.

Code is shown as its source spells it.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Collection, Iterator
from functools import cache
from importlib import import_module
from textwrap import dedent, indent
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
        return Described(
            declaration(value), value.__doc__ or "", inspect.signature(value).parameters
        )
    return _assigned(name)


def declaration(function: Callable[..., Any]) -> str:
    """A function without its body."""
    source = dedent(inspect.getsource(function))
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    lines = source.splitlines()[node.lineno - 1 : node.body[0].lineno - 1]
    return "\n".join(lines).rstrip() + " ..."


def _class(cls: type) -> Described:
    source = dedent(inspect.getsource(cls))
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.ClassDef)
    fields = {field.name: field for field in attrs.fields(cls)} if attrs.has(cls) else {}
    declared = {
        inner.target.id: ast.get_source_segment(source, inner.annotation)
        for inner in node.body
        if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name)
    }
    declared = {name: hint for name, hint in declared.items() if not name.startswith("_")}
    members = [f"{name}: {hint}{_default(fields.get(name))}" for name, hint in declared.items()]
    methods = list(_methods(cls))
    blocks = ["\n".join(members)] if members else []
    blocks.append("\n".join(declaration(method) for _, method in methods))
    body = "\n\n".join(block for block in blocks if block)
    bases = ", ".join(base.__name__ for base in cls.__bases__ if base is not object)
    head = f"class {cls.__name__}{f'({bases})' if bases else ''}:"
    return Described(
        code=f"{head}\n{indent(body, '    ')}" if body else f"{head} ...",
        doc=cls.__doc__ or "",
        names=tuple(declared),
        methods=tuple(
            (name, method.__doc__ or "", inspect.signature(method).parameters)
            for name, method in methods
        ),
    )


def _default(field: Any) -> str:
    if field is None or field.default is attrs.NOTHING:
        return ""
    default = field.default
    if hasattr(default, "factory"):
        default = ... if default.takes_self else default.factory()
    if inspect.isclass(default):
        return f" = {default.__name__}"
    return f" = {'...' if default is ... else repr(default)}".replace("'", '"')


def _methods(cls: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, value in vars(cls).items():
        public = not name.startswith("_") or name == "__call__"
        if public and isinstance(value, FunctionType) and value.__doc__:
            yield name, value


def _assigned(name: str) -> Described:
    """What is no class or function, as its home assigns it, with the string below it."""
    home = _home(name)
    source, tree = _read(home)
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            doc = ""
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                doc = str(after.value.value)
            return Described(ast.get_source_segment(source, node) or "", doc)
    raise AssertionError(f"{home} does not assign {name}.")


def _home(name: str) -> str:
    """The module whose statement makes a name, behind those that pass it on."""
    module = "loomlm.plugin"
    while True:
        passed_on = [
            node.module
            for node in _read(module)[1].body
            if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]
        ]
        if not passed_on or passed_on[0] is None:
            return module
        module = passed_on[0]


@cache
def _read(module: str) -> tuple[str, ast.Module]:
    source = inspect.getsource(import_module(module))
    return source, ast.parse(source)


def paragraphs(doc: str | None, names: Collection[str]) -> str:
    """A docstring in Markdown: what it says of each of the names, "name: what", is a list."""
    known = "|".join(names) or "(?!)"
    start = re.compile(rf"((?:{known})(?:, (?:{known}))*): ")
    lines: list[str] = []
    listed = False
    for line in _on_lines_of_their_own(inspect.cleandoc(doc or ""), start):
        found = start.match(line)
        # Some wrapped lines are indented; a sentence that follows a list never is.
        goes_on = listed and line.strip() and (line[0] == " " or lines[-1][-1:] not in ".;")
        if found:
            lines += [""] if lines and lines[-1] and not listed else []
            called = ", ".join(f"`{name}`" for name in found[1].split(", "))
            lines.append(f"- {called}: {line[found.end() :]}")
        elif goes_on:
            lines.append(f"  {line.strip()}")
        else:
            lines += ["", line] if listed and line else [line]
        listed = bool(found or goes_on)
    return "\n".join(lines)


def _on_lines_of_their_own(doc: str, start: re.Pattern[str]) -> Iterator[str]:
    """The lines of a docstring, cut where "name: what" begins behind the end of a sentence."""
    for line in doc.splitlines():
        cut = [0, *(m.start() for m in start.finditer(line) if line[: m.start()].endswith(". "))]
        for first, last in zip(cut, [*cut[1:], len(line)], strict=True):
            yield line[first:last].rstrip()
