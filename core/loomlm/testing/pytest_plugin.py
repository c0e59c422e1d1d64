"""The pytest plugin: `@pytest.mark.loomlm("tokenizer:stem")` on a test that takes `conformance`.

Loaded in every pytest session where loomlm is installed: it imports nothing until a test asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("loomlm.testing.conformance")

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
    mark = metafunc.definition.get_closest_marker("loomlm")
    if mark is None or "conformance" not in metafunc.fixturenames:
        return
    from loomlm.registry import Registry
    from loomlm.testing.conformance.cases import cases

    (spec,) = mark.args
    registry = Registry.load([str(name) for name in mark.kwargs.get("plugins", ())])
    found = [(case, registry) for case in cases(registry, spec)]
    metafunc.parametrize("conformance", found, ids=[str(case) for case, _ in found], indirect=True)


@pytest.fixture(scope="session")
def loomlm_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What the checks of a session share: see `loomlm.testing.conformance.shared`."""
    from loomlm.testing.conformance.shared import Shared

    shared = Shared(tmp_path_factory.mktemp)
    yield shared
    shared.stop()


@pytest.fixture
def conformance(
    request: pytest.FixtureRequest, tmp_path: Path, loomlm_shared: Any
) -> Callable[[], None]:
    """Checks one property of the component that the test's mark names."""
    from loomlm.testing.conformance.cases import NotApplicable, Subject

    case, registry = request.param
    mark = request.node.get_closest_marker("loomlm")
    given: dict[str, Any] = dict(mark.kwargs)
    given.pop("plugins", None)
    keys = given.pop("keys", None)

    def check() -> None:
        found: Any = keys(tmp_path) if callable(keys) else keys
        subject = Subject(
            registry=registry,
            component=case.component,
            keys=case.component.trials[case.trial] if found is None else found,
            backend=case.backend,
            given=given,
            folder=tmp_path,
            shared=loomlm_shared,
        )
        try:
            case.holds(subject)
        except NotApplicable as reason:
            pytest.skip(str(reason))

    return check
