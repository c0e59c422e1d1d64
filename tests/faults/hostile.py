"""Makes models, checkpoints and files that somebody wicked might: each has a name and a folder."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from loomlm.storage.commit import commit


class Calls:
    """Unpickled, it calls something that touches a file."""

    def __init__(self, canary: Path, kind: int) -> None:
        code = f"import pathlib; pathlib.Path({str(canary)!r}).touch()"
        self._call: tuple[Any, tuple[Any, ...]] = [
            (os.system, (f"touch {canary}",)),
            (eval, (f"__import__('pathlib').Path({str(canary)!r}).touch()",)),
            (exec, (code,)),
            (os.mkdir, (str(canary),)),
            (open, (str(canary), "w")),
        ][kind]

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._call


def payloads(canary: Path) -> list[bytes]:
    """25 pickles: five ways to run something, in five protocols."""
    return [pickle.dumps(Calls(canary, kind), way) for kind in range(5) for way in range(5)]


def rewritten(folder: Path, target: Path, change: dict[str, bytes | None]) -> Path:
    """A copy of a committed folder with files changed or without them, and a manifest that fits."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    files |= {name: content for name, content in change.items() if content is not None}
    commit(target, {name: f for name, f in files.items() if change.get(name, b"") is not None})
    return target


def with_payloads(model: Path, place: Path, canary: Path) -> Iterator[Path]:
    """Models with a pickle in the place of each file, or beside them under a usual name."""
    names = [path.name for path in model.iterdir() if path.name != "README.md"]
    beside = ["pytorch_model.bin", "model.pt", "model.h5", "optimizer.pkl", "tokenizer.pickle"]
    for number, payload in enumerate(payloads(canary)):
        name = names[number % len(names)]
        target = place / f"payload{number:02d}"
        if name == "manifest.json":
            shutil.copytree(model, target)
            (target / name).write_bytes(payload)
        else:
            yield rewritten(model, target, {name: payload})
            continue
        yield target
    for number, name in enumerate(beside):
        target = place / f"beside{number}"
        shutil.copytree(model, target)
        (target / name).write_bytes(payloads(canary)[number])
        yield target
        # Without weights of ours: as others save their models.
        other = place / f"instead{number}"
        other.mkdir()
        (other / "config.json").write_text('{"model_type": "gpt2", "auto_map": {"A": "evil.py"}}')
        (other / name).write_bytes(payloads(canary)[number])
        (other / "evil.py").write_text(_touches(canary))
        yield other


def with_other_mischief(model: Path, place: Path, canary: Path) -> Iterator[Path]:
    """Models whose config, manifest or files do what they must not."""
    right = json.loads((model / "config.json").read_bytes())

    def config(name: str, **keys: Any) -> Path:
        files = {"config.json": json.dumps({**right, **keys}).encode()}
        return rewritten(model, place / name, files)

    yield config("auto_map", auto_map={"AutoModel": "evil.Model"})
    yield config("trust_remote_code", trust_remote_code=True)
    yield config("plugins", plugins=["evil.py"])
    yield config("target", backbone={"type": "mlp", "_target_": "os:system"})
    yield config("class_path", backbone={"class_path": "os.system", "init_args": ["true"]})
    yield config("dotted", backbone={"type": "os.system"})
    yield config("dotted_with_colon", task={"type": "os:system"})
    yield config("backend", backend="os.system")
    yield config("stage", stage="../../stage")
    yield config("wide", backbone={**right["backbone"], "width": 1 << 40})
    yield config("facts", facts={"labels": 3})
    yield config("many_labels", facts={"labels": [str(n) for n in range(9999)], "counts": []})
    yield rewritten(model, place / "deep", {"config.json": b"[" * 1_000_000})
    yield rewritten(model, place / "deep_table", {"config.json": b'{"a":' * 1_000_000})
    yield rewritten(model, place / "deep_tokenizer", {"tokenizer.json": b"[" * 1_000_000})
    twice = b'{"format": 1, ' + json.dumps(right).encode()[1:]
    yield rewritten(model, place / "twice", {"config.json": twice})
    for name, length in (("header63", 1 << 63), ("header64", (1 << 64) - 1), ("header40", 1 << 40)):
        weights = length.to_bytes(8, "little") + b"{}"
        yield rewritten(model, place / name, {"model.safetensors": weights})
    for name, make in _odd_files(model, canary).items():
        target = place / name
        shutil.copytree(model, target)
        make(target)
        yield target


def _odd_files(model: Path, canary: Path) -> dict[str, Callable[[Path], Any]]:
    def replaced(name: str, make: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def replace(folder: Path) -> None:
            (folder / name).unlink()
            make(folder / name)

        return replace

    def manifest(name: str) -> Callable[[Path], Any]:
        def change(folder: Path) -> None:
            outside = folder.parent / "outside.json"
            outside.write_text("{}")
            said = json.loads((folder / "manifest.json").read_bytes())
            said["files"][name.replace("ABSOLUTE", str(outside))] = {"size": 2, "sha256": "0" * 64}
            (folder / "manifest.json").write_text(json.dumps(said))

        return change

    def as_a_run(folder: Path) -> None:
        (folder / "config.toml").write_text('plugins = ["evil.py"]\nname = "x"\n')
        (folder / "evil.py").write_text(_touches(canary))

    return {
        "link_to_weights": replaced(
            "model.safetensors", lambda path: path.symlink_to(model / "model.safetensors")
        ),
        "link_out": lambda folder: (folder / "secret").symlink_to("/etc/passwd"),
        "link_to_folder": lambda folder: (folder / "all").symlink_to("/"),
        "pipe": replaced("tokenizer.json", os.mkfifo),
        "pipe_for_config": replaced("config.json", os.mkfifo),
        "pipe_for_manifest": replaced("manifest.json", os.mkfifo),
        "up": manifest("../outside.json"),
        "absolute": manifest("ABSOLUTE"),
        "line_in_a_name": lambda folder: (folder / "a\nb").touch(),
        "escape_in_a_name": lambda folder: (folder / "\x1b[2J").touch(),
        "module": lambda folder: (folder / "json.py").write_text(_touches(canary)),
        "config_of_a_run": as_a_run,
    }


def _touches(canary: Path) -> str:
    return f"import pathlib\npathlib.Path({str(canary)!r}).touch()\n"
