"""A backend: engines that train, and the trainer that makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attrs import frozen

from loomlm.contracts.models import Backbone, Batch, ModelSpec, Parameter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loomlm.config.settings import TrainerConfig


@frozen(kw_only=True)
class StepContext:
    """What an update is told: the step, counted from 1, the run's seed, the learning rate.

    share: where several processes train together, the places of those microbatches that this one
        trains on, maybe none; None where it trains alone, on all of them.
    """

    step: int
    seed: int
    learning_rate: float
    share: Sequence[int] | None = None


@frozen(kw_only=True)
class StepScalars:
    """What came out of an update.

    finite: false when it was masked, and `non_finite` of the trainer's config says what follows;
    true when it was left out for the sake of fp16's loss scale, which is smaller then.
    """

    step: int
    loss: float
    gradient_norm: float
    finite: bool


class Engine(Protocol):
    """A model in a framework, ready to train or to run. Made by a Trainer.

    module: the framework's own model object.
    """

    module: Any

    def train_step(self, microbatches: Sequence[Batch], context: StepContext) -> None:
        """Forward, backward, accumulate, clip, update; does not wait for the device.

        The loss is the sum of the weighted losses over all microbatches, divided by the sum of
        their weights: how the global batch was cut does not matter. Dropout is keyed
        (seed, step, microbatch, layer). A gradient that is not finite leaves the model alone.
        With `context.share`, of an engine that shares (see Team): the gradients of those
        microbatches alone, divided by the weights of all, then summed over the processes, so that
        each of them clips and updates alike.
        """
        ...

    def scalars(self) -> list[StepScalars]:
        """What the updates since the last call gave; waits for the device."""
        ...

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """Logits, dropout off: (batch, outputs), or (batch, time, outputs) for a token head.

        A batch may be of any size, here and in `score`, whatever the BatchSpec says.
        """
        ...

    def score(self, batch: Batch, logits: bool) -> tuple[float, NDArray[np.float32] | None]:
        """Sum of the weighted losses, and the logits where they are asked for; dropout off.

        The loss is the spec's `plain` one, without label smoothing.
        """
        ...

    def start(self, batch: Batch, room: int) -> tuple[Cache, NDArray[np.float32]]:
        """Read a prompt, of a task that generates: a cache, and the next token's logits.

        `tokens` (batch, time), of which a row has `length`; logits (batch, outputs). room: how
        many tokens a row may have in all. A prompt may be of any size, whatever the BatchSpec
        says. Nothing of training changes: `train_step` gives what it would have given.
        """
        ...

    def step(self, cache: Cache, tokens: NDArray[np.int32]) -> NDArray[np.float32]:
        """Append a token to each row, (batch,); the next one's logits, (batch, outputs)."""
        ...

    def reorder(self, cache: Cache, rows: NDArray[np.int64]) -> Cache:
        """A cache with these rows of another, (n,) indices; rows may be left out or repeated."""
        ...

    def state(self, part: Literal["model", "optimizer"]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Arrays by canonical name; the optimizer's as `name.slot`. Valid until the next step.

        With fp16, the loss scaler's `scaler.scale` and `scaler.good` stand with the optimizer's.
        With `ema` in the trainer's config, so does the moving average of each parameter that
        trains, as `ema.NAME`, float32: as the parameter is before the first update, and behind
        each one `decay * average + (1 - decay) * value`, where decay is `ema_at(step)`.
        """
        ...

    def load_state(
        self, part: Literal["model", "optimizer"], arrays: Iterable[tuple[str, NDArray[Any]]]
    ) -> None:
        """Take back what `state` gave, on this backend or another."""
        ...


@frozen(kw_only=True)
class Device:
    """A device that a backend can use, with why it would (not) be chosen."""

    name: str
    description: str


class Team(Protocol):
    """Processes that train one model together, as each of them sees it.

    rank: the number of this process; 0 leads. size: how many there are. Every method is called in
    all of them at once, and raises LoomlmError where another one cannot be reached any more.
    """

    rank: int
    size: int

    def device(self, name: str) -> str:
        """The device of this process where the config of the leader names that one.

        Raises UsageError where this process has none.
        """
        ...

    def send(self, data: bytes) -> bytes:
        """What the leader gives, in every process."""
        ...

    def exchange(self, numbers: Sequence[int]) -> list[list[int]]:
        """What each process gives, by rank: as many numbers of 64 bits in each."""
        ...

    def share(self, engine: Engine) -> None:
        """From here on, `train_step` of an engine is shared: see StepContext."""
        ...

    def copy(self, engine: Engine, part: Literal["model", "optimizer"]) -> None:
        """Make an engine's state that of the leader's engine."""
        ...

    def leave(self) -> None:
        """Part, when all is done."""
        ...


class Trainer(Protocol):
    """A backend. A `trainer` target is called with its own config (`[backends.NAME]`).

    One whose engines can train in several processes together also has
    `team(rank, size, local) -> Team`, which waits for the others. local: the number of the process
    on its machine. Where they meet is in the environment: MASTER_ADDR, MASTER_PORT.
    """

    def devices(self) -> tuple[Device, ...]:
        """Usable devices, the one that `auto` takes first."""
        ...

    def resolve(self, trainer: TrainerConfig, backbone: Backbone) -> Mapping[str, tuple[Any, str]]:
        """For each key of the trainer config that is "auto": the value taken, and the reason.

        Raises UsageError for a device or precision that cannot be had here.
        """
        ...

    def engine(
        self,
        spec: ModelSpec,
        trainer: TrainerConfig,
        builders: Callable[[str, str], Builder_],
    ) -> Engine:
        """An engine with uninitialised weights. `builders(kind, name)` gives this backend's
        builder of a backbone or an optimizer.
        """
        ...


class UpdateContext(Protocol):
    """What an update of some parameters goes by, on the backends `torch` and `tensorflow`.

    step: counted from 1; on TensorFlow a float64 scalar.
    learning_rate: with schedule and `learning_rate_scale`; on TensorFlow a float32 scalar.
    decay: whether weight decay applies to these parameters.
    precision: the model's arithmetic: fp32, bf16 or fp16. Values and slots are float32 in each.
    divisor: on PyTorch alone, a scalar by which gradients are divided before anything else.
    masked: on PyTorch alone, a scalar: 1 where values and slots must stay as they are, else 0.

    An update that asks for the number in a scalar waits for the device.
    """

    step: Any
    learning_rate: Any
    decay: bool
    precision: str
    divisor: Any
    masked: Any


class BuiltOptimizer(Protocol):
    """An optimizer on the backend `torch` or `tensorflow`: what its Builder's target gives.

    The target is called with the optimizer's config, once for each engine. What is to be remembered
    between updates stands in slots, and nowhere else: a checkpoint has nothing more.
    """

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        """The names of a parameter's state, such as ("mean", "square"); () for none.

        Each is a float32 tensor like the parameter, 0 at first, that checkpoints keep as
        `parameter.slot`: another backend's optimizer of this name takes it up, so their names and
        meanings are the same there. Parameters with the same slots, decay and learning rate come
        to `update` together; two that are to be updated in two ways have other names of slots.
        """
        ...

    def update(
        self,
        values: list[Any],
        gradients: list[Any],
        slots: dict[str, list[Any]],
        context: UpdateContext,
    ) -> Any:
        """One update of some parameters: `values[i]` has `gradients[i]`, and `slots[name][i]`.

        On PyTorch it divides gradients by `context.divisor`, changes values and slots in place,
        not at all where `context.masked` is 1, and gives nothing. On TensorFlow it changes nothing,
        and gives (values, slots): new tensors in the order and shapes of those given, and a dict
        of lists with the same names. Gradients come divided there, and the engine masks.

        Only parameters with a gradient come. Of a sparse one there come the rows that the batch
        names, as if they were the whole; a matrix comes as its layer keeps it, transposed in Keras'
        `Dense`.
        """
        ...


Cache = Any
"""What an engine remembers of the rows that it generates; its form is the backend's."""

Builder_ = Any
"""What a Builder's target is: its form is the backend's (see `docs/write-a-plugin.md`)."""
