"""What a builder's author may get wrong is told in a line, on each backend."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from attrs import evolve

from loomlm.contracts import Normal, Parameter, StepContext
from loomlm.errors import PluginError

from ..small import batch

STEP = StepContext(step=1, seed=17, learning_rate=0.1)


@pytest.fixture
def with_builder(make_engine, trainer, builders) -> Callable[..., Any]:
    """The engine of the small model, where one builder is another; keys are of its spec."""

    def make(kind: str, builder: Any, **changes: Any) -> Any:
        right = make_engine(optimizer="sgd", optimizer_keys={"momentum": 0.9})
        return trainer.engine(
            evolve(right.spec, **changes),
            right.trainer,
            lambda of, name: builder if of == kind else builders(of, name),
        )

    return make


def narrowed(backend: str, small: type) -> type:
    """The small backbone, whose states lack their last number."""

    def narrow(self, batch, *args, **more):
        return call(self, batch, *args, **more)[..., :-1]

    name = "forward" if backend == "torch" else "call"
    call = getattr(small, name)
    return type("Narrow", (small,), {name: narrow})


@pytest.mark.parametrize("use", ["train_step", "forward", "score"])
def test_states_of_another_width_are_told_with_both_widths(with_builder, builders, backend, use):
    narrow = narrowed(backend, builders("backbone", "small"))

    with pytest.raises(PluginError, match=r"backbone small says width 6, and .* of width 5"):
        engine = with_builder("backbone", narrow)
        if use == "train_step":
            engine.train_step([batch(1)], STEP)
        elif use == "forward":
            engine.forward(batch(1))
        else:
            engine.score(batch(1), logits=True)


def test_states_of_each_token_are_told_where_the_head_reads_texts(with_builder, builders, backend):
    small = builders("backbone", "small")
    name = "forward" if backend == "torch" else "call"

    def each(self, batch, *args, **more):
        return self.table(batch["tokens"])

    said = r"head reads \(batch, width\), and .* small gives states of 3 dimensions"
    with pytest.raises(PluginError, match=said):
        with_builder("backbone", type("Each", (small,), {name: each})).train_step([batch(1)], STEP)


def test_another_mistake_of_a_module_stays_what_it_is(with_builder, builders, backend):
    small = builders("backbone", "small")
    name = "forward" if backend == "torch" else "call"

    def wrong(self, batch, *args, **more):
        raise RuntimeError("out of cheese")

    with pytest.raises(RuntimeError, match="out of cheese"):
        with_builder("backbone", type("Wrong", (small,), {name: wrong})).train_step(
            [batch(1)], STEP
        )


@pytest.mark.one_backend("torch")
def test_a_name_that_differs_is_told_from_both_sides(make_engine, with_builder, builders):
    layout = list(make_engine().spec.layout)
    layout[0] = evolve(layout[0], name="backbone.words.weight")

    with pytest.raises(PluginError) as raised:
        with_builder("backbone", builders("backbone", "small"), layout=tuple(layout))

    assert str(raised.value).splitlines() == [
        "The layout states backbone.words.weight (20, 6), and the module has no such parameter.",
        "The module has the parameter backbone.table.weight (20, 6), and the layout states no such "
        "parameter.",
    ]


@pytest.mark.one_backend("torch")
def test_a_parameter_that_shares_what_is_not_there_is_told(make_engine, with_builder, builders):
    tied = Parameter(
        name="backbone.flat.1.weight",
        shape=(6, 9),
        init=Normal(0.5),
        role="matrix",
        decay=True,
        tied_to="backbone.flatt.0.weight",
    )
    layout = [p for p in make_engine().spec.layout if p.name != tied.name]

    said = r"backbone.flat.1.weight shares backbone.flatt.0.weight, and .* no attribute `flatt`"
    with pytest.raises(PluginError, match=said):
        with_builder("backbone", builders("backbone", "small"), layout=(*layout, tied))


def optimizer(backend: str, **methods: Any) -> type:
    """SGD with other methods."""
    sgd = import_module(f"loomlm_{backend}.optimizers").SGD
    return type("Mine", (sgd,), methods)


@pytest.mark.parametrize("slots", [None, "momentum", {"momentum": 0}, ("momentum", 2)])
def test_slots_that_are_no_names_are_told(with_builder, backend, slots):
    engine = with_builder("optimizer", optimizer(backend, slots=lambda self, parameter: slots))

    said = "`slots` of the optimizer Mine gives .* for backbone.table.weight. Wanted are the names"
    with pytest.raises(PluginError, match=said):
        engine.train_step([batch(1)], STEP)


def test_slots_may_come_in_a_list(with_builder, backend):
    made = optimizer(backend, slots=lambda self, parameter: ["momentum"])
    engine = with_builder("optimizer", made)

    engine.train_step([batch(1)], STEP)

    assert "head.bias.momentum" in dict(engine.state("optimizer"))


def test_a_builder_that_gives_no_optimizer_is_told(with_builder, backend):
    engine = with_builder("optimizer", lambda config: None)

    with pytest.raises(PluginError, match="gives NoneType, which has no method `slots`"):
        engine.train_step([batch(1)], STEP)


@pytest.mark.one_backend("tensorflow")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda values, slots: None, r"Mine gives None. Wanted is \(values, slots\)"),
        (lambda values, slots: values, r"Mine gives a list of \d. Wanted is \(values, slots\)"),
        (lambda values, slots: (values, [slots]), "gives a list of 1 for slots. Wanted is a dict"),
        (lambda values, slots: (values, {}), "gives an empty dict for slots. .* gave: momentum"),
        (lambda values, slots: (values[1:], slots), r"for values, gives a list of .* list of \d"),
        (
            lambda values, slots: (values, {"momentum": slots["momentum"][0]}),
            r"for the slot 'momentum', gives a tensor \(.*\) of float32. Wanted is a list",
        ),
        (
            lambda values, slots: ([value[:1] for value in values], slots),
            r"for values, gives a tensor \(1, 6\) of float32 in the place of a tensor \(\d+, 6\)",
        ),
        (
            lambda values, slots: ([None for _ in values], slots),
            "for values, gives None in the place of a tensor",
        ),
    ],
)
def test_an_update_that_gives_something_else_is_told(with_builder, backend, change, said):
    sgd = import_module("loomlm_tensorflow.optimizers").SGD

    def update(self, values, gradients, slots, context):
        return change(*sgd.update(self, values, gradients, slots, context))

    engine = with_builder("optimizer", optimizer(backend, update=update))

    with pytest.raises(PluginError, match=said):
        engine.train_step([batch(1)], STEP)
