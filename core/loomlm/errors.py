"""Errors that a user can cause, and the nearest right name for a wrong one.

Everything here is cheap to import: `loomlm --help` does.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen


class LoomlmError(Exception):
    """Something a user can mend: says what is wrong, where, and what to do.

    The command line prints the message alone, without a traceback, and exits with `exit_code`.
    """

    exit_code = 1


class UsageError(LoomlmError):
    """A wrong command, option, path or name."""

    exit_code = 2


class DataError(UsageError):
    """A data file or data set that cannot be read as the config says."""


class PluginError(UsageError):
    """A plugin that a run needs is missing, broken, blocked or ambiguous."""


class PluginWarning(UserWarning):
    """A plugin that was left out, is slow, or failed where the program goes on without it."""


class LoomlmDeprecationWarning(FutureWarning):
    """Something that goes away in the next minor release; see `loomlm.deprecations`."""


@frozen
class Problem:
    """One mistake in a config: what, where (`place` is file:line), which key, and the next step."""

    message: str
    key: str = ""
    place: str = ""
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        key = f"{self.key}: " if self.key else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{where}{key}{self.message}{hint}"


class ConfigError(UsageError):
    """All the mistakes of one config."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = [str(problem) for problem in self.problems]
        super().__init__(
            lines[0]
            if count == 1
            else "\n".join([f"{count} mistakes in the config:", *(f"  {line}" for line in lines)])
        )


def sentence(text: str) -> str:
    """A message with a full stop, where it has no end yet."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


LONGEST = 100
"""Characters of a name that may be misspelt; what is longer takes long to compare, and is none."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The known name that `name` most likely meant, or None."""
    from difflib import get_close_matches

    if len(name) > LONGEST:
        return None
    by_folded = {known.lower().replace("-", "_"): known for known in names}
    found = get_close_matches(name.lower().replace("-", "_"), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A sentence that offers the nearest name, or lists them all when none is near."""
    names = sorted(names)
    near = nearest(name, names)
    if near is not None:
        return f"Did you mean {near!r}?"
    return f"Known: {', '.join(names)}." if names else ""
