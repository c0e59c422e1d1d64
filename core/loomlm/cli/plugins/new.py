"""`loomlm plugins new`: a distribution that works as it stands, for an author to go on from.

What it writes are the files of `loomlm/scaffolds`: those of the kind, and the shared ones, with the
words of `_values` put in. The words are such that the files are valid before that too.
"""

from __future__ import annotations

import keyword
import re
import shlex
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from loomlm.cli.options import load_registry
from loomlm.components import KINDS
from loomlm.errors import UsageError, did_you_mean

SCAFFOLDS = Path(__file__).parents[2] / "scaffolds"
SHARED = "shared"
OWN = "loomlm"
HIDDEN = "dot_"
"""How a name begins that begins with a dot in what is written."""

DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
COMPONENT = re.compile(r"[a-z0-9_]+")
MAY_BE_THERE = {".git", "LICENSE"}
"""What a new, empty repository holds."""


@frozen
class Names:
    """What a plugin is called: its distribution, its package, its component."""

    kind: str
    distribution: str
    package: str
    component: str

    @classmethod
    def of(cls, kind: str, name: str, component: str | None) -> Names:
        """The names that follow from one. Raises UsageError for a name that cannot be."""
        if not DISTRIBUTION.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot name a distribution: that has letters, digits, '-', '_' and '.', "
                "and ends in one of the first two. For another folder there is --into."
            )
        distribution = canonical(name)
        package = distribution.replace("-", "_")
        if not package.isidentifier() or keyword.iskeyword(package):
            raise UsageError(
                f"Python could not import {package!r}. Take another name, such as "
                f"loomlm-{distribution}."
            )
        component = package.removeprefix("loomlm_") if component is None else component
        if not COMPONENT.fullmatch(component):
            raise UsageError(
                f"{component!r} cannot name a component: that has lower case letters, digits and "
                "underscores."
            )
        return cls(kind, distribution, package, component)


@click.command("new")
@click.argument("kind")
@click.argument("name")
@click.option("--into", metavar="DIR", help="The folder to write; by default ./NAME.")
@click.option(
    "--component", metavar="NAME", help="What a config's `type` will say; by default after NAME."
)
def command(kind: str, name: str, into: str | None, component: str | None) -> None:
    """Write a plugin to go on from: a distribution that installs, works and is tested.

    KIND is what it adds: backbone, data-source, metric, tokenizer or trainer. NAME is the
    distribution's, such as loomlm-stem.
    """
    names = Names.of(_kind(kind), name, component)
    folder = Path(into or name)
    _check_folder(folder)
    _check_free(names)
    files = scaffold(names)
    from loomlm.storage.commit import write_file

    for path, content in files.items():
        write_file(folder / path, content)
    steps = [
        *([] if folder == Path() else [f"cd {shlex.quote(str(folder))}"]),
        'pip install -e ".[test]"',
        "python -m pytest",
        f"loomlm plugins show {names.kind}:{names.component}",
    ]
    click.echo(
        f"Wrote {folder} ({len(files)} files): the {_words(names.kind)} {names.component!r}, which "
        f"works as it stands. Its code is in src/{names.package} there.\n\nNext:\n  "
        + "\n  ".join(steps)
    )


def canonical(distribution: str) -> str:
    """A distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def scaffold(names: Names) -> dict[str, str]:
    """What is written: the text of each file by its path in the folder."""
    about = tomllib.loads((SCAFFOLDS / f"{names.kind}.toml").read_text(encoding="utf-8"))
    values = _values(names, about)
    return {
        fill(path, values): fill(file.read_text(encoding="utf-8"), values)
        for part in (SHARED, names.kind)
        for path, file in _files(SCAFFOLDS / part)
    }


def fill(text: str, values: Mapping[str, str]) -> str:
    """A text with each of the words replaced by what it stands for."""
    return re.sub("|".join(map(re.escape, values)), lambda found: values[found[0]], text)


def _values(names: Names, about: Mapping[str, Any]) -> dict[str, str]:
    """The words that stand for something in the scaffolds, with what that is."""
    named = {
        "plugin-distribution": names.distribution,
        "plugin_package": names.package,
        "plugin_component": names.component,
        "plugin_kind": names.kind,
        "plugin-words": _words(names.kind),
        "plugin-summary": about["summary"],
    }
    rows = [f"| `{file}` | {what} |" for file, what in about["files"].items()]
    return {
        **named,
        "plugin-config": fill(about["config"], named),
        "plugin-files": fill("\n".join(rows), named),
        '"plugin-requirements"': _listed([*about["requirements"], _loomlm()]),
        '"plugin-test-requirements"': _listed(about["test"]),
    }


def _listed(requirements: Iterable[str]) -> str:
    return ",\n  ".join(f'"{requirement}"' for requirement in requirements)


def _loomlm() -> str:
    """This version of Loomlm, and those after it that keep what it promises."""
    here = version("loomlm")
    major, minor, *_ = (*map(int, re.findall(r"\d+", here)), 0)
    return f"loomlm>={here},<{major + 1 if major else f'0.{minor + 1}'}"


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of a scaffold, each with its path in what is written."""
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        # An installed package has its sources compiled.
        if file.is_file() and "__pycache__" not in parts:
            yield "/".join(re.sub(f"^{HIDDEN}", ".", part) for part in parts), file


def _kind(given: str) -> str:
    """A kind that has a scaffold. Raises UsageError for another."""
    kind = given.replace("-", "_")
    kinds = [path.stem for path in SCAFFOLDS.glob("*.toml")]
    if kind in kinds:
        return kind
    if kind in KINDS:
        listed = ", ".join(name.replace("_", "-") for name in sorted(kinds))
        raise UsageError(
            f"No {_words(kind)} can be written, only {listed}. A plugin with one takes "
            "a few lines: see docs/write-a-plugin.md."
        )
    near = did_you_mean(given, [name.replace("_", "-") for name in kinds])
    raise UsageError(f"{given!r} is no kind of component. {near}")


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file. Give another NAME, or a folder with --into.")
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if there - MAY_BE_THERE:
        raise UsageError(
            f"The folder {folder} is there already, with {min(there - MAY_BE_THERE)} in it, and "
            "nothing is overwritten. Remove it, give another NAME, or another folder with --into."
        )


def _check_free(names: Names) -> None:
    """Raises UsageError where another distribution has the component's name or the package's."""
    registry = load_registry(())
    for entry in registry.of(names.kind):
        if entry.component.name == names.component and not _is_own(entry.plugin, names):
            raise UsageError(
                f"The {_words(names.kind)} {names.component!r} is there already, from "
                f"{entry.plugin.origin}: a config could not tell the two apart by their name. Give "
                "another NAME, or --component."
            )
    if not any(_is_own(plugin, names) for plugin in registry.plugins) and _imports(names.package):
        raise UsageError(
            f"There is a Python module {names.package!r} already. Give another NAME, such as "
            f"my-{names.distribution}."
        )


def _is_own(plugin: Any, names: Names) -> bool:
    """Whether a plugin is of the distribution: its author may have installed it before."""
    found = canonical(plugin.distribution)
    return found == names.distribution and plugin.distribution != OWN


def _imports(package: str) -> bool:
    """Whether something has that name; a folder that only lies here is no module."""
    found = find_spec(package)
    return found is not None and found.origin is not None


def _words(kind: str) -> str:
    return kind.replace("_", " ")
