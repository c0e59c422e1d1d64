"""Work that goes on in a second thread, one item ahead of the first or one behind it.

So files are read and written while the processor computes, and no more than a few items are held.
Order and errors are those of doing one thing after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event, Lock
from typing import Any, TypeVar

Item = TypeVar("Item")


@contextmanager
def _thread(name: str) -> Iterator[Callable[..., Future[Any]]]:
    """Has functions called in a second thread, which does nothing any more behind the block.

    That holds where a signal raises anywhere, once: the thread itself cannot be waited for then,
    since on Python 3.11 and 3.12 a `join` that was interrupted takes it for ended.
    """
    busy, over = Lock(), Event()

    def called(function: Callable[..., Any], *args: Any) -> Any:
        with busy:
            return None if over.is_set() else function(*args)

    pool = ThreadPoolExecutor(1, name)
    try:
        yield partial(pool.submit, called)
    finally:
        over.set()
        try:
            busy.acquire()
        except BaseException:
            busy.acquire()
            raise
        finally:
            busy.release()
            pool.shutdown(wait=False)


@contextmanager
def ahead(items: Iterator[Item]) -> Iterator[Iterator[Item]]:
    """The items, the next one made while the one before is used."""
    over: Any = object()
    with _thread("ahead") as submit:

        def made() -> Iterator[Item]:
            coming = submit(next, items, over)
            while (item := coming.result()) is not over:
                coming = submit(next, items, over)
                yield item

        yield made()


@contextmanager
def behind(use: Callable[[Item], None]) -> Iterator[Callable[[Item], None]]:
    """A function that has an item used while the next one is made; all are used at the end.

    An error comes out of the next call, or at the end.
    """
    going: list[Future[None]] = []
    with _thread("behind") as submit:

        def give(item: Item) -> None:
            while going:
                going.pop().result()
            going.append(submit(use, item))

        yield give
        while going:
            going.pop().result()
