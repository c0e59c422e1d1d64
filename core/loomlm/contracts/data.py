"""Examples, what reads and cleans them, and tokenizers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from attrs import field, frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Facts = Mapping[str, Any]
"""What a task learnt from the training examples first: a JSON object, kept with the model."""

Arrays = Mapping[str, "NDArray[Any]"]
"""Arrays by name."""


@frozen(slots=True)
class Example:
    """One example as a source gives it.

    label: one label, several (multi-label), or None where there is none.
    extra: further texts by name, for tasks that read more than one: "pair" (a second text),
        "target" (what is to be written), "question". They are cleaned and tokenized as `text` is.
    meta: further values by name that are no text to learn from, such as an id, or JSON.
    place: "file:line" or "hub-id[split]:row", for error messages.
    """

    text: str
    label: str | tuple[str, ...] | None = None
    extra: Mapping[str, str] = field(factory=dict)
    place: str = ""
    meta: Mapping[str, str] = field(factory=dict)


@frozen(slots=True)
class Ragged:
    """Rows of unequal length, end to end: row i is `values[offsets[i]:offsets[i + 1]]`.

    values: (total,) integers. offsets: (rows + 1,) int64, starting at 0.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]


Columns = Mapping[str, "Ragged | NDArray[Any]"]
"""Encoded examples: each column has one row for each example."""


class DataSource(Protocol):
    """Named splits of examples. A `data_source` target is called with its config.

    The target may also have `look(options, labelled) -> options`: complete the keys of a data
    table by looking at the files that it names (columns, headers), for `loomlm init`; labelled
    says whether labels are wanted. And `with_file(options, file) -> options`: the keys that read
    another file as the test split, for `loomlm evaluate --data`.

    The source may also have `skipped() -> Mapping[str, tuple[int, tuple[int, ...]]]`: by file, how
    many lines of what was read so far were left out since they cannot be read, and the numbers of
    the first of them, at most 20. And `resolved() -> Mapping[str, str]`: what a name that may mean
    another thing tomorrow, a branch say, meant when the data was read; kept in the run's data.json.
    """

    def fingerprint(self) -> str:
        """A digest of the content: changes when, and only when, the examples may."""
        ...

    def splits(self) -> tuple[str, ...]:
        """The splits that the source has itself, of "train", "validation" and "test"."""
        ...

    def examples(self, split: str) -> Iterator[Example]:
        """The split's examples, in an order that is the same each time.

        Raises DataError, naming file and line, where something cannot be read.
        """
        ...

    def notes(self) -> tuple[str, ...]:
        """Sentences for the user about what was read so far, e.g. how many lines were skipped."""
        ...


class ShardedSource(DataSource, Protocol):
    """A data source that can also be read while training, part by part: `data.streaming`."""

    def shards(self, split: str) -> tuple[str, ...]:
        """The names of a split's parts, such as its files, in an order that is the same each time.

        Knows them without reading them.
        """
        ...

    def shard(self, split: str, name: str, skip: int = 0) -> Iterator[Example]:
        """The examples of a part, one by one, without the first `skip`; holds few in memory."""
        ...

    def shards_fingerprint(self) -> str:
        """A digest like `fingerprint`, that need not read all of the data.

        E.g. names, sizes, and the first and last bytes of each file.
        """
        ...


@frozen(kw_only=True)
class DataSummary:
    """What a split looks like, for a template's rules.

    labels: how often each label occurs; empty without labels. words: words a text, by white
    space, at the given percentiles (0.5, 0.95, 1.0). total_words, characters: of all texts.
    markup: share of texts that hold HTML tags. sample: some examples, drawn at random but the same
    each time; all of them where there are few.
    """

    examples: int
    labels: Mapping[str, int]
    multi_label: bool
    words: Mapping[float, int]
    total_words: int
    characters: int
    markup: float
    sample: tuple[Example, ...] = ()


