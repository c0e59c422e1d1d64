"""What every trainer must hold to: with the first backbone that it builds for each kind of task,
and with every optimizer.

What is "the same" here is so bit by bit, unless a limit is named.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from attrs import evolve

from loomlm.config.settings import TrainerConfig
from loomlm.contracts import Batch, Engine, Generates
from loomlm.errors import UsageError
from loomlm.testing.conformance.cases import Subject
from loomlm.testing.conformance.comparing import (
    ROUNDED,
    TURNED,
    apart,
    differing,
    held,
    put,
    size_of,
    teach,
)
from loomlm.testing.conformance.layouts import rows_that_no_batch_names_wait, the_layout_is_heeded
from loomlm.testing.conformance.models import TEXTS, SmallModel, optimizers, trainer_config
from loomlm.testing.conformance.pairs import (
    Pair,
    cut,
    loss_of,
    pairs_of,
    trained_models,
    weighted,
)

FALLS = 0.8
RATES = (1e-3, 1e-2, 0.1, 1.0)
STEPS = 60
"""Updates with each rate, until a loss is below FALLS of what it was: what is a large rate depends
on the rule."""


def auto_is_settled(subject: Subject) -> None:
    """`resolve` gives a value and a reason for what is "auto", and refuses an unknown device."""
    model = trained_models(subject)[0]
    trainer, backbone = model.trainer, model.recipe.backbone
    unsettled = TrainerConfig()
    found = dict(trainer.resolve(unsettled, backbone))
    for name, (value, reason) in found.items():
        assert getattr(unsettled, name) == "auto", f"resolve settles {name}, which was given"
        assert value != "auto", f"resolve leaves {name} at auto"
        assert isinstance(reason, str) and reason, f"resolve gives no reason for {name} = {value!r}"
    for name in ("device", "precision", "compile", "threads"):
        assert name in found, f"resolve leaves {name} at auto"
    settled = trainer_config(trainer, backbone)
    again = dict(trainer.resolve(settled, backbone))
    assert not again, f"resolve settles {', '.join(again)}, where nothing is auto"
    assert trainer.devices(), "the trainer has no device"
    try:
        trainer.resolve(evolve(settled, device="no_such_device"), backbone)
    except UsageError:
        return
    raise AssertionError("a device that is not there is no UsageError")


def score_is_the_loss_of_the_logits(subject: Subject) -> None:
    """`score` and the first update give the weighted loss of `forward`'s logits: an update with
    label smoothing, a score without.
    """
    # A trainer knows of a task by its loss and by what the head reads.
    forms = {
        (m.spec.loss, m.spec.head.reads, m.spec.head.places): m
        for m in reversed(list(trained_models(subject, every=True)))
    }
    for model in forms.values():
        engine, batch = model.engine(), weighted(model.batch())
        logits = engine.forward(batch)
        expected = loss_of(logits, batch.arrays, model.spec.loss.plain)
        total, given = engine.score(batch, logits=True)
        alone, none = engine.score(batch, logits=False)
        assert none is None, f"{model}: score gives logits that were not asked for"
        assert given is not None, f"{model}: score gives no logits"
        assert apart(logits, given) <= ROUNDED, f"{model}: score gives other logits than forward"
        for found in total, alone:
            assert math.isclose(found, expected, rel_tol=1e-5), (
                f"{model}: score gives {found:.6g}, the loss of the logits is {expected:.6g}"
            )
        teach(engine, [1], batch)
        smoothed = loss_of(logits, batch.arrays, model.spec.loss)
        mean, (scalars,) = smoothed / float(batch["weight"].sum()), engine.scalars()
        assert math.isclose(scalars.loss, mean, rel_tol=1e-5), (
            f"{model}: an update reports the loss {scalars.loss:.6g}, by weight it is {mean:.6g}"
        )


def the_loss_falls(subject: Subject) -> None:
    """With some learning rate, the loss on what is learnt falls."""
    for pair in pairs_of(subject):
        engine, batch, step = pair.begun(), pair.model.batch(), 1
        losses = [engine.score(batch, logits=False)[0]]
        for rate in RATES:
            teach(engine, range(step, step + STEPS), batch, rate=rate)
            step += STEPS
            losses.append(engine.score(batch, logits=False)[0])
            if losses[-1] < FALLS * losses[0]:
                break
        assert losses[-1] < FALLS * losses[0], (
            f"{pair}: the loss does not fall: {losses[0]:.4g} at first, and after {STEPS} steps "
            f"with each of the rates {', '.join(map(str, RATES))}: "
            + ", ".join(f"{loss:.4g}" for loss in losses[1:])
        )


def accumulation_is_exact(subject: Subject) -> None:
    """How a batch is cut into microbatches changes nothing but the rounding."""
    first = optimizers(subject.registry, subject.backend)[0]
    for model in trained_models(subject):
        batch = weighted(model.batch())
        engines = {
            pieces: model.engine(first.choice, batch_size=TEXTS, accumulate=pieces)
            for pieces in (1, 2, 4)
        }
        before = held(engines[1])["model"]
        for pieces, engine in engines.items():
            teach(engine, [1, 2], *cut(batch, pieces))
        whole, expected = held(engines[1])["model"], engines[1].scalars()
        for pieces in (2, 4):
            for one, other in zip(expected, engines[pieces].scalars(), strict=True):
                for name in ("loss", "gradient_norm"):
                    found, wanted = getattr(other, name), getattr(one, name)
                    assert apart(np.array(wanted), np.array(found)) <= ROUNDED, (
                        f"{model}: in {pieces} microbatches, step {one.step} has the {name} "
                        f"{found:.8g}, in one {wanted:.8g}"
                    )
            for name, values in held(engines[pieces])["model"].items():
                size = size_of(whole[name] - before[name])
                turned = size_of(values - whole[name])
                assert turned <= TURNED * size + ROUNDED, (
                    f"{model}: in {pieces} microbatches, the update of {name} is apart by "
                    f"{turned:.1e}, of {size:.1e}"
                )


def resuming_is_exact(subject: Subject) -> None:
    """A new engine goes on from another's state as the other does."""
    for pair in pairs_of(subject):
        through, batch = pair.begun(), pair.model.batch()
        teach(through, [1, 2, 3], batch)
        state = held(through)
        teach(through, [4, 5], batch)
        resumed = pair.engine()
        put(resumed, state)
        teach(resumed, [4, 5], batch)
        names = differing(held(through), held(resumed))
        assert not names, f"{pair}: two updates behind a resume, other values of {names}"


