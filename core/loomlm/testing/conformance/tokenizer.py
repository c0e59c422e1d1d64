"""What every tokenizer must hold to."""

from __future__ import annotations

from loomlm.contracts import Tokenizer
from loomlm.testing.conformance.cases import Subject

TEXTS = ("The quick brown fox jumps over the lazy dog.", "Zwölf Boxkämpfer jagen Viktor.", "")


def trained(subject: Subject) -> Tokenizer:
    """A tokenizer that has learnt from some texts."""
    return subject.component.load().train(subject.config, TEXTS)


def learning_is_deterministic(subject: Subject) -> None:
    """The same texts give the same files, byte for byte."""
    assert dict(trained(subject).files()) == dict(trained(subject).files())


PROPERTIES = (learning_is_deterministic,)
