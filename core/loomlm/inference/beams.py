"""Beam search: the likeliest text that a model would write, as far as a few rows can tell."""

from __future__ import annotations

import numpy as np
from attrs import define, field

from loomlm.inference.decoding import Written, log_softmax
from loomlm.inference.running import Running


@define
class Beam:
    """The rows of one prompt. A score is a sum of logarithms of probabilities.

    texts: the new tokens of each running row, all of one length. ended: the best texts that have
    ended, best first, with what they are compared by: the sum of their tokens' logarithms, the end
    token's among them, by (number of tokens) ** penalty. A sum alone favours short texts (Wu 2016).
    """

    width: int
    penalty: float = 1.0
    scores: np.ndarray = field(init=False)
    texts: list[list[int]] = field(init=False)
    ended: list[tuple[float, Written]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        # All begin as the same row: the first alone counts.
        self.scores = np.where(np.arange(self.width) == 0, 0.0, -np.inf)
        self.texts = [[] for _ in range(self.width)]

    def advance(self, logs: np.ndarray, end_id: int | None) -> tuple[list[int], list[int]]:
        """Take the likeliest next tokens: the rows that they follow, and the tokens.

        logs: (width, outputs) logarithms of probabilities. A row whose end token is among them has
        a text that ends, and may go on besides.
        """
        candidates = self._candidates(self.scores[:, None] + logs)
        kept: list[tuple[float, int, int]] = []
        for score, row, token in candidates:
            if token != end_id:
                kept.append((score, row, token))
            elif np.isfinite(score):
                self._end(score, self.texts[row], len(self.texts[row]) + 1)
        kept = kept[: self.width]
        self.scores = np.array([score for score, _, _ in kept])
        self.texts = [[*self.texts[row], token] for _, row, token in kept]
        return [row for _, row, _ in kept], [token for _, _, token in kept]

    def _candidates(self, scores: np.ndarray) -> list[tuple[float, int, int]]:
        """Score, row and token of the likeliest: twice as many as rows, as each row may end."""
        flat = scores.ravel()
        count = min(2 * self.width, flat.size)
        found = np.argpartition(-flat, count - 1)[:count]
        found = found[np.lexsort((found, -flat[found]))]
        rows, tokens = np.divmod(found, scores.shape[1])
        return list(zip(flat[found].tolist(), rows.tolist(), tokens.tolist(), strict=True))

    @property
    def done(self) -> bool:
        """As many texts have ended as there are rows, and none that runs is better so far."""
        running = self.scores.max() / len(self.texts[0]) ** self.penalty
        enough = len(self.ended) == self.width or running == -np.inf
        return enough and self.ended[-1][0] >= running

    def stop(self) -> None:
        """End the running rows where they are."""
        for score, text in zip(self.scores.tolist(), self.texts, strict=True):
            if np.isfinite(score):
                self._end(score, text, len(text))

    def _end(self, score: float, text: list[int], length: int) -> None:
        self.ended.append((score / length**self.penalty, Written(text, score, length)))
        self.ended.sort(key=lambda ended: -ended[0])
        del self.ended[self.width :]

    @property
    def best(self) -> Written:
        """The best text that has ended."""
        return self.ended[0][1]


def beam_search(
    running: Running, end_id: int | None, beams: int, max_tokens: int, penalty: float = 1.0
) -> list[Written]:
    """The best new tokens of each row. penalty: as `length_penalty` of Decoding."""
    every = [Beam(beams, penalty) for _ in running.tokens]
    going = every
    running.keep(np.repeat(np.arange(len(every)), beams))
    for index in range(max_tokens):
        logs = log_softmax(running.logits).reshape(len(going), beams, -1)
        moves = [beam.advance(part, end_id) for beam, part in zip(going, logs, strict=True)]
        rows = [[place * beams + row for row in rows] for place, (rows, _) in enumerate(moves)]
        running.keep(np.concatenate(rows))
        running.add(np.concatenate([tokens for _, tokens in moves]))
        full = running.full[::beams]
        on = np.array([not (beam.done or end) for beam, end in zip(going, full, strict=True)])
        going = [beam for beam, still in zip(going, on, strict=True) if still]
        if not going or index == max_tokens - 1:
            break
        if not on.all():
            running.keep(np.flatnonzero(np.repeat(on, beams)))
        running.advance()
    for beam in every:
        if not beam.done:
            beam.stop()
    return [beam.best for beam in every]
