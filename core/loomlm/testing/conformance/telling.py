"""What an author reads of a property that does not hold."""

from __future__ import annotations

import traceback
from types import TracebackType

from loomlm.testing.conformance.cases import Case

KIT = __name__.rpartition(".")[0]


def told(case: Case, error: AssertionError) -> str:
    """The property in words, and what was given and came.

    Of an exception that the component raised, its own part of the traceback. Empty where it was the
    component that asserted something: then nothing is to be left out.
    """
    if not _is_ours(error):
        return ""
    promise = " ".join((case.holds.__doc__ or case.holds.__name__).split("\n\n", 1)[0].split())
    lines = [f"{case.component.kind}:{case.component.name}: {promise}", str(error)]
    if error.__cause__ is not None:
        cause = error.__cause__
        own = _component_s(cause.__traceback__)
        lines += traceback.format_exception(type(cause), cause, own, chain=False)
    return "\n".join(line.rstrip("\n") for line in lines)


def _is_ours(error: AssertionError) -> bool:
    """Whether it was the kit that raised it."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and _in_kit(last)


def _component_s(found: TracebackType | None) -> TracebackType | None:
    """A traceback from the kit's last call on."""
    begins = found
    while found is not None:
        if _in_kit(found):
            begins = found.tb_next
        found = found.tb_next
    return begins


def _in_kit(found: TracebackType) -> bool:
    return found.tb_frame.f_globals.get("__name__", "").startswith(KIT)
