"""What a user is told when a signal has ended a command."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Sequence

import click

from loomlm.errors import LoomlmError
from loomlm.training.interrupts import Interruption, Program, StoppedError

AGAIN = ("run", "demo", "data", "sweep")
"""Commands that go on where they were, given once more."""


def stopped_by(error: BaseException, program: Program) -> int:
    """The number of the signal that an error came of, or 0.

    Before a run has a folder, whatever comes after a signal comes of it: others may turn what was
    raised into an error of their own. Later, an error of ours says what went wrong.
    """
    if isinstance(error, StoppedError):
        return error.exit_code - 128
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return program.number or signal.SIGINT
    return 0 if program.trained and isinstance(error, LoomlmError | OSError) else program.number


def stop_message(error: BaseException, program: Program, words: Sequence[str]) -> str:
    """Why the command given by `words` ended, and the command that goes on."""
    again = ""
    if words[:1] and words[0] in AGAIN:
        goes_on = program.trained or words[0] == "sweep"  # Which begins where there is nothing.
        command = _resumed(words) if goes_on else words
        again = f" Go on with:\n  {shlex.join(['loomlm', *command])}"
    return f"{_what(error, program, words)}{again}"


def _what(error: BaseException, program: Program, words: Sequence[str]) -> str:
    raised = error.__cause__ if isinstance(error, click.Abort) else error
    if isinstance(raised, StoppedError):
        return str(raised)
    if isinstance(raised, Interruption) and raised.where:
        return f"Stopped {raised.where}; what was made is kept."
    return "Stopped." if program.trained or words[:1] != ["run"] else "Stopped at the start."


def _resumed(words: Sequence[str]) -> list[str]:
    """The command line that was given, to go on with what it has begun."""
    kept = [word for word in words if word != "--overwrite" and not word.startswith("--resume")]
    if words[0] not in ("run", "sweep"):
        return kept  # The demo goes on by itself.
    end = kept.index("--") if "--" in kept else len(kept)
    return [*kept[:end], "--resume", *kept[end:]]