def the_state_comes_back(subject: Subject) -> None:
    """`load_state` takes what `state` gave, by name, and nothing else."""
    for pair in pairs_of(subject):
        engine = pair.begun()
        teach(engine, [1, 2], pair.model.batch())
        state = held(engine)
        stated = [parameter.name for parameter in pair.model.stored]
        assert sorted(state["model"]) == sorted(stated), (
            f"{pair}: the model's state has {sorted(state['model'])}, the layout {sorted(stated)}"
        )
        trained = [parameter.name for parameter in pair.model.stored if parameter.trainable]
        for name in state["optimizer"]:
            parameter, _, slot = name.rpartition(".")
            assert parameter in trained and slot, (
                f"{pair}: the optimizer's state has {name!r}, which is no `name.slot` of a "
                "parameter that trains"
            )
        other = pair.engine()
        put(other, state)
        names = differing(state, held(other))
        assert not names, f"{pair}: what was loaded comes back with other values of {names}"
        for part, arrays in state.items():
            for name, array in list(arrays.items())[:1]:
                longer, one = np.concatenate([array, array[:1]]), array[:1]
                for what, wrong in (
                    (f"{name} of shape {longer.shape}", [(name, longer)]),
                    (f"{name} of shape {one.shape}", [(name, one)]),
                    ("a name that there is not", [("no.such.name", array)]),
                ):
                    refused = _refuses(other, part, wrong)
                    assert refused, (
                        f"{pair}: load_state({part!r}) takes {what}, where {array.shape} is held"
                    )


def _refuses(engine: Engine, part, arrays: Iterable[tuple[str, np.ndarray]]) -> bool:
    try:
        engine.load_state(part, arrays)
    # Which error it is, is the backend's.
    except Exception:
        return True
    return False


def what_is_not_finite_is_left_out(subject: Subject) -> None:
    """A gradient that is not finite is reported, changes nothing, and is forgotten."""
    for pair in pairs_of(subject):
        engine, batch = pair.begun(), pair.model.batch()
        teach(engine, [1], batch)
        before = held(engine)
        for value in math.nan, math.inf:
            teach(engine, [2], _spoilt(batch, value))
            names = differing(before, held(engine))
            assert not names, f"{pair}: a gradient of {value} changed {names}"
        teach(engine, [3], batch)
        after = held(engine)
        told = [scalars.finite for scalars in engine.scalars()]
        assert told == [True, False, False, True], (
            f"{pair}: of four updates, two with gradients that are not finite, `finite` is {told}"
        )
        put(engine, before)
        teach(engine, [3], batch)
        names = differing(after, held(engine))
        assert not names, f"{pair}: updates that were left out changed later values of {names}"


def _spoilt(batch: Batch, value: float) -> Batch:
    """A batch with a weight that is not finite."""
    weight = batch["weight"].copy()
    weight.flat[0] = value
    return Batch({**batch.arrays, "weight": weight})


