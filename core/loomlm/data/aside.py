"""Work that goes on in a second thread, one item ahead of the first or one behind it.

So files are read and written while the processor computes, and no more than a few items are held.
Order and errors are those of doing one thing after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")


@contextmanager
def _thread(name: str) -> Iterator[ThreadPoolExecutor]:
    """A thread that is never left running, though a signal may raise anywhere, once."""
    pool = ThreadPoolExecutor(1, name)
    try:
        # Of one that a signal met while it was started, nobody would know.
        pool.submit(int).result()
        yield pool
    finally:
        try:
            pool.shutdown()
        except BaseException:  # The signal came while it was waited for.
            pool.shutdown()
            raise


@contextmanager
def ahead(items: Iterator[Item]) -> Iterator[Iterator[Item]]:
    """The items, the next one made while the one before is used."""
    over: Any = object()
    with _thread("ahead") as thread:

        def made() -> Iterator[Item]:
            coming = thread.submit(next, items, over)
            while (item := coming.result()) is not over:
                coming = thread.submit(next, items, over)
                yield item

        yield made()


@contextmanager
def behind(use: Callable[[Item], None]) -> Iterator[Callable[[Item], None]]:
    """A function that has an item used while the next one is made; all are used at the end.

    An error comes out of the next call, or at the end.
    """
    going: list[Future[None]] = []
    with _thread("behind") as thread:

        def give(item: Item) -> None:
            while going:
                going.pop().result()
            going.append(thread.submit(use, item))

        yield give
        while going:
            going.pop().result()
