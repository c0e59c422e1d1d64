"""What every metric must hold to, for each kind of answer that it accepts.

What an author may say of it in the mark, besides its keys:

- `reference`: a function that scores an Outcome or a Likelihood as a whole: the number that stands
  under the metric's name, or a mapping of some or all of its entries.
- `labels`: the names of the labels, where its keys name some; by default four.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, TypeGuard

import numpy as np

from loomlm.contracts import Likelihood, Metric, MetricContext, Outcome
from loomlm.errors import LoomlmError
from loomlm.testing.conformance.answers import (
    LABELLED,
    PRODUCES,
    Pair,
    all_right,
    any_pairs,
    listed,
    outcome_of,
    what_pairs_are,
)
from loomlm.testing.conformance.cases import NotApplicable, Subject
from loomlm.testing.conformance.drawing import doing, for_each, shown, strategies

GIVEN = ("reference", "labels")
"""What an author may say in the mark."""

LABELS = ("Business", "Sci/Tech", "Sports", "World")

COUNT = 20
"""Random sets of examples that each property is checked with: some metrics take milliseconds."""

RELATIVE, ABSOLUTE = 1e-6, 1e-9
"""How far two scores may be apart: sums of floats depend on their order."""


def it_says_what_it_scores(subject: Subject) -> None:
    """The target has `accepts` and `higher_is_better`, and what it makes has the same."""
    target = subject.component.load()
    for name in ("accepts", "higher_is_better"):
        assert hasattr(target, name), f"the target {subject.component.target} has no {name}"
    accepts, higher = target.accepts, target.higher_is_better
    assert isinstance(accepts, frozenset) and accepts, f"accepts is {shown(accepts)}, no frozenset"
    unknown = sorted(accepts.difference(PRODUCES))
    assert not unknown, f"accepts has {unknown[0]!r}; what tasks produce: {', '.join(PRODUCES)}"
    assert isinstance(higher, bool), f"higher_is_better is {shown(higher)}, no bool"
    for produces in accepts:
        metric = made(subject, produces)
        assert metric.accepts == accepts, f"the target accepts {accepts}, what it makes does not"
        assert metric.higher_is_better == higher, f"higher_is_better is {higher} of the target only"


def a_score_has_its_name(subject: Subject) -> None:
    """Scores are finite, plain JSON, under the metric's name or `name/detail`."""
    name = subject.component.name
    for produces in _accepted(subject):

        def check(pairs: list[Pair], produces: str = produces) -> None:
            scores = score(subject, produces, [pairs])
            given = _given(produces, pairs)
            assert isinstance(scores, Mapping), f"{given} gave {shown(scores)}, no mapping"
            assert scores, f"{given} gave no score"
            for key in scores:
                fits = key == name or str(key).startswith(f"{name}/")
                assert fits, f"a score is called {key!r}, neither {name!r} nor '{name}/detail'"
            _check_plain(scores, given)

        for_each(check, _pairs(subject, produces), COUNT)


def parts_equal_the_whole(subject: Subject) -> None:
    """However examples are cut into parts, empty ones too, the score is that of all at once."""
    for produces in _accepted(subject):

        def check(parts: list[list[Pair]], produces: str = produces) -> None:
            pairs = [pair for part in parts for pair in part]
            whole = score(subject, produces, [pairs])
            cut = score(subject, produces, parts)
            sizes = [len(part) for part in parts]
            _same(whole, cut, f"{_given(produces, pairs)} in parts of {sizes}")

        st = strategies()
        parts = st.lists(_pairs(subject, produces, least=0), min_size=2, max_size=5)
        for_each(check, parts.filter(any), COUNT)


def the_order_does_not_matter(subject: Subject) -> None:
    """In any order, examples have the same score."""
    for produces in _accepted(subject):

        def check(pairs: list[Pair], produces: str = produces) -> None:
            whole = score(subject, produces, [pairs])
            turned, mixed = pairs[::-1], Random(0).sample(pairs, len(pairs))
            middle = len(pairs) // 2
            for parts, how in (
                ([turned[:middle], turned[middle:]], "in reverse"),
                ([mixed], "in another order"),
            ):
                found = score(subject, produces, parts)
                _same(whole, found, f"{_given(produces, pairs)} {how}")

        for_each(check, _pairs(subject, produces, least=2), COUNT)


def it_agrees_with_the_reference(subject: Subject) -> None:
    """The score is the one that the author's `reference` gives."""
    reference = subject.given.get("reference")
    if reference is None:
        raise NotApplicable("The mark gives no `reference` to agree with.")
    for produces in _accepted(subject):

        def check(pairs: list[Pair], produces: str = produces) -> None:
            wanted = reference(answers(subject, produces, pairs))
            if not isinstance(wanted, Mapping):
                wanted = {subject.component.name: wanted}
            scores = score(subject, produces, [pairs])
            given = _given(produces, pairs)
            for key, value in wanted.items():
                assert key in scores, f"there is no score {key!r}; there are {', '.join(scores)}"
                assert close(scores[key], value), (
                    f"{given} gave {key} = {shown(scores[key])}; the reference {shown(value)}"
                )

        for_each(check, _pairs(subject, produces), COUNT)


def nothing_to_score_is_no_accident(subject: Subject) -> None:
    """Without any example, and with an empty part, there is a finite score or a LoomlmError."""
    for produces in _accepted(subject):
        for parts, what in (([], "no update at all"), ([[]], "an update without examples")):
            try:
                with doing(f"{produces}: {what}", refusal=True):
                    scores = score(subject, produces, parts)
            except LoomlmError:
                continue
            _check_plain(scores, f"{produces}: {what}")


