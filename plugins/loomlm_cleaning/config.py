"""Config classes of the built-in cleaning steps."""

import re
from typing import Literal

from attrs import frozen

from loomlm.plugin import UsageError, key

# A scheme, or www. and a dot; the full stop or bracket behind it belongs to the sentence.
URL = re.compile(r"\b(?:(?:https?|ftp)://|www\.)[^\s<>\"]*[^\s<>\"'.,;:!?)\]}]", re.IGNORECASE)
EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")


@frozen
class UnicodeConfig:
    """Unicode normalisation."""

    form: Literal["NFC", "NFD", "NFKC", "NFKD"] = key("normalisation form", "NFC")


@frozen
class WhitespaceConfig:
    """White space."""

    keep_lines: bool = key("keep line ends, one for a run of them", False)


@frozen
class MaskConfig:
    """URLs and e-mail addresses, which name somebody and teach nothing."""

    url: str | None = key("what stands for a URL; none leaves URLs alone", "[URL]")
    email: str | None = key("what stands for an e-mail address; none leaves them alone", "[EMAIL]")

    def __attrs_post_init__(self) -> None:
        for word in filter(None, (self.url, self.email)):
            if URL.search(word) or EMAIL.search(word):
                raise UsageError(f"{word!r} would be masked itself; take another word")
