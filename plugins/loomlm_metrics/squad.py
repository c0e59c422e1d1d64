"""How the official script of SQuAD v1.1 (Rajpurkar 2016) compares an answer with one that is right.

Of a question without an answer, as SQuAD v2 has them (Rajpurkar 2018), the empty text is right.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normal(text: str) -> str:
    """In lower case, without ASCII punctuation and English articles, words one space apart."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact(prediction: str, right: str) -> float:
    """1.0 where both are the same but for what `normal` takes away."""
    return float(normal(prediction) == normal(right))


def f1(prediction: str, right: str) -> float:
    """Harmonic mean of the shares of words that both have; 0.0 without one in common."""
    given, wanted = normal(prediction).split(), normal(right).split()
    common = sum((Counter(given) & Counter(wanted)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(given), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def over_all(score: Callable[[str, str], float], prediction: str, right: Sequence[str]) -> float:
    """The best score over several answers that are right; without any, whether there is none."""
    if not right:
        return float(not normal(prediction))
    return max(score(prediction, one) for one in right)