def looking_changes_nothing(subject: Subject) -> None:
    """`compute` gives the same twice, and between updates it disturbs nothing."""
    for produces in _accepted(subject):

        def check(parts: tuple[list[Pair], ...], produces: str = produces) -> None:
            pairs = [pair for part in parts for pair in part]
            found: Mapping[str, Any] = {}
            metric = made(subject, produces)
            for part in parts:
                metric.update(answers(subject, produces, part))
                found = metric.compute()
            whole = score(subject, produces, [pairs])
            _same(whole, found, f"{_given(produces, pairs)} computed on the way,")
            _same(found, metric.compute(), f"{_given(produces, pairs)} computed twice,")

        pairs = _pairs(subject, produces)
        for_each(check, strategies().tuples(pairs, pairs), COUNT)


def each_counts_for_itself(subject: Subject) -> None:
    """What one metric took in, another of the same kind does not know."""
    for produces in _accepted(subject):

        def check(sides: tuple[list[Pair], list[Pair]], produces: str = produces) -> None:
            alone = score(subject, produces, [sides[0]])
            metric, other = made(subject, produces), made(subject, produces)
            other.update(answers(subject, produces, sides[1]))
            metric.update(answers(subject, produces, sides[0]))
            _same(alone, metric.compute(), f"{_given(produces, sides[0])} beside another metric")

        pairs = _pairs(subject, produces)
        for_each(check, strategies().tuples(pairs, pairs), COUNT)


def what_it_is_given_stays(subject: Subject) -> None:
    """`update` leaves predictions and references as they are: other metrics get them too."""
    for produces in _accepted(subject):

        def check(pairs: list[Pair], produces: str = produces) -> None:
            given = answers(subject, produces, pairs)
            before = answers(subject, produces, pairs)
            metric = made(subject, produces)
            metric.update(given)
            metric.compute()
            if isinstance(given, Outcome) and isinstance(before, Outcome):
                for name in ("predictions", "references", "scores"):
                    left, right = listed(getattr(before, name)), listed(getattr(given, name))
                    assert left == right, f"{name} were {shown(left)}, and then {shown(right)}"

        for_each(check, _pairs(subject, produces), COUNT)


def nothing_beats_what_is_right(subject: Subject) -> None:
    """As `higher_is_better` says, no score is better than that of answers that are all right."""
    name, higher = subject.component.name, subject.component.load().higher_is_better
    compared = False
    for produces in _accepted(subject):

        def check(pairs: list[Pair], produces: str = produces) -> None:
            nonlocal compared
            best = score(subject, produces, [all_right(produces, pairs)]).get(name)
            found = score(subject, produces, [pairs]).get(name)
            if not _is_number(best) or not _is_number(found):
                return
            compared = True
            holds = found <= best + ABSOLUTE if higher else found >= best - ABSOLUTE
            assert holds, (
                f"{_given(produces, pairs)} scored {found}, better than what is right, {best}: "
                f"higher_is_better is {higher}"
            )

        for_each(check, _pairs(subject, produces), COUNT)
    if not compared:
        raise NotApplicable(f"The metric gives no number under its name, {name!r}.")


PROPERTIES = (
    it_says_what_it_scores,
    a_score_has_its_name,
    parts_equal_the_whole,
    the_order_does_not_matter,
    it_agrees_with_the_reference,
    nothing_to_score_is_no_accident,
    looking_changes_nothing,
    each_counts_for_itself,
    what_it_is_given_stays,
    nothing_beats_what_is_right,
)


# --- examples, and what a metric makes of them -------------------------------------------------


def made(subject: Subject, produces: str) -> Metric:
    """A fresh metric for what a task produces."""
    labels = _labels(subject) if produces in LABELLED else ()
    context = MetricContext(labels=labels, produces=produces)
    return subject.component.load()(subject.config, context)


def score(subject: Subject, produces: str, parts: Sequence[list[Pair]]) -> Mapping[str, Any]:
    """What a fresh metric says of some parts."""
    metric = made(subject, produces)
    for part in parts:
        metric.update(answers(subject, produces, part))
    return metric.compute()


def close(one: Any, other: Any) -> bool:
    """Whether two scores are equal, numbers nearly; lists and mappings item by item."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(close, one, other))
    if _is_number(one) and _is_number(other):
        return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return bool(one == other)


def _same(one: Mapping[str, Any], other: Mapping[str, Any], given: str) -> None:
    assert close(dict(one), dict(other)), (
        f"{given} scored {shown(dict(other))}; all at once, {shown(dict(one))}"
    )


def _check_plain(scores: Mapping[str, Any], given: str) -> None:
    with doing(f"{given}: writing {shown(dict(scores))} as JSON"):
        text = json.dumps(dict(scores), allow_nan=False)
    assert json.loads(text) == dict(scores), f"{given} gave {shown(dict(scores))}, no plain JSON"


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _accepted(subject: Subject) -> list[str]:
    return sorted(set(PRODUCES).intersection(subject.component.load().accepts))


def _labels(subject: Subject) -> tuple[str, ...]:
    return tuple(subject.given.get("labels", LABELS))


def answers(subject: Subject, produces: str, pairs: list[Pair]) -> Outcome | Likelihood:
    """Examples as a task gives them, in an Outcome or a Likelihood."""
    return outcome_of(produces, pairs, len(_labels(subject)))


def _pairs(subject: Subject, produces: str, least: int = 1) -> Any:
    return any_pairs(produces, len(_labels(subject)), least)


def _given(produces: str, pairs: list[Pair]) -> str:
    return f"{produces}, {what_pairs_are(produces)} {shown(pairs)},"
