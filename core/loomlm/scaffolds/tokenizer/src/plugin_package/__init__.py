"""A tokenizer for Loomlm: what is registered, and its keys.

The entry point in `pyproject.toml` has this module imported whenever `loomlm` starts.
So it holds records and config classes, and imports no framework and no numpy. What a
record's `target` names is imported when a run needs it.
"""

from typing import Literal

from attrs import frozen
from loomlm.plugin import Component, hookimpl, key

loomlm_api = (1, 1)
"""The first and the last version of the plugin API that this plugin works with."""


@frozen
class BytesConfig:
    """The keys of `[tokenizer]` beside `type`; types and bounds are strict."""

    form: Literal["as is", "NFC", "NFKC"] = key(
        "Unicode's form that a text is brought into first: NFC has one character for a "
        "letter with its accents, NFKC plain letters and digits for their variants",
        "as is",
    )
    lower_case: bool = key("take upper and lower case as the same", False)


@hookimpl
def loomlm_tokenizers() -> list[Component]:
    return [
        Component(
            kind="tokenizer",
            name="plugin_component",
            summary="plugin-summary",
            target="plugin_package.tokenizer:BytesFactory",
            config=BytesConfig,
            # Sets of keys, by name, that the conformance kit tries.
            trials={"default": {}, "plain": {"form": "NFKC", "lower_case": True}},
        )
    ]
