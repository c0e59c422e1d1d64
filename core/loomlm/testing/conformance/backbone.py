"""What every backbone must hold to, on each backend that builds it, with each kind of task.

What is "the same" here is so bit by bit, unless a limit is named.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import numpy as np

from loomlm.components import NoConfig
from loomlm.config.settings import Choice
from loomlm.contracts import Batch, Engine, Parameter
from loomlm.errors import PluginError
from loomlm.inference.model import open_model
from loomlm.models.folder import ModelConfig, save_model
from loomlm.testing.conformance.agreeing import backends_agree
from loomlm.testing.conformance.cases import NotApplicable, Subject
from loomlm.testing.conformance.comparing import apart, differing, held, put, teach
from loomlm.testing.conformance.models import (
    LETTERS,
    ROOM,
    TEXTS,
    SmallModel,
    models_of,
    trainer_config,
    with_dropout,
)
from loomlm.testing.conformance.writing import token_by_token_is_the_whole_row

CAUSAL = 1e-6
"""How far what stands behind an output may move it, by share of the largest one."""

PADDED = 1e-5
"""How far padding may move an output, likewise: other sizes are rounded in other ways."""

SAMPLE = "loomlm.testing.sample"


def batches_are_as_stated(subject: Subject) -> None:
    """`prepare` is pure, and gives the arrays that `batch_spec` states."""
    for model in models_of(subject):
        given = model.collated()
        before = {name: array.copy() for name, array in given.arrays.items()}
        once, again = (dict(model.recipe.backbone.prepare(given).arrays) for _ in range(2))
        changed = differing({"batch": before}, {"batch": given.arrays})
        assert not changed, f"{model}: prepare changes what it was given: {changed}"
        changed = differing({"batch": once}, {"batch": again})
        assert not changed, f"{model}: prepare gives two answers for one batch: {changed}"
        stated = {one.name: one for one in model.spec.batch.fields}
        assert once.keys() == stated.keys(), (
            f"{model}: prepare gives {sorted(once)}, batch_spec states {sorted(stated)}"
        )
        for shape in model.spec.batch.shapes:
            for name, array in once.items():
                sizes = tuple(shape.get(str(of), of) for of in stated[name].shape)
                assert (array.shape, str(array.dtype)) == (sizes, stated[name].dtype), (
                    f"{model}: {name} is {array.dtype} {array.shape}, batch_spec states "
                    f"{stated[name].dtype} {sizes}"
                )


def the_module_is_its_layout(subject: Subject) -> None:
    """A backend builds the layout's parameters: their names and shapes, and no others."""
    for model in models_of(subject):
        try:
            engine = model.wide_engine()
        except PluginError as error:
            raise AssertionError(f"{model}: {error}") from None
        built = {name: array.shape for name, array in engine.state("model")}
        stated = {parameter.name: parameter.shape for parameter in model.stored}
        for name in sorted(built.keys() | stated.keys()):
            assert built.get(name) == stated.get(name), (
                f"{model}: {name} is built as {built.get(name)}, stated as {stated.get(name)}"
            )


def logits_have_the_heads_shape(subject: Subject) -> None:
    """Logits are finite float32, one row for each row and place, whatever the batch's size."""
    for model in models_of(subject):
        engine, head = model.wide_engine(), model.spec.head
        for rows, width, height in ([0], 0, 0), (range(TEXTS), ROOM, 0), ([3, 1], 0, 4):
            longest = int(model.lengths[list(rows)].max())
            batch = model.collated(rows, longest + width, height)
            read = batch["places" if head.places else "tokens"].shape
            places = read[: 2 if head.reads == "tokens" else 1]
            found = engine.forward(model.recipe.backbone.prepare(batch))
            wanted = (*places, head.outputs)
            assert (found.shape, found.dtype) == (wanted, np.float32), (
                f"{model}: logits are {found.dtype} {found.shape}, not float32 {wanted}"
            )
            assert np.isfinite(found).all(), f"{model}: logits of {batch['length']} are not finite"


def later_tokens_change_nothing_before_them(subject: Subject) -> None:
    """Where a task is read from left to right, no token changes an output before it."""
    found = False
    for model in models_of(subject):
        if not model.needs & {"causal", "encoder_decoder"}:
            continue
        found, engine = True, model.wide_engine()
        batch = model.collated(np.flatnonzero(model.lengths == model.lengths.max()))
        expected = _with_tokens(model, engine, batch, batch["tokens"])
        for place in range(1, batch["tokens"].shape[1]):
            tokens = batch["tokens"].copy()
            tokens[:, place:] = 3 + (tokens[:, place:] + place) % len(LETTERS)
            logits = _with_tokens(model, engine, batch, tokens)
            moved = apart(expected[:, :place], logits[:, :place])
            assert moved <= CAUSAL, (
                f"{model}: other tokens from place {place} on move outputs before it by {moved:.1e}"
            )
    if not found:
        raise NotApplicable("it does no task that is read from left to right")


def _with_tokens(model: SmallModel, engine: Engine, batch: Batch, tokens: np.ndarray) -> np.ndarray:
    changed = Batch({**batch.arrays, "tokens": tokens})
    return engine.forward(model.recipe.backbone.prepare(changed))


