"""Disks that crash, fail or lose their power; `using` puts one in the place of the real one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, field

from loomlm.storage.disk import Disk, DiskFile

OPERATIONS = (
    "create",
    "append",
    "write",
    "sync",
    "cut",
    "sync_folder",
    "make_folder",
    "rename",
    "replace",
    "remove",
    "remove_folder",
    "touch",
)


class Watched(Disk):
    """Counts operations; `around` does each, or something else.

    Nothing is really synced: that takes long, and says nothing while the power is on.
    """

    def __init__(self) -> None:
        self.count = 0

    def around(self, name: str, operation: Callable[..., Any], *given: Any) -> Any:
        """Do an operation of a name. Overridden by disks that do not."""
        return operation(*given)


def _watched(name: str) -> Callable[..., Any]:
    def method(self: Watched, *given: Any) -> Any:
        self.count += 1
        really = _nothing if name in ("sync", "sync_folder") else getattr(Disk, name)
        return self.around(name, really, self, *given)

    return method


def _nothing(*_: Any) -> None:
    pass


for _name in OPERATIONS:
    setattr(Watched, _name, _watched(_name))


class Crash(BaseException):
    """The process is gone: nobody handles it."""


class Crashing(Watched):
    """Does all before the k-th operation, half of that if it writes, and nothing ever after."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def around(self, name: str, operation: Callable[..., Any], *given: Any) -> Any:
        if self.count < self.at:
            return operation(*given)
        if self.count == self.at and name == "write":
            _write_half(*given)
        raise Crash

    @property
    def crashed(self) -> bool:
        """Whether it has."""
        return self.count >= self.at


class Failing(Watched):
    """Fails from the k-th operation on, so many times; a write has done half of its work then.

    names: the operations that count, all by default.
    """

    def __init__(
        self, at: int, code: int, times: int = 1, names: tuple[str, ...] = OPERATIONS
    ) -> None:
        super().__init__()
        self.at, self.code, self.times, self.names = at, code, times, names
        self.failed: list[str] = []
        self._counted = 0

    def around(self, name: str, operation: Callable[..., Any], *given: Any) -> Any:
        if name in self.names:
            self._counted += 1
            if self.at <= self._counted < self.at + self.times:
                self.failed.append(name)
                if name == "write":
                    _write_half(*given)
                raise OSError(self.code, os.strerror(self.code))
        return operation(*given)