def gradients_are_clipped(subject: Subject) -> None:
    """A gradient's norm is reported as it was; one above `gradient_clip` becomes as small as it."""
    for pair in pairs_of(subject):
        free, batches = pair.begun(), [pair.model.batch(rows) for rows in ([0, 1, 2], [3, 4, 5])]
        _teach_each(free, batches)
        norms = [scalars.gradient_norm for scalars in free.scalars()]
        clip = min(norms) / 4
        clipped = pair.engine(gradient_clip=clip)
        _teach_each(clipped, batches)
        first, *_ = clipped.scalars()
        assert math.isclose(first.gradient_norm, norms[0], rel_tol=1e-5), (
            f"{pair}: clipped to {clip:.4g}, the reported norm is {first.gradient_norm:.4g}; "
            f"it was {norms[0]:.4g} before"
        )
        assert differing(held(free), held(clipped)), (
            f"{pair}: gradients of {norms[0]:.4g} clipped to {clip:.4g} change nothing"
        )
        state = held(clipped)
        teach(clipped, [3], _spoilt(batches[0], math.inf))
        names = differing(state, held(clipped))
        assert not names, f"{pair}: a gradient that is not finite was clipped, and changed {names}"
        if not state["optimizer"]:
            _check_linear(pair, clip, batches[0])
    pair = pairs_of(subject)[0]
    free, wide, batch = pair.begun(), pair.engine(gradient_clip=1e6), pair.model.batch()
    for engine in free, wide:
        teach(engine, [1, 2], batch)
    for name, values in held(free)["model"].items():
        assert apart(values, held(wide)["model"][name]) <= ROUNDED, (
            f"{pair}: a clip that is larger than any gradient changes {name}"
        )


def _teach_each(engine: Engine, batches: Iterable[Batch]) -> None:
    for step, batch in enumerate(batches, start=1):
        teach(engine, [step], batch)


def _check_linear(pair: Pair, clip: float, batch: Batch) -> None:
    """What has no state moves by its gradient: as far as the clip, with a rate of 1."""
    layout = tuple(
        evolve(parameter, decay=False, learning_rate_scale=1.0)
        for parameter in pair.model.spec.layout
    )
    engine = pair.engine(evolve(pair.model.spec, layout=layout), gradient_clip=clip)
    before = held(engine)["model"]
    teach(engine, [1], batch, rate=1.0)
    after = held(engine)["model"]
    moved = math.sqrt(sum(float(np.square(after[n] - before[n]).sum()) for n in after))
    assert math.isclose(moved, clip, rel_tol=1e-2), (
        f"{pair}: clipped to {clip:.4g}, with a rate of 1, an update moves by {moved:.4g}"
    )


def scalars_come_in_order(subject: Subject) -> None:
    """`scalars` gives each update since the last call once, with its step, in their order."""
    pair = pairs_of(subject)[0]
    engine, batch = pair.begun(), pair.model.batch()
    for steps in [1, 2, 3], [7], []:
        teach(engine, steps, batch)
        told = engine.scalars()
        assert [scalars.step for scalars in told] == steps, (
            f"{pair}: of the updates {steps}, scalars gives {[one.step for one in told]}"
        )
        for one in told:
            assert one.finite and one.loss > 0 and one.gradient_norm > 0, f"{pair}: {one}"


def evaluation_changes_nothing(subject: Subject) -> None:
    """Updates give the same, whatever was predicted, scored or written between them."""
    for pair in pairs_of(subject):
        engine, batch = pair.begun(), pair.model.batch()
        teach(engine, [1, 2], batch)
        expected = held(engine)
        engine = pair.begun()
        teach(engine, [1], batch)
        _use(engine, pair.model)
        teach(engine, [2], batch)
        names = differing(expected, held(engine))
        assert not names, f"{pair}: a model that was used between updates has other {names}"


def _use(engine: Engine, model: SmallModel) -> None:
    batch, task = model.batch([1, 4]), model.recipe.task
    engine.forward(batch)
    for logits in True, False:
        engine.score(batch, logits=logits)
    if isinstance(task, Generates):
        prompt = task.prompt(["ab", "e"], model.tokenizer, model.recipe.facts)
        cache, _ = engine.start(model.recipe.backbone.prepare(prompt), task.context)
        engine.step(engine.reorder(cache, np.array([1, 0])), np.array([3, 4], np.int32))


PROPERTIES = (
    auto_is_settled,
    score_is_the_loss_of_the_logits,
    scalars_come_in_order,
    the_loss_falls,
    accumulation_is_exact,
    resuming_is_exact,
    the_state_comes_back,
    evaluation_changes_nothing,
    what_is_not_finite_is_left_out,
    gradients_are_clipped,
    the_layout_is_heeded,
    rows_that_no_batch_names_wait,
)

GIVEN = ()
"""A mark says nothing besides plugins and keys."""
