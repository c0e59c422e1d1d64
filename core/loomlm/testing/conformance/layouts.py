"""What a trainer makes of a layout: what trains, how fast, and which rows of it.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import numpy as np
from attrs import evolve

from loomlm.contracts import Batch, Engine
from loomlm.testing.conformance.cases import NotApplicable, Subject
from loomlm.testing.conformance.comparing import (
    ROUNDED,
    TURNED,
    State,
    held,
    size_of,
    teach,
)
from loomlm.testing.conformance.pairs import pairs_of


def the_layout_is_heeded(subject: Subject) -> None:
    """What does not train stays and has no state; `learning_rate_scale` scales an update."""
    for pair in pairs_of(subject):
        whole, batch = pair.begun(), pair.model.batch()
        start = held(whole)["model"]
        trained = [parameter for parameter in pair.model.stored if parameter.trainable]
        fixed = next((p for p in trained if p.role == "matrix"), trained[0]).name
        layout = tuple(
            evolve(p, trainable=p.trainable and p.name != fixed, learning_rate_scale=0.5)
            for p in pair.model.spec.layout
        )
        engine = pair.engine(evolve(pair.model.spec, layout=layout))
        for each in whole, engine:
            teach(each, [1], batch)
        state, full = held(engine), held(whole)["model"]
        slots = [name for name in state["optimizer"] if name.rpartition(".")[0] == fixed]
        assert not slots, f"{pair}: {fixed} does not train, and has the state {', '.join(slots)}"
        assert np.array_equal(state["model"][fixed], start[fixed]), (
            f"{pair}: {fixed} does not train, and an update changed it"
        )
        for parameter in trained:
            name = parameter.name
            moved, half = full[name] - start[name], state["model"][name] - start[name]
            wrong = size_of(half - 0.5 * moved) if name != fixed else 0.0
            assert wrong <= TURNED * size_of(moved) + ROUNDED, (
                f"{pair}: with half the rate, the update of {name} is not half as large: "
                f"{size_of(half):.2e} and {size_of(moved):.2e}"
            )


def rows_that_no_batch_names_wait(subject: Subject) -> None:
    """An update leaves alone the rows of a sparse table that the batch does not use."""
    found = False
    for pair in pairs_of(subject):
        tables = [p for p in pair.model.stored if p.sparse and p.trainable]
        if not tables:
            continue
        found, engine = True, pair.begun()
        teach(engine, [1], pair.model.batch())
        before, batch = held(engine), pair.model.batch([0, 3])
        teach(engine, [2], batch)
        after = held(engine)
        for table in tables:
            moved = _moved_rows(table.name, before, after)
            assert moved.any(), f"{pair}: no row of {table.name} learns"
            for row in np.flatnonzero(moved):
                assert _has_a_say(engine, table.name, int(row), batch), (
                    f"{pair}: row {row} of {table.name} changed, which the batch does not use"
                )
    if not found:
        raise NotApplicable("none of its models has a sparse table")


def _moved_rows(name: str, before: State, after: State) -> np.ndarray:
    """Which rows of a table changed, or their state, (rows,)."""
    moved = np.zeros(len(before["model"][name]), bool)
    for part in before:
        for key, array in before[part].items():
            own = key == name or key.rpartition(".")[0] == name
            if own and len(array) == len(moved):
                moved |= (array != after[part][key]).reshape(len(moved), -1).any(axis=1)
    return moved


def _has_a_say(engine: Engine, name: str, row: int, batch: Batch) -> bool:
    """Whether a row of a table matters to a batch's logits."""
    values = held(engine)["model"][name]
    expected, changed = engine.forward(batch), values.copy()
    changed[row] += np.random.default_rng(0).normal(size=values.shape[1:])
    engine.load_state("model", [(name, changed)])
    found = engine.forward(batch)
    engine.load_state("model", [(name, values)])
    return not np.array_equal(found, expected)
