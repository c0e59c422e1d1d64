"""Repairs text that was decoded in a wrong way, with ftfy."""

from __future__ import annotations

from collections.abc import Callable

from ftfy import fix_encoding

from loomlm.plugin import NoConfig


def mojibake_step(config: NoConfig) -> Callable[[str], str]:
    """What UTF-8 looks like in another encoding, as it was meant: "schÃ¶n" is "schön".

    ftfy repairs what is no likely text otherwise, and nothing else (Speer 2019,
    doi:10.5281/zenodo.2591652).
    """
    return fix_encoding
