"""Who may know whom: what start-up imports, what the core names, which way imports go."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_backend

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "loomlm"
PLUGINS = ROOT / "plugins"
# What `loomlm plugins new` writes is an author's own, and imported by nobody here.
SOURCES = [path for path in CORE.rglob("*.py") if "scaffolds" not in path.parts]
FRAMEWORKS = {"torch", "tensorflow", "keras", "datasets", "tokenizers", "transformers"}
BACKENDS = {"torch", "tensorflow", "keras"}
HEAVY = FRAMEWORKS | {"sklearn", "numpy", "scipy", "pandas", "pyarrow"}

# A part may import those in its own line and in the lines below it.
LAYERS = (
    ("cli", "testing"),
    ("training",),
    ("inference",),
    ("data", "models"),
    ("storage", "plugin", "config", "extending"),
    ("registry",),
    ("deprecations",),
    ("hookspecs", "contracts", "components"),
    ("errors",),
)
# The author's API names the classes that a plugin's config is made of, and hands on, on first use,
# what a plugin may use of the data's code.
ALLOWED_UP = {("contracts", "config"), ("hookspecs", "config"), ("plugin", "data")}


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path} has a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def loaded_after(code: str) -> set[str]:
    """The top-level modules in `sys.modules` once a fresh interpreter has run some code."""
    script = f"import sys\n{code}\nprint('|'.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split("|"))


def command(*words: str) -> str:
    return (
        f"sys.argv = ['loomlm', *{list(words)!r}]\n"
        "from loomlm.cli import main\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code, done.code"
    )


@pytest.mark.parametrize("words", [("--help",), ("plugins",), ("run", "--help")])
def test_start_up_imports_nothing_heavy(words):
    assert not loaded_after(command(*words)) & HEAVY


def test_the_core_imports_no_framework():
    modules = [
        ".".join(("loomlm", *path.relative_to(CORE).with_suffix("").parts))
        for path in SOURCES
        if path.stem not in ("__init__", "__main__")
    ]
    code = "import " + ", ".join(modules)

    assert not loaded_after(code) & FRAMEWORKS


def test_a_target_is_imported_on_first_use_only():
    code = "from loomlm.registry import Registry\nRegistry.load()"

    assert not loaded_after(code) & HEAVY


def test_the_core_names_no_plugin_and_no_framework():
    for path in SOURCES:
        for module in imports(path):
            top = module.split(".")[0]
            assert top not in FRAMEWORKS, f"{path} imports {module}"
            assert not top.startswith("loomlm_"), f"{path} imports {module}"


def test_every_part_of_the_core_has_its_layer():
    parts = {path.name.removesuffix(".py") for path in CORE.iterdir() if path.name[0] != "_"}

    assert parts - {"py.typed", "scaffolds"} <= {name for names in LAYERS for name in names}


def test_imports_go_downwards():
    rank = {name: index for index, names in enumerate(LAYERS) for name in names}
    for path in SOURCES:
        part = path.relative_to(CORE).parts[0].removesuffix(".py")
        for module in imports(path):
            steps = module.split(".")
            if steps[0] != "loomlm" or len(steps) < 2 or part not in rank:
                continue
            other = steps[1]
            if (part, other) in ALLOWED_UP or other not in rank:
                continue
            assert rank[part] <= rank[other], f"{path} imports {module}"


# The disk itself, and what is no part of a run but tests, in folders that it makes.
WRITE_ELSEWHERE = {"storage/disk.py", "cli/parity.py", "testing"}
WRITES = {
    *("write_text", "write_bytes", "touch", "mkdir", "unlink", "rmdir", "rename", "truncate"),
    *("symlink_to", "hardlink_to", "chmod", "makedirs", "removedirs", "remove", "rmtree", "move"),
    *("copy", "copy2", "copyfile", "copytree", "mkdtemp", "mkstemp", "utime"),
    *("link", "symlink", "savez", "tofile", "save_file", "fsync", "ftruncate"),
}
MODULES_THAT_WRITE = {"os", "shutil", "tempfile", "np"}


def writes(path: Path) -> Iterator[str]:
    """The calls in a file that write to the file system: by their names, since types are not known.

    Methods of other things have some of these names; those of paths have no such arguments.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        of = node.func.value if isinstance(node.func, ast.Attribute) else None
        module = of.id if isinstance(of, ast.Name) else ""
        # What Linux shows of a process as files is no disk.
        through = isinstance(of, ast.Call) and ast.unparse(of).startswith(
            ("disk()", "Path('/proc/")
        )
        modes = [
            a.value
            for a in (*node.args, *(k.value for k in node.keywords))
            if isinstance(a, ast.Constant) and isinstance(a.value, str)
        ]
        opens = (name == "open" or ast.unparse(node.func) == "open") and any(
            set(mode) & set("wax+") and set(mode) <= set("wax+bt") for mode in modes
        )
        removes = name in ("remove", "copy", "move", "link") and module not in MODULES_THAT_WRITE
        replaces = name == "replace" and len(node.args) == 1 and not node.keywords
        if not through and (opens or replaces or (name in WRITES and not removes)):
            yield f"{ast.unparse(node.func)} in line {node.lineno}"