def _write_half(disk: Disk, file: DiskFile, data: memoryview) -> None:
    Disk.write(disk, file, data[: len(data) // 2])


@define(eq=False)
class Node:
    """A file or a folder, whatever its name is. data: of a file. entries: of a folder."""

    data: bytes = b""
    entries: dict[str, Node] | None = None
    number: int = field(factory=count().__next__)

    def all(self) -> Iterator[Node]:
        """It, and all below it."""
        yield self
        for child in (self.entries or {}).values():
            yield from child.all()


@define
class Change:
    """Something that happened to a node. name, to: an entry of a folder, its new one."""

    kind: str
    node: Node
    name: str = ""
    to: str = ""
    child: Node | None = None
    data: bytes = b""
    size: int = 0


class Recording(Watched):
    """Notes what happens below a folder, so that `lost` can say what a loss of power leaves."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._path = root
        self._files: dict[DiskFile, Node] = {}
        self.root = _read(root)
        self.changes: list[Change] = []
        self._before = deepcopy(self.root)

    def around(self, name: str, operation: Callable[..., Any], *given: Any) -> Any:
        done = operation(*given)
        getattr(self, f"_on_{name}")(done, *given[1:])
        return done

    def lost(self) -> Iterator[Node]:
        """What may be there after a loss of power, at every instant: each folder's entries as they
        were last synced, with so many of the later changes as the file system got to, in order;
        each file's bytes as they were last synced, or all.
        """
        for end in range(len(self.changes) + 1):
            done = self.changes[:end]
            pending = [i for i, change in enumerate(done) if _is_pending(i, done)]
            for kept in range(len(pending) + 1):
                yield self._made(_without(done, pending[kept:]), False)
            yield self._made(done, True)

    def lasting(self) -> Node:
        """What is there after all, however late: all that was not synced is lost."""
        pending = [i for i in range(len(self.changes)) if _is_pending(i, self.changes)]
        return self._made(_without(self.changes, pending), False)

    def _made(self, changes: list[Change], with_unsynced: bool) -> Node:
        root = deepcopy(self._before)
        nodes = {node.number: node for node in root.all()}
        written: dict[int, bytes] = {}
        for change in changes:
            node = nodes.setdefault(change.node.number, _like(change.node))
            now = written.get(node.number, node.data)
            if change.kind == "write":
                written[node.number] = now + change.data
            elif change.kind == "cut":
                written[node.number] = now[: change.size]
            elif change.kind == "sync":
                node.data = now
            elif change.kind == "enter":
                assert node.entries is not None and change.child is not None
                child = nodes.setdefault(change.child.number, _like(change.child))
                node.entries[change.name] = child
            elif change.kind == "leave":
                assert node.entries is not None
                node.entries.pop(change.name, None)
            elif change.kind == "move" and node.entries is not None:
                moved = node.entries.pop(change.name, None)
                if moved is not None:
                    node.entries[change.to] = moved
        if with_unsynced:
            for node in nodes.values():
                node.data = written.get(node.number, node.data)
        return root

    def _find(self, path: Path) -> Node:
        node = self.root
        for part in path.relative_to(self._path).parts:
            assert node.entries is not None
            node = node.entries[part]
        return node

    def _enter(self, path: Path, child: Node) -> None:
        folder = self._find(path.parent)
        assert folder.entries is not None
        folder.entries[path.name] = child
        self.changes.append(Change("enter", folder, path.name, child=child))

    def _leave(self, _: None, path: Path) -> None:
        folder = self._find(path.parent)
        assert folder.entries is not None
        folder.entries.pop(path.name, None)  # Locks are made by their library.
        self.changes.append(Change("leave", folder, path.name))

    _on_remove = _on_remove_folder = _leave

    def _move(self, _: None, path: Path, target: Path) -> None:
        assert path.parent == target.parent, "a rename between folders is two changes"
        folder = self._find(path.parent)
        assert folder.entries is not None
        folder.entries[target.name] = folder.entries.pop(path.name)
        self.changes.append(Change("move", folder, path.name, to=target.name))

    _on_rename = _on_replace = _move

    def _on_create(self, file: DiskFile, path: Path) -> None:
        self._files[file] = node = Node()
        self._enter(path, node)

    def _on_append(self, file: DiskFile, path: Path) -> None:
        entries = self._find(path.parent).entries
        assert entries is not None
        if path.name in entries:
            self._files[file] = entries[path.name]
        else:
            self._on_create(file, path)

    def _on_write(self, _: None, file: DiskFile, data: memoryview) -> None:
        node = self._files[file]
        node.data += bytes(data)
        self.changes.append(Change("write", node, data=bytes(data)))

    def _on_cut(self, _: None, path: Path, size: int) -> None:
        node = self._find(path)
        node.data = node.data[:size]
        self.changes.append(Change("cut", node, size=size))

    def _on_sync(self, _: None, file: DiskFile) -> None:
        self.changes.append(Change("sync", self._files[file]))

    def _on_sync_folder(self, _: None, folder: Path) -> None:
        # What lies above is not watched.
        if folder == self._path or self._path in folder.parents:
            self.changes.append(Change("sync", self._find(folder)))

    def _on_make_folder(self, _: None, path: Path) -> None:
        self._enter(path, Node(entries={}))

    def _on_touch(self, _: None, path: Path) -> None:
        pass


def write_tree(node: Node, path: Path) -> None:
    """Make what a node says real."""
    if node.entries is None:
        path.write_bytes(node.data)
        return
    path.mkdir()
    for name, child in node.entries.items():
        write_tree(child, path / name)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder with its bytes, None for a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def _without(changes: list[Change], dropped: list[int]) -> list[Change]:
    return [change for index, change in enumerate(changes) if index not in dropped]


def _is_pending(index: int, done: list[Change]) -> bool:
    change = done[index]
    if change.kind not in ("enter", "leave", "move"):
        return False
    return not any(c.kind == "sync" and c.node is change.node for c in done[index:])


def _read(path: Path) -> Node:
    if path.is_dir():
        return Node(entries={child.name: _read(child) for child in path.iterdir()})
    return Node(data=path.read_bytes())


def _like(node: Node) -> Node:
    """An empty one of its kind."""
    return Node(entries=None if node.entries is None else {})
