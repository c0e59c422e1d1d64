"""Fifty losses of a tiny model of each backbone are, on each backend, those that are committed.

On a type of machine whose losses are not, they are those of other machines but for rounding.
"""

from __future__ import annotations

import warnings

import pytest

from . import golden


@pytest.mark.parametrize("model", golden.MODELS)
def test_losses_are_those_that_are_committed(server, backend, model, tmp_path):
    found = golden.losses(backend, model, server, tmp_path)
    assert len(found) == golden.STEPS

    here, known = golden.machine(backend), golden.noted(backend, model)
    assert known
    for entry in known:
        assert golden.near(found, entry["losses"])
    exact = [entry["losses"] for entry in known if entry["machine"] == here]
    if not exact:
        warnings.warn(
            f"{backend}, {model}: no losses are committed of this type of machine ({here}); they "
            f"were compared with those of others, within {golden.NEAR}. To add them: "
            "python -m tests.faults.golden --renew",
            stacklevel=1,
        )
    for losses in exact:
        assert found == losses


def test_renewing_keeps_what_other_machines_agree_on(tmp_path, monkeypatch):
    monkeypatch.setattr(golden, "GOLDEN", tmp_path)

    def renewed(machine: str, *losses: float) -> list[str]:
        monkeypatch.setattr(golden, "machine", lambda backend: {"name": machine})
        golden.renew("torch", "rnn", [loss.hex() for loss in losses])
        return [entry["machine"]["name"] for entry in golden.noted("torch", "rnn")]

    assert renewed("one", 2.0, 1.5) == ["one"]
    assert renewed("two", 2.00001, 1.5) == ["one", "two"]
    assert renewed("two", 2.00001, 1.4) == ["two"]
    assert renewed("two", 2.0, 1.3) == ["two"]