def test_the_core_writes_through_its_disk_alone():
    for path in SOURCES:
        place = path.relative_to(CORE)
        if not {place.as_posix(), place.parts[0]} & WRITE_ELSEWHERE:
            assert not list(writes(path)), path


@pytest.mark.parametrize(
    "line",
    [
        "path.open('w')",
        "open(path, mode='ab')",
        "path.write_text(text)",
        "path.rename(other)",
        "path.replace(other)",
        "shutil.rmtree(path)",
        "os.remove(path)",
        "Path(path).unlink(missing_ok=True)",
        "np.savez(path)",
    ],
)
def test_what_writes_is_recognised(tmp_path, line):
    (tmp_path / "code.py").write_text(line, encoding="utf-8")
    assert list(writes(tmp_path / "code.py"))
    (tmp_path / "code.py").write_text("disk().rename(a, b)\ntext.replace('a', 'b')\npath.open()")
    assert not list(writes(tmp_path / "code.py"))


def test_built_in_plugins_use_the_public_door():
    for path in PLUGINS.rglob("*.py"):
        package = path.relative_to(PLUGINS).parts[0]
        for module in imports(path):
            steps = module.split(".")
            if steps[0] == "loomlm":
                assert steps[1:2] == ["plugin"], f"{path} imports {module}"
            elif steps[0].startswith("loomlm_"):
                assert steps[0] in (package, "loomlm_backbones"), f"{path} imports {module}"


@pytest.mark.each_backend
@pytest.mark.parametrize("observers", [[], ["tensorboard"]])
def test_a_run_imports_the_framework_of_its_backend_alone(config_file, backend, observers):
    words = ("run", str(config_file(steps="2")), "--set", f"observers={observers}")

    loaded = loaded_after(command(*words))

    assert loaded & BACKENDS == ({"torch"} if backend == "torch" else {"tensorflow", "keras"})
    assert (Path("runs/small/tensorboard").exists()) == bool(observers)


WITHOUT = Path(__file__).parents[1] / "without"
MODULES = {"torch": "torch", "tensorflow": "tensorflow keras"}


def without(backend: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A command where a backend's framework is not installed."""
    hidden = f"{os.environ.get('LOOMLM_TESTS_WITHOUT', '')} {MODULES[backend]}"
    paths = os.pathsep.join([str(WITHOUT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "LOOMLM_TESTS_WITHOUT": hidden, "PYTHONPATH": paths}
    command = [sys.executable, "-m", "loomlm", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.each_backend
def test_a_run_whose_backend_is_not_there_says_what_to_install(config_file, backend):
    run = without(backend, "run", str(config_file()))

    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    *said, error = run.stderr.splitlines()
    assert not any("rror" in line for line in said)
    assert error.startswith(f"Error: The backend '{backend}' needs ")
    assert error.endswith(f'not installed. Install it: pip install "loomlm[{backend}]"')


@pytest.mark.each_backend
def test_without_a_backend_everything_else_works(config_file, backend):
    path, install = str(config_file()), f'pip install "loomlm[{backend}]"'

    assert install in without(backend, "plugins").stdout
    assert without(backend, "config", "schema").returncode == 0
    assert without(backend, "init", "classification").returncode == 0
    assert install in without(backend, "doctor").stdout
    check = without(backend, "config", "check", path)
    assert check.returncode == 0
    assert "is right" in check.stdout
    assert install in check.stdout
    assert without(backend, "config", "show", path).returncode == 0


def test_without_any_backend_a_config_is_still_checked(config_file, backend, monkeypatch):
    monkeypatch.setenv("LOOMLM_TESTS_WITHOUT", " ".join(MODULES.values()))
    path = str(config_file())

    check = without(backend, "config", "check", path, "--set", "backend=auto")
    doctor = without(backend, "doctor")
    run = without(backend, "run", path, "--set", "backend=auto")

    assert check.returncode == 0
    assert "is right" in check.stdout
    assert 'pip install "loomlm[tensorflow]" or pip install "loomlm[torch]"' in check.stdout
    assert doctor.returncode == 1
    assert run.returncode == 2
    assert "No backend is installed. Install one: pip install" in run.stderr
