"""Random examples through hypothesis, the same ones each time, and what properties say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from loomlm.errors import LoomlmError
from loomlm.testing.conformance.cases import NotApplicable

SHOWN = 80
"""Characters of a value that a message quotes."""


def strategies() -> ModuleType:
    """`hypothesis.strategies`. Raises NotApplicable where hypothesis is not installed."""
    try:
        from hypothesis import strategies
    except ImportError:
        raise NotApplicable(
            "This is checked with hypothesis, which is not installed: pip install hypothesis"
        ) from None
    return strategies


def for_each(check: Callable[[Any], None], strategy: Any, count: int = 100) -> None:
    """Check values that a strategy draws, and raise what the simplest bad one gives.

    Nothing is remembered and nothing depends on the time or the machine: a check that fails, fails
    again.
    """
    from hypothesis import HealthCheck, Phase, Verbosity, errors, given, settings

    failures: list[AssertionError] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate, Phase.target, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(strategy)
    def run(value: Any) -> None:
        try:
            check(value)
        except AssertionError as error:
            failures.append(error)
            raise

    try:
        run()
    except errors.Flaky:
        # What holds at times does not hold.
        raise failures[-1] from None


@contextmanager
def doing(what: str, refusal: bool = False) -> Iterator[None]:
    """Whatever is raised meanwhile is an AssertionError that says what was done.

    refusal: a LoomlmError is raised as it is.
    """
    try:
        yield
    except (AssertionError, NotApplicable):
        raise
    # A component may raise anything, and that it does is what is checked.
    except Exception as error:
        if refusal and isinstance(error, LoomlmError):
            raise
        said = shown(str(error)) if str(error) else ""
        raise AssertionError(f"{what} raised {type(error).__name__}({said})") from error


def shown(value: Any) -> str:
    """A value for a message: in ASCII, and not for ever."""
    text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
