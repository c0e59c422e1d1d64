"""Around each implementation of a hook: how long it took, for `--trace-hooks`; and that a plugin
which fails while it watches a run does not end the run.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any

import pluggy
from attrs import define, field

from loomlm.errors import LoomlmError, PluginWarning


@define
class Line:
    """One implementation of one hook: how often it ran, how often it answered, for how long."""

    hook: str
    who: str
    calls: int = 0
    answers: int = 0
    seconds: float = 0.0


@define
class Trace:
    """The hooks that ran, in the order of their first calls."""

    lines: dict[tuple[str, str], Line] = field(factory=dict)

    def line(self, hook: str, who: str) -> Line:
        """The line of an implementation, made when it runs first."""
        return self.lines.setdefault((hook, who), Line(hook, who))


TRACE: ContextVar[Trace | None] = ContextVar("TRACE", default=None)
"""What hooks are traced into; None, as it is without `--trace-hooks`, costs nothing."""


@contextmanager
def tracing() -> Iterator[Trace]:
    """Trace the hooks that run inside."""
    trace = Trace()
    token = TRACE.set(trace)
    try:
        yield trace
    finally:
        TRACE.reset(token)


def traced_call(hook: str, who: str, function: Callable[[], Any]) -> Any:
    """Call an implementation that pluggy does not."""
    trace = TRACE.get()
    return function() if trace is None else _timed(function, partial(trace.line, hook, who))()


def register(manager: pluggy.PluginManager, plugin: Any, who: str, *, guard: bool = False) -> None:
    """Register an object with hooks.

    guard: one that raises is not called again, with a warning; an error that is meant for the
    user, or to stop the program, passes.
    """
    manager.register(plugin)
    trace = TRACE.get()
    for caller in manager.get_hookcallers(plugin) or ():
        for implementation in caller.get_hookimpls():
            if implementation.plugin is not plugin:
                continue
            function: Any = implementation.function
            wraps_others = implementation.wrapper or implementation.hookwrapper
            if guard and not wraps_others:
                function = _guarded(function, caller.name, who)
            if trace is not None:
                timed = _timed_wrapper if wraps_others else _timed
                function = timed(function, partial(trace.line, caller.name, who))
            implementation.function = function  # type: ignore[misc] - Final is for who calls it


def _guarded(function: Callable[..., Any], hook: str, who: str) -> Callable[..., Any]:
    failed = False

    @wraps(function)
    def call(*arguments: Any) -> Any:
        nonlocal failed
        if failed:
            return None
        try:
            return function(*arguments)
        except LoomlmError:
            raise
        # A watcher may raise anything, and the run is worth more than what it watches for.
        except Exception as error:
            failed = True
            warnings.warn(
                f"{who} failed in {hook} and is not called there again: "
                f"{type(error).__name__}: {error}",
                PluginWarning,
                stacklevel=2,
            )
            return None

    return call


def _timed(function: Callable[..., Any], of: Callable[[], Line]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        line, started = of(), time.perf_counter()
        line.calls += 1
        try:
            result = function(*arguments)
            line.answers += result is not None
            return result
        finally:
            line.seconds += time.perf_counter() - started

    return call


def _timed_wrapper(function: Callable[..., Any], of: Callable[[], Line]) -> Callable[..., Any]:
    """A generator that wraps others: its own time is what passes before and behind its yield."""

    def call(*arguments: Any) -> Any:
        line, wrapper = of(), function(*arguments)
        line.calls += 1
        started = time.perf_counter()
        next(wrapper)
        line.seconds += time.perf_counter() - started
        try:
            inner = yield
        except BaseException as error:
            return _end(wrapper, line, partial(wrapper.throw, error))
        return _end(wrapper, line, partial(wrapper.send, inner))

    return call


def _end(wrapper: Any, line: Line, go_on: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    try:
        go_on()
    except StopIteration as end:
        line.answers += end.value is not None
        return end.value
    finally:
        line.seconds += time.perf_counter() - started
    raise RuntimeError(f"{line.who} yields twice in {line.hook}.")
