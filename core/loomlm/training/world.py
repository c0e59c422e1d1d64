"""The world that a run goes on in: what of it is not as it was, and whether that is allowed.

A run's own record is its `config.toml` and `environment.json`. What can be compared is compared
before any data is read, and the rest once it is, in both cases before anything in the run's folder
is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from loomlm.config.load import Config, origin_of
from loomlm.contracts import Tokenizer
from loomlm.data.prepare import load_tokenizer, tokenizer_digest, tokenizer_key
from loomlm.data.reading import source_fingerprints
from loomlm.errors import LoomlmError
from loomlm.models.folder import WEIGHTS
from loomlm.storage.cache import cache_key
from loomlm.storage.commit import DamagedError, verify
from loomlm.storage.manifest import file_digest
from loomlm.training import fitting
from loomlm.training.beginning import first_model
from loomlm.training.differences import Difference, of_config, refused
from loomlm.training.environment import environment, of_environment, read_environment
from loomlm.training.folder import TOKENIZER
from loomlm.training.stage import total_steps
from loomlm.training.stages import Prepared


@frozen
class Going:
    """A run that goes on: its config, what it wrote down of its world, and what differs.

    allow: the names that were allowed. found: what differs, all of it allowed.
    """

    folder: Path
    before: Config
    known: Mapping[str, Any]
    allow: tuple[str, ...] = ()
    found: tuple[Difference, ...] = ()


def go_on(folder: Path, before: Config, config: Config, allow: Sequence[str], ended: bool) -> Going:
    """Compare what can be compared before any data is read.

    ended: whether the run has. Then only the config counts, unless something is allowed: nothing
    is computed. Raises UsageError that lists what differs and is not allowed.
    """
    known = read_environment(folder)
    named = origin_of(("backend",), config.origins) == "--backend"
    found = [
        fitting.judged(one, folder, before, config)
        for one in of_config(before, config, allow, named)
    ]
    if not ended or allow or not all(one.follows for one in found):
        now = environment(config, config.settings.backend)
        found += of_environment(known, now, before.settings, config)
    if refused(folder, found, allow) is not None:
        # Then all that differs is told at once, data that cannot be read aside.
        for stage in config.settings.stages:
            with suppress(LoomlmError):
                prints = source_fingerprints(stage.data, config.registry)
                found += _of_sources(known, {stage.name: prints}, found)
    going = Going(folder, before, known, tuple(allow))
    return _with(going, found)


def check_data(
    going: Going, stages: Sequence[Prepared], tokenizer: Tokenizer, config: Config
) -> Going:
    """Compare what is known once the data is read.

    Raises UsageError that lists what differs and is not allowed, or does not fit.
    """
    known, found = going.known, list(going.found)
    now = of_data(stages, tokenizer, config, going.folder)
    begun = fitting.has_begun(going.folder, config)
    found += _of_sources(known, {stage.config.name: stage.sources for stage in stages}, found)
    found += _of_vocabulary(known, now, begun)
    for stage in stages:
        name = stage.config.name
        old = known.get("data", {}).get(name, {})
        found += _of_stage(name, old, now["data"][name], found, begun)
    going = _with(going, found)
    if found:
        fitting.check_fits(going.folder, stages, tokenizer, config, found)
    return going


def of_data(
    stages: Sequence[Prepared], tokenizer: Tokenizer, config: Config, folder: Path
) -> dict[str, Any]:
    """What environment.json says of the run's data and vocabulary."""
    return {
        "tokenizer": tokenizer_key(config.settings.tokenizer, config.registry),
        "vocabulary": _sized(tokenizer.vocab_size, tokenizer_digest(tokenizer)),
        "data": {
            stage.config.name: {
                "sources": list(stage.sources),
                "key": stage.data.key,
                "labels": _labels(stage),
                "steps": total_steps(stage.config.trainer, stage.plan(config.settings.seed)),
                "init_from": _first(stage, config, folder),
            }
            for stage in stages
        },
    }


def own_tokenizer(going: Going, config: Config) -> Tokenizer | None:
    """The tokenizer that a run has trained: data that has changed does not change it.

    None where the config or code of the tokenizer is another one, or the run has none yet.
    """
    choice, folder = config.settings.tokenizer, going.folder / TOKENIZER
    if going.known.get("tokenizer") != tokenizer_key(choice, config.registry):
        return None
    try:
        verify(folder)
    except DamagedError:
        return None  # It is made anew, and compared.
    return load_tokenizer(choice, config.registry, folder)


