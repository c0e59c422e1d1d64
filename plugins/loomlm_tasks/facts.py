"""Facts of a vocabulary, as the tasks that predict tokens keep them with a model."""

from __future__ import annotations

from loomlm.plugin import Facts


def check_outputs(facts: Facts) -> int:
    """The size of the vocabulary. Raises ValueError for one that cannot be."""
    outputs = facts.get("outputs")
    if type(outputs) is not int or not 0 < outputs < 1 << 31:
        raise ValueError("facts.outputs is no size of a vocabulary")
    return outputs


def check_end(facts: Facts) -> None:
    """Raise ValueError for a size, or an end token, that cannot be."""
    end = facts.get("end")
    if type(end) is not int or not 0 <= end < check_outputs(facts):
        raise ValueError("facts.end is no token of the vocabulary")
