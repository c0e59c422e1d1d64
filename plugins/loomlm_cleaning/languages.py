"""Keeps texts of some languages, with py3langid."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from loomlm.plugin import UsageError, did_you_mean
from loomlm_cleaning.config import LanguageConfig
from loomlm_cleaning.ratios import Filter


def language_step(config: LanguageConfig) -> Filter:
    """Keeps texts whose most likely language is one of those named, and likely enough.

    By py3langid and the model that it brings (Lui and Baldwin 2012). Texts of a few words are told
    badly. Holds the model in memory, some 40 MB; reads 2 MB a second.
    """
    identifier = _identifier()
    for name in config.languages:
        if name not in identifier.labels:
            raise UsageError(
                f"The model knows no language {name!r}. {did_you_mean(name, identifier.labels)}"
            )

    def reasons(text: str) -> Iterator[str]:
        found, probability = identifier.classify(text)
        if found not in config.languages:
            yield f"language {found}"
        elif probability < config.probability:
            yield "language not sure"

    return Filter(reasons, config.splits)


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
