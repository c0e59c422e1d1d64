"""Answers that stand in a text: read from an example, and found among its tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from loomlm.plugin import DataError, Example

ANSWERS = "answers"


@frozen
class Answer:
    """A piece of a text, from one character to before another."""

    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    def tokens(self, starts: NDArray[np.int32], ends: NDArray[np.int32]) -> tuple[int, int] | None:
        """The first and the last token that have a part of it; None where none has."""
        first = int(np.searchsorted(ends, self.start, side="right"))
        last = int(np.searchsorted(starts, self.end, side="left")) - 1
        return (first, last) if first <= last else None


def answers_of(example: Example) -> tuple[Answer, ...]:
    """The answers of an example, none where there is none to its question.

    One that cleaning has moved is looked for near its old place. Raises DataError where it is gone,
    and where an example does not say what its answers are.
    """
    given = example.meta.get(ANSWERS)
    if given is None:
        raise DataError(
            f"{example.place}: the example does not say what its answers are. Read a file in the "
            'form of SQuAD with format = "squad", or name the column of a data set of the hub with '
            'data.fields = { question = "question", answers = "answers" }.'
        )
    return tuple(_placed(one, example) for one in json.loads(given))


def _placed(given: Mapping[str, Any], example: Example) -> Answer:
    answer, text = Answer(given["text"], given["start"]), example.text
    if text[answer.start : answer.end] == answer.text:
        return answer
    before = text.rfind(answer.text, 0, answer.end)
    behind = text.find(answer.text, answer.start)
    found = [at for at in (before, behind) if at >= 0]
    if not found:
        raise DataError(
            f"{example.place}: the answer {answer.text[:80]!r} does not stand in the text as it "
            "is when it comes to the task. Take out the cleaning step that changes it."
        )
    return Answer(answer.text, min(found, key=lambda at: abs(at - answer.start)))
