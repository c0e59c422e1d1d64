"""From a stage's data table to its splits: read, cleaned, cut; each step's result is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from attrs import field, frozen

from loomlm.config.settings import Choice, DataConfig, PartConfig
from loomlm.config.show import plain
from loomlm.contracts import DataSource, Example
from loomlm.data.cleaning import Pass, Step, passes
from loomlm.data.examples import Split, keep_examples, open_examples
from loomlm.data.splits import cut_splits
from loomlm.data.streaming import ExampleStream, open_stream
from loomlm.errors import DataError, PluginError, UsageError
from loomlm.registry import Registry
from loomlm.registry.sources import code_of
from loomlm.storage.cache import cache_key, cached
from loomlm.storage.commit import Staging

Say = Callable[[str], None]

ORDER = ("test", "validation", "train")
"""Splits are cleaned in this order, so that training examples can be held against the others."""


@frozen
class Examples:
    """A stage's splits, with the key that everything made from them is kept under.

    given: of each split, what the sources gave, before it was cleaned and cut. reports: of each
    split, what the cleaning steps did to it. weights: of the sources, where they have any. stream:
    the training split, where it is read while training; then `splits` has none. sources: the
    fingerprint of each. resolved: what each says of names that may mean another thing tomorrow.
    """

    splits: Mapping[str, Split]
    key: str
    given: Mapping[str, tuple[Split, ...]] = field(factory=dict)
    reports: Mapping[str, list[dict[str, Any]]] = field(factory=dict)
    weights: tuple[float, ...] = ()
    stream: ExampleStream | None = None
    sources: tuple[str, ...] = ()
    resolved: tuple[Mapping[str, str], ...] = ()


@frozen
class _Level:
    """Splits at one point of their cleaning, in parts, with what tells each from others.

    fingerprint: what the source says of its content, where it is one source.
    """

    splits: Mapping[str, tuple[Split, ...]]
    keys: Mapping[str, str]
    fingerprint: str = ""


@frozen
class _Again:
    """Examples that can be read several times."""

    splits: Sequence[Split]

    def __iter__(self) -> Iterator[Example]:
        for split in self.splits:
            yield from split.examples()


def made(registry: Registry, choice: Choice) -> Any:
    """The object of a component whose target is called with its config."""
    return registry.made(choice.kind, choice.type, choice.config)


def identity(registry: Registry, choice: Choice) -> list[Any]:
    """What tells a component's results from another's: name, version, config; and, of a third
    party's, its code.
    """
    entry = registry.find(choice.kind, choice.type)
    code = code_of(entry.plugin, entry.component.target)
    return [choice.type, entry.component.version, plain(choice.config), *([code] if code else [])]


def read_examples(
    data: DataConfig, registry: Registry, seed: int, say: Say, only: str | None = None
) -> Examples:
    """Read, clean and cut. `only` reads one of the sources' splits and cuts nothing.

    With `streaming`, the training split is left to be read while training.
    """
    joint, adding = _apart(data, registry)
    levels, reports, resolved = [], {}, []
    for number, part in enumerate(data.parts):
        source: DataSource = made(registry, part.source)
        names = source.splits() if only is None else tuple({only} & set(source.splits()))
        if data.streaming:
            names = tuple(name for name in names if name != "train")
        given = _given(source, names, part, registry, say, data.streaming)
        resolved.append(dict(source.resolved()) if hasattr(source, "resolved") else {})  # type: ignore[attr-defined] - it may have it
        own = make_steps(part.clean, registry)
        # What a source drops is told with its number, where there are several.
        cleaned = _cleaned(given, passes(own), say, reports, number if data.sources else None)
        levels.append((given, cleaned))
    start = _joined([cleaned for _, cleaned in levels])
    joint_passes = passes(joint) or ([[]] if len(levels) > 1 else [])
    end = _cleaned(start, joint_passes, say, reports, None)
    splits = {name: parts[0] for name, parts in end.splits.items()}
    for number, (part, (given, _)) in enumerate(zip(data.parts, levels, strict=True)):
        if only is None and data.sources and part.weight and "train" not in given.splits:
            raise DataError(
                f"data.sources.{number} has no training split, and a weight of {part.weight}. Give "
                "it one, or take the weights out."
            )
    stream = open_stream(data, registry, joint) if data.streaming and only is None else None
    if only is not None and only not in splits:
        raise DataError(f"The data has no {only} split.")
    if only is None and stream is None:
        if "train" not in splits:
            raise DataError("The data has no training split. Give data.train.")
        splits = cut_splits(splits, data.split, seed)
    key = cache_key(
        dict(end.keys),
        plain(data.split),
        seed if only is None else only,
        stream.key if stream else None,
    )
    if adding and only is None:
        key = cache_key(key, [step.identity for step in adding])
        splits = {**splits, "train": _added(splits["train"], adding, key, say, reports)}
    return Examples(
        splits,
        key,
        _joined([given for given, _ in levels]).splits,
        reports,
        tuple(part.weight for part in data.parts if part.weight is not None and data.sources),
        stream,
        tuple(given.fingerprint for given, _ in levels),
        tuple(resolved),
    )


def _apart(data: DataConfig, registry: Registry) -> tuple[list[Step], list[Step]]:
    """The steps in front of the cut into splits, and those behind it, which add examples.

    Raises UsageError where those cannot stand as they do.
    """
    steps = make_steps(data.clean, registry)
    first = next((at for at, step in enumerate(steps) if step.several), len(steps))
    adding = steps[first:]
    of_parts = [step for part in data.parts for step in make_steps(part.clean, registry)]
    for step in adding:
        if not step.several:
            raise UsageError(
                f"data.clean: {step.name!r} comes behind {steps[first].name!r}, which adds "
                "training examples once all is cleaned. Let it stand in front of that."
            )
        if tuple(getattr(step.target, "splits", ())) != ("train",):
            raise PluginError(f'The cleaning step {step.name!r} needs splits = ("train",).')
    for step in of_parts:
        if step.several:
            raise UsageError(
                f"data.sources: {step.name!r} adds examples behind the cut into splits, which is "
                "that of all sources. Name it in data.clean."
            )
    if adding and data.streaming:
        raise UsageError(
            f"data.clean: {adding[0].name!r} adds examples to a split, and a stream is none. Take "
            "it or `streaming` out; trainer.word_dropout varies the words of a stream, too."
        )
    return steps[:first], adding


def _added(
    train: Split,
    steps: Sequence[Step],
    key: str,
    say: Say,
    reports: dict[str, list[dict[str, Any]]],
) -> Split:
    """The training split behind steps that add examples."""
    found = _pass_over((train,), (), steps, "train", key, say)
    for report in found.store.meta["cleaning"]:
        reports.setdefault("train", []).append(report)
        say_report(report, "train", say)
    return found


def source_fingerprints(data: DataConfig, registry: Registry) -> tuple[str, ...]:
    """What each source says of its content, as `Examples.sources` has it; nothing else is read."""
    found = []
    for part in data.parts:
        source: DataSource = made(registry, part.source)
        found.append(_fingerprint(source, source.splits(), data.streaming))
    return tuple(found)


def _fingerprint(source: Any, names: Iterable[str], streaming: bool) -> str:
    by_shards = streaming and hasattr(source, "shards")
    if by_shards:
        return source.shards_fingerprint()  # Of the training split, too, which is not read here.
    return source.fingerprint() if names else ""


def make_steps(choices: Sequence[Choice], registry: Registry) -> list[Step]:
    """The cleaning steps that a config names."""
    return [
        Step(choice.type, identity(registry, choice), made(registry, choice)) for choice in choices
    ]


def _given(
    source: DataSource,
    names: Iterable[str],
    part: PartConfig,
    registry: Registry,
    say: Say,
    streaming: bool,
) -> _Level:
    """What a source gives, kept as it is; of a stream by shards, so that none is fetched whole."""
    entry = registry.find("data_source", part.source.type)
    by_shards = streaming and hasattr(source, "shards")
    content = _fingerprint(source, names, streaming)
    fingerprint = content + code_of(entry.plugin, entry.component.target)
    splits, keys = {}, {}
    for name in names:
        # Kept examples name their places, so a file that was renamed is read anew.
        keys[name] = cache_key("examples", fingerprint, name, plain(part.source.config))
        splits[name] = (_read_split(source, name, keys[name], say, by_shards),)
    return _Level(splits, keys, content)


def _read_split(source: Any, name: str, key: str, say: Say, by_shards: bool) -> Split:
    def make(staging: Staging) -> None:
        say(f"Reading {name}")
        before, skipped = source.notes(), _skipped(source)

        def notes() -> dict[str, Any]:
            new = {file: of for file, of in _skipped(source).items() if of != skipped.get(file)}
            listed = [note for note in source.notes() if note not in before]
            return {"notes": listed, "skipped": new}

        shards = source.shards(name) if by_shards else ()
        examples = chain.from_iterable(source.shard(name, shard) for shard in shards)
        keep_examples([examples if by_shards else source.examples(name)], meta=notes)(staging)

    split = open_examples(cached("examples", key, make))
    if not len(split):
        raise DataError(f"The {name} split has no example.")
    for note in split.store.meta["notes"]:
        say(note)
    return split


def _skipped(source: Any) -> dict[str, Any]:
    """By file, how many lines a source has skipped and the first of them, where it says so."""
    return dict(source.skipped()) if hasattr(source, "skipped") else {}


def _joined(levels: Sequence[_Level]) -> _Level:
    """The splits of several sources, side by side."""
    names = {name for level in levels for name in level.splits}
    splits, keys = {}, {}
    for name in sorted(names, key=ORDER.index):
        having = [level for level in levels if name in level.splits]
        splits[name] = tuple(split for level in having for split in level.splits[name])
        found = [level.keys[name] for level in having]
        keys[name] = found[0] if len(found) == 1 else cache_key(found)
    return _Level(splits, keys)


def _cleaned(
    level: _Level,
    all_passes: Sequence[Sequence[Step]],
    say: Say,
    reports: dict[str, list[dict[str, Any]]],
    source: int | None,
) -> _Level:
    """The splits behind some passes; what each step did is added to the reports."""
    for steps in all_passes:
        splits, keys = dict(level.splits), dict(level.keys)
        for name in sorted(level.splits, key=ORDER.index):
            earlier = [n for n in ORDER[: ORDER.index(name)] if n in level.splits]
            working = [step for step in steps if step.works_on(name)]
            if not working and len(level.splits[name]) == 1:
                continue
            fits = bool(working) and working[0].fits
            held_against = [level.keys[n] for n in earlier] if fits else []
            steps_key = [step.identity for step in working]
            keys[name] = cache_key("cleaned", level.keys[name], held_against, steps_key)
            others = _Again([split for n in earlier for split in level.splits[n]])
            split = _pass_over(level.splits[name], others, working, name, keys[name], say)
            splits[name] = (split,)
            for report in split.store.meta["cleaning"]:
                marked = report if source is None else {"source": source, **report}
                reports.setdefault(name, []).append(marked)
                say_report(marked, name, say)
            if not len(split):
                raise DataError(_nothing_left(name, split.store.meta["cleaning"]))
        level = _Level(splits, keys)
    return level


def _pass_over(
    parts: tuple[Split, ...],
    others: Iterable[Example],
    steps: Sequence[Step],
    name: str,
    key: str,
    say: Say,
) -> Split:
    def make(staging: Staging) -> None:
        say(f"Cleaning {name}: {', '.join(step.name for step in steps) or 'joining sources'}")
        work = Pass(steps)
        work.fit(_Again(parts), others)
        # By source, so that a second pass over several sources still knows which gave what.
        keep_examples(
            [own.examples() for part in parts for own in part.by_source()],
            work.clean,
            lambda: {"cleaning": work.end(name)},
        )(staging)

    return open_examples(cached("cleaned", key, make))


def say_report(report: Mapping[str, Any], split: str, say: Say) -> None:
    """One line for a step that left examples out, and what it says itself."""
    for note in report["notes"]:
        say(f"{split}: {report['step']}: {note}")
    if report.get("added"):
        say(f"{split}: {report['step']} added {report['added']:,} to {report['read']:,}")
    dropped = report["dropped"]
    if not dropped:
        return
    why = "; ".join(f"{count:,} {reason}" for reason, count in list(dropped.items())[:3])
    more = "; ..." if len(dropped) > 3 else ""
    read, out = report["read"], sum(dropped.values())
    share = f"{100 * out / read:.1f}%"
    say(f"{split}: {report['step']} left out {out:,} of {read:,} ({share}): {why}{more}")


def _nothing_left(name: str, reports: Sequence[Mapping[str, Any]]) -> str:
    out = {r["step"]: next(iter(r["dropped"]), "") for r in reports if r["dropped"]}
    steps = "; ".join(f"{step} left out those that are {reason}" for step, reason in out.items())
    return (
        f"Cleaning left no example of the {name} split"
        + (f": {steps}" if steps else "")
        + ". Loosen the step in data.clean, or take it out."
    )
