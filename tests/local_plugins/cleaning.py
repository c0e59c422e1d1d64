"""Cleaning steps over whole examples, as an author would write them."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field, frozen

from loomlm.plugin import Component, Dropped, Example, NoConfig, hookimpl, key

loomlm_api = (1, 1)


@frozen
class AtLeastConfig:
    characters: int = key("the shortest text that is kept", 4)
    splits: tuple[str, ...] = key("where it works", ("train",))


@frozen
class AtLeast:
    """Looks at an example alone."""

    config: AtLeastConfig

    @property
    def splits(self) -> tuple[str, ...]:
        return self.config.splits

    def example(self, example: Example) -> Example | Dropped:
        if len(example.text) < self.config.characters:
            return Dropped(f"shorter than {self.config.characters} characters")
        return example


@define
class Once:
    """Goes by what it has seen, and by the other splits."""

    config: NoConfig
    _elsewhere: dict[str, str] = field(factory=dict)
    _seen: dict[str, str] = field(factory=dict)
    _read: int = 0

    def fit(self, examples: Iterable[Example], others: Iterable[Example]) -> None:
        self._read = sum(1 for _ in examples)
        assert sum(1 for _ in examples) == self._read  # both can be read again
        self._elsewhere = {example.text: example.place for example in others}
        self._seen = {}

    def example(self, example: Example) -> Example | Dropped:
        if example.text in self._elsewhere:
            return Dropped("in another split", self._elsewhere[example.text])
        if example.text in self._seen:
            return Dropped("seen before", self._seen[example.text])
        self._seen[example.text] = example.place
        return example


@frozen
class Renamed:
    """Changes labels."""

    config: NoConfig

    def example(self, example: Example) -> Example:
        label = example.label.strip().lower() if isinstance(example.label, str) else None
        return Example(example.text, label, example.extra, example.place)


@frozen
class Broken:
    config: NoConfig

    def example(self, example: Example) -> object:
        return None


@hookimpl
def loomlm_cleaners() -> list[Component]:
    targets = ("AtLeast", "Once", "Renamed", "Broken")
    names = ("at_least", "once", "renamed", "broken")
    return [
        Component(
            kind="cleaner",
            name=name,
            summary="of a test",
            target=f"{__name__}:{target}",
            config=AtLeastConfig if name == "at_least" else NoConfig,
        )
        for name, target in zip(names, targets, strict=True)
    ]