def _with(going: Going, found: Iterable[Difference]) -> Going:
    found = tuple(found)
    error = refused(going.folder, found, going.allow)
    if error is not None:
        raise error
    return evolve(going, found=found)


def _of_sources(
    known: Mapping[str, Any], prints: Mapping[str, Sequence[str]], found: Sequence[Difference]
) -> Iterator[Difference]:
    """What the sources read, by stage; where the config names others, that says it already."""
    for stage, now in prints.items():
        old = known.get("data", {}).get(stage, {}).get("sources", now)
        cut = ("split", "clean")
        named = f"stages.{stage}.data."
        others = (one.name.removeprefix(named) for one in found if one.name.startswith(named))
        if list(old) == list(now) or any(name.split(".")[0] not in cut for name in others):
            continue
        pairs = [(a, b) for a, b in zip(old, now, strict=True) if a != b]
        before, after = (", ".join(side) for side in zip(*map(_short, pairs), strict=True))
        yield Difference(f"data.{stage}", f"content {before}", f"content {after}")


def _of_vocabulary(
    known: Mapping[str, Any], now: Mapping[str, Any], begun: bool
) -> Iterator[Difference]:
    old, new = known.get("vocabulary"), now["vocabulary"]
    if old is not None and old != new:
        why = "the model has weights for each token" if begun else ""
        never = why if old["size"] != new["size"] else ""
        yield Difference("vocabulary", _told(old, "tokens"), _told(new, "tokens"), never)


def _of_stage(
    name: str,
    old: Mapping[str, Any],
    now: Mapping[str, Any],
    found: Sequence[Difference],
    begun: bool,
) -> Iterator[Difference]:
    if not old:
        return
    known, labels = old.get("labels"), now["labels"]
    if known and labels and known != labels:
        why = "the model has weights for each label" if begun else ""
        never = why if known["size"] != labels["size"] else ""
        yield Difference(f"labels.{name}", _told(known, "labels"), _told(labels, "labels"), never)
    first = old.get("init_from", ""), now["init_from"]
    if first[0] and first[1] and first[0] != first[1]:
        before, after = _short(first)
        yield Difference(f"stages.{name}.init_from", f"weights {before}", f"weights {after}")
    if old.get("key") != now["key"] and not _explains(name, found):
        before, after = _short((old.get("key", ""), now["key"]))
        yield Difference(f"data.{name}", f"prepared {before}", f"prepared {after}")
    keys = {f"stages.{name}.trainer.{key}" for key in ("steps", "epochs")}
    if old.get("steps") != now["steps"] and not keys & {one.name for one in found}:
        steps = f"{old.get('steps'):,} steps", f"{now['steps']:,} steps"
        yield Difference(f"stages.{name}.trainer.epochs", *steps, follows=True)


def _explains(stage: str, found: Iterable[Difference]) -> bool:
    """Whether something that differs is why a stage's data is prepared otherwise."""
    names = ("data", "task", "extensions")
    reasons = (
        *(f"stages.{stage}.{name}" for name in names),
        f"data.{stage}",
        "tokenizer",
        "vocabulary",
        "plugin",
        "seed",
        "library.loomlm",
    )
    return any(f"{one.name}.".startswith(f"{reason}.") for one in found for reason in reasons)


def _labels(stage: Prepared) -> dict[str, Any] | None:
    labels = stage.data.facts.get("labels")
    if labels is None:
        return None
    return _sized(len(labels), cache_key(labels))


def _first(stage: Prepared, config: Config, folder: Path) -> str | None:
    """A digest of the model that a stage begins with, where it is none of the run's own."""
    if stage.config.init_from in [other.name for other in config.settings.stages]:
        return None
    first = first_model(stage.config, folder)
    return file_digest(first / WEIGHTS) if first else None


def _sized(size: int, digest: str) -> dict[str, Any]:
    return {"size": size, "digest": digest}


def _told(sized: Mapping[str, Any], what: str) -> str:
    return f"{sized['size']:,} {what} ({sized['digest'][:8]})"


def _short(pair: Sequence[str]) -> tuple[str, str]:
    return pair[0][:8], pair[1][:8]
