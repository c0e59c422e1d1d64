"""The pytest plugin: `@pytest.mark.loomlm("tokenizer:stem")` on a test that takes `conformance`.

Loaded in every pytest session where loomlm is installed: it imports nothing until a test asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

MARK = (
    "loomlm(spec, plugins=(), keys=None, **given): check that the component KIND:NAME holds to "
    "what its kind promises; the test takes the fixture `conformance` and calls it. plugins: "
    "modules or .py files to load besides the installed ones. keys: the component's keys, or a "
    "function from a folder to them; by default those of its `trials`"
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each property of the component, with each of its trials, on each backend."""
    if "conformance" not in metafunc.fixturenames:
        return
    from loomlm.errors import LoomlmError

    try:
        found = _parameters(metafunc.definition.get_closest_marker("loomlm"))
    except LoomlmError as error:
        raise pytest.Collector.CollectError(f"{metafunc.function.__name__}: {error}") from None
    metafunc.parametrize("conformance", found, indirect=True)


def _parameters(mark: pytest.Mark | None) -> list[Any]:
    """The cases that a mark asks for, with the registry that they come from.

    Raises LoomlmError for a mark that cannot be meant.
    """
    from loomlm.errors import UsageError
    from loomlm.registry import Registry
    from loomlm.testing.conformance.cases import cases, check_given, check_keys, lacking

    if mark is None or len(mark.args) != 1:
        raise UsageError(
            "It takes the fixture `conformance`, so it needs a mark that says what to check: "
            '@pytest.mark.loomlm("KIND:NAME").'
        )
    (spec,) = mark.args
    registry = Registry.load([str(name) for name in mark.kwargs.get("plugins", ())])
    reason = lacking(registry, spec)
    if reason:
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="lacking")]
    check_given(spec, _given(mark))
    check_keys(registry, spec, mark.kwargs.get("keys"))
    found = list(cases(registry, spec))
    if mark.kwargs.get("keys") is not None:
        # These stand in the place of every trial.
        found = [case for case in found if case.trial == found[0].trial]
    return [pytest.param((case, registry), id=str(case)) for case in found]


def _given(mark: pytest.Mark) -> dict[str, Any]:
    """What the mark says besides plugins and keys."""
    return {name: value for name, value in mark.kwargs.items() if name not in ("plugins", "keys")}


@pytest.fixture(scope="session")
def loomlm_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What the checks of a session share: see `loomlm.testing.conformance.shared`."""
    from loomlm.testing.conformance.shared import Shared

    shared = Shared(tmp_path_factory.mktemp)
    yield shared
    shared.stop()


@pytest.fixture
def conformance(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    loomlm_shared: Any,
) -> Callable[[], None]:
    """Checks one property of the component that the test's mark names, with a cache of its own."""
    from loomlm.errors import LoomlmError
    from loomlm.testing.conformance.cases import NotApplicable, Subject
    from loomlm.testing.conformance.telling import told

    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache"))
    case, registry = request.param
    mark = request.node.get_closest_marker("loomlm")
    keys = mark.kwargs.get("keys")

    def check() -> None:
        found: Any = keys(tmp_path) if callable(keys) else keys
        subject = Subject(
            registry=registry,
            component=case.component,
            keys=case.component.trials[case.trial] if found is None else found,
            backend=case.backend,
            given=_given(mark),
            folder=tmp_path,
            shared=loomlm_shared,
        )
        said = ""
        try:
            case.holds(subject)
        except NotApplicable as reason:
            pytest.skip(str(reason))
        except AssertionError as error:
            said = told(case, error)
            if not said:
                raise
        except LoomlmError as error:
            # Written for people: what stands behind it says no more.
            said = f"{case.component.kind}:{case.component.name}: {error}"
        if said:
            pytest.fail(said, pytrace=False)

    return check
