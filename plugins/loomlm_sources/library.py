"""Python's documentation as the running interpreter has it: docstrings and topics, by `ast`.

No module is imported, so nothing of what is read is run.
"""

from __future__ import annotations

import ast
import inspect
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from loomlm.plugin import DataError

TOPICS = "pydoc_data/topics.py"
_TESTS = {"test", "tests", "idle_test"}
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@frozen
class Passage:
    """A docstring or a topic, as `inspect.cleandoc` leaves it; `file` is relative, with `/`."""

    file: str
    line: int
    text: str

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def library_files() -> dict[str, Path]:
    """The standard library's source files by their names within it, in sorted order.

    Tests are left out, and whatever else has been put beside the library. Raises DataError for a
    Python that came without its sources.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    files = {path.relative_to(folder).as_posix(): path for path in folder.glob("**/*.py")}
    for needed in ("os.py", TOPICS):
        if needed not in files:
            raise DataError(
                f"This Python came without its own documentation: {folder / needed} is not there. "
                "Use a Python that has its library as .py files, such as one from python.org, or "
                'set data.type to "files" and name files of your own.'
            )
    return {name: files[name] for name in sorted(files) if _belongs(name)}


def _belongs(name: str) -> bool:
    *folders, file = name.split("/")
    top = folders[0] if folders else file.removesuffix(".py")
    return top in sys.stdlib_module_names and not _TESTS.intersection(folders)


def module_name(file: str) -> str:
    """`xml.dom` of "xml/dom/__init__.py"."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def docstrings(file: str, path: Path) -> list[Passage]:
    """The docstrings of a file, of its module, classes, functions and methods, from top to end."""
    return [
        Passage(file, node.body[0].lineno, text)
        for node in _documented(_parsed(path))
        if (text := inspect.cleandoc(ast.get_docstring(node, clean=False) or "").strip())
    ]


def _documented(node: ast.AST) -> Iterator[_Documented]:
    """Statements alone are looked at: ast.walk, through all expressions, takes four times as long.

    Also those under `if` and `try`, where what differs from system to system is defined.
    """
    if isinstance(node, _Documented):
        yield node
    for name in ("body", "handlers", "orelse", "finalbody"):
        for child in getattr(node, name, ()):
            if isinstance(child, ast.stmt | ast.excepthandler):
                yield from _documented(child)


def topics(path: Path) -> dict[str, Passage]:
    """The pages of the language reference that `help()` shows, by their names."""
    table = next(node.value for node in _parsed(path).body if isinstance(node, ast.Assign))
    assert isinstance(table, ast.Dict)
    return {
        ast.literal_eval(name): Passage(TOPICS, name.lineno, ast.literal_eval(page).strip())
        for name, page in zip(table.keys, table.values, strict=True)
        if name is not None
    }


def _parsed(path: Path) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that a later Python will refuse
            return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        reason = getattr(error, "msg", error)
        raise DataError(
            f"{path}:{getattr(error, 'lineno', 1)}: not Python: {reason}. Reinstall Python."
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Reinstall Python.") from None