@frozen(kw_only=True)
class TemplateContext:
    """What `loomlm init` was told and found.

    name: the run's. data: the data table, None where no file was given. train: the training
    split, None likewise.
    """

    name: str
    backend: str
    data: Mapping[str, Any] | None
    train: DataSummary | None
    has_validation: bool
    has_test: bool


class Cleaner(Protocol):
    """A cleaning step that changes texts. A `cleaner` target is called with its config."""

    def __call__(self, text: str) -> str:
        """The cleaned text; a pure function of the text."""
        ...


@frozen(slots=True)
class Dropped:
    """What a cleaning step says of an example that it leaves out.

    reason: a few words, the same for all that are left out alike: they are counted by it.
    like: the place of an example that is kept and that this one repeats.
    """

    reason: str
    like: str = ""


class ExampleCleaner(Protocol):
    """A cleaning step that looks at whole examples: leaves some out, changes labels.

    A `cleaner` target may give one instead of a `Cleaner`. It takes no part in prediction, where
    each text has to be answered.

    It may also have `splits`, the names of those that it works on, ("train",) say; all without. And
    `fit(examples, others)`, called once for each split before its examples come: examples, those of
    the split as they will come, and others, those of the splits before it (test comes first, then
    validation, then train) as they were at this step. Both can be read several times. A step with
    `fit` may go by what it has seen; one without is a pure function of the example, which streaming
    needs. And `notes(split)`, called behind the last example of a split: sentences for the user.

    One that gives several examples for one, as augmentation does, has `several = True`, and
    `splits` of ("train",): it comes behind the cut into splits, so that no copy of what is trained
    on stands in another one, and no other step comes behind it.
    """

    def example(self, example: Example) -> Example | Dropped | tuple[Example, ...]:
        """The example, as it is or changed, or why it is left out. Called once for each, in order.

        With `several`, it may also be at least one in a tuple.

        A place is never changed.
        """
        ...


class Tokenizer(Protocol):
    """Text to ids and back.

    vocab_size: ids are below it. pad_id fills batches. unknown_id stands for what the vocabulary
    lacks (None where nothing can be unknown). end_id ends a document (None without one).

    It may also have `mask_id`, of the token that stands for one that is hidden (None without one),
    and `continues() -> (vocab_size,) bool`: which tokens go on with the word of the token before
    them, where one stands there.
    """

    vocab_size: int
    pad_id: int
    unknown_id: int | None
    end_id: int | None

    def encode_many(self, texts: Sequence[str]) -> Ragged:
        """Ids of each text, (texts,) rows of int32, without padding or truncation."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, special tokens left out."""
        ...

    def vocabulary(self) -> Mapping[str, int]:
        """Each token with its id."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """What to save, by file name; the factory's `load` takes it back."""
        ...


@runtime_checkable
class Locates(Protocol):
    """A tokenizer that also says where in a text its tokens stand, for tasks that point there."""

    def encode_spans(
        self, texts: Sequence[str]
    ) -> tuple[Ragged, NDArray[np.int32], NDArray[np.int32]]:
        """Ids as of `encode_many`; the start and the end of each of them, (tokens,) int32 both.

        In characters of its text: `text[start:end]` is what the token was made from, without white
        space at either end; start equals end where there is nothing else. Starts never fall within
        a text. A token that is part of a character has the whole.
        """
        ...


class TokenizerFactory(Protocol):
    """What a `tokenizer` component's target is: an object with two methods, or a class.

    It may also have `train_masked(config, texts)`: as `train`, for a run that hides tokens: the
    tokenizer has a `mask_id`, within the size that the config asks for. One that is read from a
    file without such a token gets one behind its others.
    """

    def train(self, config: Any, texts: Iterable[str]) -> Tokenizer:
        """Learn a vocabulary from texts, or read the one that the config names.

        Raises UsageError when the config cannot be met, e.g. a vocabulary too small.
        """
        ...

    def load(self, config: Any, files: Mapping[str, bytes]) -> Tokenizer:
        """The tokenizer that `files` came from."""
        ...