def padding_changes_nothing(subject: Subject) -> None:
    """A row gives the same alone as in a wider batch, among longer and empty rows."""
    for model in models_of(subject):
        engine = model.wide_engine()
        width = int(model.lengths.max()) + ROOM
        together = engine.forward(model.batch(width=width, height=TEXTS + 2))
        real = model.collated(width=width)["weight"] > 0
        for row in range(TEXTS):
            batch = model.batch([row])
            alone, own = engine.forward(batch)[0], batch["weight"][0] > 0
            if real.ndim == 2:
                alone, among = alone[own], together[row][real[row]]
            else:
                among = together[row]
            moved = apart(alone, among)
            assert moved <= PADDED, (
                f"{model}: a row of {model.lengths[row]} gives other logits among rows of up to "
                f"{width}: they are apart by {moved:.1e}"
            )


def gradients_reach_every_parameter(subject: Subject) -> None:
    """An update changes every parameter that trains, and of a table what the batch uses."""
    for model in models_of(subject):
        engine = model.wide_engine()
        before, batch = held(engine)["model"], model.batch()
        teach(engine, [1], batch)
        after = held(engine)["model"]
        for parameter in model.stored:
            name = parameter.name
            moved = (before[name] != after[name]).reshape(len(after[name]), -1).any(axis=1)
            if not parameter.trainable:
                assert not moved.any(), f"{model}: {name} does not train, and an update changed it"
                continue
            assert moved.any(), f"{model}: no gradient reaches {name}"
            if parameter.role == "embedding" or parameter.sparse:
                _check_rows(model, engine, parameter, after[name], moved)


def _check_rows(
    model: SmallModel, engine: Engine, parameter: Parameter, values: np.ndarray, moved: np.ndarray
) -> None:
    """Rows of a table that did not learn have no say in the batch's logits."""
    batch = model.batch()
    real = batch["weight"] > 0
    expected = engine.forward(batch)[real]
    others = values.copy()
    others[~moved] += 1
    engine.load_state("model", [(parameter.name, others)])
    found = engine.forward(batch)[real]
    engine.load_state("model", [(parameter.name, values)])
    assert np.array_equal(found, expected), (
        f"{model}: no gradient reaches some rows of {parameter.name} that the batch uses"
    )


def the_same_seed_gives_the_same_training(subject: Subject) -> None:
    """What is left out depends on seed and step alone: not on what was drawn before."""
    dropped = with_dropout(subject)
    model = models_of(dropped)[0]
    through, again = model.wide_engine(), model.wide_engine(anew=True)
    batch = model.batch()
    teach(through, [1], batch)
    first = held(through)
    teach(through, [2, 3], batch)
    put(again, first)
    teach(again, [2, 3], batch)
    names = differing(held(through), held(again))
    assert not names, f"{model}: the same seed gave other values of {names} after 3 steps"
    if dropped is not subject:
        put(again, first)
        teach(again, [2, 3], batch, seed=99)
        assert differing(held(through), held(again)), (
            f"{model}: with dropout, another seed gives the same values"
        )


def dropout_is_off_in_use(subject: Subject) -> None:
    """Outside of training, a model with dropout gives what the same weights give without."""
    dropped = with_dropout(subject)
    if dropped is subject:
        raise NotApplicable("it has no key that ends in dropout")
    model = models_of(dropped)[0]
    engine, batch = model.wide_engine(), model.batch()
    teach(engine, [1], batch)
    without = models_of(subject)[0].wide_engine()
    without.load_state("model", held(engine)["model"].items())
    moved = apart(without.forward(batch), engine.forward(batch))
    assert moved <= CAUSAL, f"{model}: dropout moves its predictions by {moved:.1e}"


def a_saved_model_gives_the_same(subject: Subject) -> None:
    """A trained model gives the same logits when it was saved and loaded."""
    subject.registry.load_extra(SAMPLE)
    for model in models_of(subject):
        engine, batch = model.wide_engine(), model.batch()
        teach(engine, [1, 2], batch)
        expected = engine.forward(batch)
        folder = subject.folder / "models" / model.task.type
        described = ModelConfig(
            backend=model.backend,
            stage="conformance",
            backbone=model.backbone,
            task=model.task,
            tokenizer=Choice("tokenizer", "parity_letters", NoConfig()),
            clean=(),
            facts=model.recipe.facts,
        )
        state = engine.state("model")
        save_model(folder, described, model.registry, model.tokenizer, state, "For a check.\n")
        where = trainer_config(model.trainer, model.recipe.backbone)
        opened = open_model(folder, model.registry, device=where.device, threads=where.threads)
        moved = apart(expected, opened.engine.forward(batch))
        assert moved == 0, f"{model}: logits moved by {moved:.1e} when it was saved and loaded"


PROPERTIES = (
    batches_are_as_stated,
    the_module_is_its_layout,
    logits_have_the_heads_shape,
    later_tokens_change_nothing_before_them,
    padding_changes_nothing,
    gradients_reach_every_parameter,
    the_same_seed_gives_the_same_training,
    dropout_is_off_in_use,
    a_saved_model_gives_the_same,
    token_by_token_is_the_whole_row,
    backends_agree,
)

GIVEN = ()
"""A mark says nothing besides plugins and keys."""
