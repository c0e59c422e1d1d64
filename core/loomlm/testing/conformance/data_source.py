"""What every data source must hold to.

Its keys come from the mark, mostly as a function from a folder to keys that makes files there, of a
few examples: what is checked with other contents changes the files within that folder.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, get_args, get_origin

import attrs

from loomlm.config.structure import is_union
from loomlm.contracts import Example
from loomlm.errors import LoomlmError
from loomlm.testing.conformance.cases import NotApplicable, Subject
from loomlm.testing.conformance.drawing import doing, shown
from loomlm.testing.conformance.elsewhere import here_and_elsewhere

GIVEN = ()
"""What an author may say in the mark: the keys are all that there is."""

SPLITS = ("train", "validation", "test")
ABSENT = "no_such_thing"
"""A name that nothing has."""

TRIES = 40
"""How many places of a file are altered in search of one that an example goes by."""


def the_splits_are_known(subject: Subject) -> None:
    """`splits` names some of "train", "validation" and "test", each once, the same each time."""
    source = made(subject)
    splits = source.splits()
    assert isinstance(splits, tuple), f"splits() gave {shown(splits)}, which is no tuple"
    assert splits, "splits() names no split"
    assert len(set(splits)) == len(splits), f"splits() names one twice: {splits}"
    for split in splits:
        assert split in SPLITS, f"splits() names {split!r}; splits are {', '.join(SPLITS)}"
    read(source)
    for other in (source, made(subject)):
        assert other.splits() == splits, f"splits() gave {splits}, and then {other.splits()}"


def examples_are_whole(subject: Subject) -> None:
    """An Example has text, a label (several, or none), and the place that it comes from."""
    source = made(subject)
    found = 0
    for split in source.splits():
        for number, example in enumerate(source.examples(split)):
            _check_example(example, f"example {number} of {split}")
            found += 1
    assert found, "there is no example: give keys of a source that has some"
    for note in source.notes():
        assert isinstance(note, str), f"notes() has {shown(note)}, which is no str"


def the_order_is_the_same(subject: Subject) -> None:
    """The examples of a split come in one order: read twice, and by another source."""
    source = made(subject)
    first = read(source)
    _same(first, read(source), "read again")
    _same(first, read(made(subject)), "read by another source")


def the_fingerprint_is_stable(subject: Subject) -> None:
    """The same data has one fingerprint: before reading and after, and from another source."""
    source = made(subject)
    first = source.fingerprint()
    assert isinstance(first, str) and first, f"fingerprint() gave {shown(first)}, which is no text"
    again = source.fingerprint()
    assert again == first, f"the fingerprint was {first}, and then {again}"
    read(source)
    after = source.fingerprint()
    assert after == first, f"the fingerprint was {first}, and once it was read {after}"
    other = made(subject).fingerprint()
    assert other == first, f"the fingerprint was {first}, and of another source {other}"


def another_process_reads_the_same(subject: Subject) -> None:
    """Another process, where strings hash differently, finds the same fingerprint and examples."""
    here, there = here_and_elsewhere(subject, found_in)
    one, other = here.pop("fingerprint"), there.pop("fingerprint")
    assert one == other, f"the fingerprint is {one}, and in another process {other}"
    _same(here, there, "read by another process")


def found_in(subject: Subject) -> Mapping[str, Any]:
    """The fingerprint and the examples, for another process to compare."""
    source = made(subject)
    examples = {
        split: [attrs.asdict(example) for example in rows] for split, rows in read(source).items()
    }
    return {"fingerprint": source.fingerprint(), **examples}


def the_fingerprint_follows_the_content(subject: Subject) -> None:
    """When a file is changed so that an example is another, so is the fingerprint."""
    files = _files(subject)
    if not files:
        raise NotApplicable("Its keys name no file in the folder that `keys` is called with.")
    before, examples = made(subject).fingerprint(), _contents(subject)
    changed = False
    for file in files:
        for _ in _altered(file):
            try:
                if _contents(subject) == examples:
                    continue
                after = made(subject).fingerprint()
            except LoomlmError:
                continue  # Such a file cannot be read any more, and says so.
            changed = True
            assert after != before, f"{file.name} has other examples, and the same fingerprint"
            break
    if not changed:
        raise NotApplicable("No letter of its files can be changed so that they still are read.")


def a_reader_may_stop_anywhere(subject: Subject) -> None:
    """An iterator that is left half read disturbs no other, and any example can be gone on from."""
    source = made(subject)
    whole = read(source)
    for split, examples in whole.items():
        for stop in sorted({0, 1, len(examples) // 2, len(examples)}):
            left = source.examples(split)
            taken = list(islice(left, stop))
            rest = list(islice(source.examples(split), stop, None))
            assert taken + rest == examples, (
                f"{split}: {stop} examples of one iterator, and the others of another, are not "
                f"those of one alone"
            )
            _same(whole, read(source), f"read beside an iterator that stopped at {stop}")
            assert list(left) == examples[stop:], (
                f"{split}: an iterator that waited at {stop} while others read goes on wrongly"
            )
        pairs = zip_longest(source.examples(split), source.examples(split))
        for number, (one, other) in enumerate(pairs):
            assert one == other == examples[number], f"{split}: two iterators part at {number}"


def shards_give_the_split(subject: Subject) -> None:
    """A source that has `shards` gives the split's examples by them, and skips as many as asked."""
    source = made(subject)
    if not hasattr(source, "shards"):
        raise NotApplicable("It has no shards, and is read as a whole.")
    first = source.shards_fingerprint()
    assert isinstance(first, str) and first, f"shards_fingerprint() gave {shown(first)}, no text"
    for split in source.splits():
        names = source.shards(split)
        assert isinstance(names, tuple), f"shards({split!r}) gave {shown(names)}, which is no tuple"
        again = made(subject).shards(split)
        assert again == names, f"shards({split!r}) gave {shown(names)}, and then {shown(again)}"
        shards = {name: list(source.shard(split, name)) for name in dict.fromkeys(names)}
        joined = [example for name in names for example in shards[name]]
        # A place within a part may be counted from the part's beginning.
        found, whole = (
            {split: [attrs.evolve(example, place="") for example in examples]}
            for examples in (joined, source.examples(split))
        )
        _same(whole, found, "read shard by shard")
        for name, examples in shards.items():
            for skip in sorted({1, len(examples) // 2, len(examples), len(examples) + 1}):
                rest = list(source.shard(split, name, skip))
                assert rest == examples[skip:], (
                    f"shard {name} of {split}, of {len(examples)} examples, gave {len(rest)} that "
                    f"are not the others when {skip} were skipped"
                )
    for when, other in (("once it was read", source), ("of another source", made(subject))):
        then = other.shards_fingerprint()
        assert then == first, f"shards_fingerprint() was {first}, and {when} {then}"


def a_split_that_is_not_there_is_refused(subject: Subject) -> None:
    """`examples` of a split that `splits` does not name is a LoomlmError that names it."""
    splits = made(subject).splits()
    for split in (*SPLITS, ABSENT):
        if split in splits:
            continue
        try:
            with doing(f"examples({split!r})", refusal=True):
                list(made(subject).examples(split))
        except LoomlmError as error:
            assert split in str(error), f"the error of examples({split!r}) does not say so: {error}"
            continue
        raise AssertionError(f"splits() has no {split!r}, and examples({split!r}) refuses nothing")


def what_is_not_there_is_named(subject: Subject) -> None:
    """A key that names what is not there gives a LoomlmError that has the name."""
    for key, keys, is_path in _misnamed(subject):
        value = keys[key]
        wrong = attrs.evolve(subject, keys=keys)
        try:
            with doing(f"{key} = {shown(value)}", refusal=True):
                source = made(wrong)
                source.fingerprint()
                read(source)
                source.notes()
        except LoomlmError as error:
            assert ABSENT in str(error), (
                f"{key} = {shown(value)}: the error does not name it: {error}"
            )
            continue
        # Another string may name what is yet to be, or be read in no case like this.
        assert not is_path, f"{key} = {shown(value)} names nothing, and is no error"


PROPERTIES = (
    the_splits_are_known,
    examples_are_whole,
    the_order_is_the_same,
    the_fingerprint_is_stable,
    another_process_reads_the_same,
    the_fingerprint_follows_the_content,
    a_reader_may_stop_anywhere,
    shards_give_the_split,
    a_split_that_is_not_there_is_refused,
    what_is_not_there_is_named,
)


# --- sources, files and wrong names -------------------------------------------------------------


def made(subject: Subject) -> Any:
    """A fresh source."""
    return subject.component.load()(subject.config)


def read(source: Any) -> dict[str, list[Example]]:
    """All examples by split."""
    return {split: list(source.examples(split)) for split in source.splits()}


def _contents(subject: Subject) -> dict[str, list[tuple[Any, ...]]]:
    rows = read(made(subject))
    return {
        split: [(e.text, e.label, dict(e.extra)) for e in found] for split, found in rows.items()
    }


def _same(first: Mapping[str, list[Any]], then: Mapping[str, list[Any]], how: str) -> None:
    assert set(first) == set(then), f"the splits are {sorted(first)}, and {how} {sorted(then)}"
    for split, examples in first.items():
        assert len(then[split]) == len(examples), (
            f"{split} has {len(examples)} examples, and {how} {len(then[split])}"
        )
        for number, (one, other) in enumerate(zip(examples, then[split], strict=True)):
            assert one == other, (
                f"example {number} of {split} is {shown(one)}, and {how} {shown(other)}"
            )


def _check_example(example: Any, which: str) -> None:
    assert isinstance(example, Example), f"{which} is {shown(example)}, which is no Example"
    assert isinstance(example.text, str), f"{which} has the text {shown(example.text)}, no str"
    several = example.label if isinstance(example.label, tuple) else None
    for label in (example.label,) if several is None else several:
        fits = isinstance(label, str) or (label is None and several is None)
        assert fits, f"{which} has the label {shown(example.label)}: no str, tuple of str or None"
    for name, value in example.extra.items():
        fits = isinstance(name, str) and isinstance(value, str)
        assert fits, f"{which} has {shown(name)} = {shown(value)} besides, which is no text"
    fits = isinstance(example.place, str) and example.place
    assert fits, f"{which} has the place {shown(example.place)}: errors could not say where it is"


def _files(subject: Subject) -> list[Path]:
    """The files that the keys name, in folders and by globs too, within the subject's folder."""
    found: dict[Path, None] = {}
    for name in _names(subject.keys):
        path = subject.folder / name
        if not path.is_relative_to(subject.folder) or path == subject.folder:
            continue
        inside = [path] if path.exists() else _fitting(subject.folder, path)
        for one in inside:
            files = sorted(one.rglob("*")) if one.is_dir() else [one]
            found.update((file, None) for file in files if file.is_file())
    return list(found)


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str | Path):
        yield str(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _names(inner)


def _fitting(folder: Path, pattern: Path) -> list[Path]:
    try:
        return sorted(folder.glob(str(pattern.relative_to(folder))))
    except (ValueError, NotImplementedError):  # Many a string is no pattern.
        return []


def _altered(file: Path) -> Iterator[None]:
    """The file with one letter after the other changed, from its end on; then as it was.

    It is put in the place of the old one, which a source may still have mapped into memory.
    """
    content = file.read_bytes()
    letters = [at for at, byte in enumerate(content) if bytes([byte]).isalpha()][::-1]
    try:
        for at in letters[:: max(1, len(letters) // TRIES)]:
            other = b"q" if content[at : at + 1] != b"q" else b"z"
            _replace(file, content[:at] + other + content[at + 1 :])
            yield
    finally:
        _replace(file, content)


def _replace(file: Path, content: bytes) -> None:
    beside = file.with_name(f"{file.name}.new")
    beside.write_bytes(content)
    beside.replace(file)


def _misnamed(subject: Subject) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Each key that takes a name, the keys with a wrong one there, and whether it is a path's."""
    keys, config = dict(subject.keys), subject.component.config
    attrs.resolve_types(config)
    for field in attrs.fields(config):
        for value, is_path in _wrong_names(field.type, keys.get(field.name)):
            yield field.name, {**keys, field.name: value}, is_path


def _wrong_names(hint: Any, now: Any) -> Iterator[tuple[Any, bool]]:
    """Values of a type that name nothing, and whether each stands where a path stood.

    now: the value that there is. Of a table of names, one at a time is wrong.
    """
    arms = get_args(hint) if is_union(hint) else (hint,)
    given = now is not None
    if isinstance(now, Mapping):
        inner = next((get_args(arm)[1] for arm in arms if get_origin(arm) is Mapping), None)
        if inner in (str, Path):
            for name, value in now.items():
                yield {**now, name: _absent(value)}, inner is Path
    elif isinstance(now, list | tuple) or not {str, Path}.intersection(arms):
        inner = next((get_args(arm)[0] for arm in arms if get_origin(arm) is tuple), None)
        if inner in (str, Path):
            first = next(iter(now), "") if now else ""
            yield [_absent(first)], given and inner is Path
    else:
        yield _absent(now), given and Path in arms


def _absent(now: Any) -> str:
    """A name of nothing, which ends as the one that there is."""
    return ABSENT + (Path(now).suffix if isinstance(now, str | Path) else "")
