"""The same once more in another process, where strings hash differently.

An order that comes from a set of strings differs there, and so does all that comes from `hash`.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from loomlm.registry import Registry
from loomlm.testing.conformance.cases import Subject

TAIL = 500
"""Characters of what a process said last that an error quotes."""


def here_and_elsewhere(
    subject: Subject, job: Callable[[Subject], Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a job gives in this process and in another one; both as JSON gives them back.

    job: a function of a module. Of `given` it has what JSON has.
    """
    here = json.loads(json.dumps(job(subject)))
    component, plugins = subject.component, subject.registry.plugins
    request = {
        "path": [path or str(Path.cwd()) for path in sys.path],
        "plugins": [p.module for p in plugins if not p.distribution and p.state == "loaded"],
        "component": [component.kind, component.name, component.target],
        "keys": dict(subject.keys),
        "given": {name: value for name, value in subject.given.items() if _plain(value)},
        "folder": str(subject.folder),
        "job": [job.__module__, job.__name__],
    }
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(request, default=str),
        env={**os.environ, "PYTHONHASHSEED": other},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, (
        f"In another process it failed: {' '.join(done.stderr.split())[-TAIL:]}"
    )
    return here, json.loads(done.stdout.splitlines()[-1])


def _plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def main() -> None:
    """Do the job that standard input asks for; standard output ends with what it gave."""
    request = json.loads(sys.stdin.read())
    sys.path[:] = request["path"]
    with redirect_stdout(sys.stderr):
        registry = Registry.load(request["plugins"])
        kind, name, target = request["component"]
        found = (entry.component for entry in registry.of(kind))
        subject = Subject(
            registry=registry,
            component=next(one for one in found if (one.name, one.target) == (name, target)),
            keys=request["keys"],
            given=request["given"],
            folder=Path(request["folder"]),
        )
        module, function = request["job"]
        given = getattr(import_module(module), function)(subject)
    print(json.dumps(given))


if __name__ == "__main__":
    main()
