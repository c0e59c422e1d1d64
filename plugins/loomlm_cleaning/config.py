"""Config classes of the built-in cleaning steps."""

from typing import Literal

from attrs import frozen

from loomlm.plugin import key


@frozen
class UnicodeConfig:
    """Unicode normalisation."""

    form: Literal["NFC", "NFD", "NFKC", "NFKD"] = key("normalisation form", "NFC")


@frozen
class WhitespaceConfig:
    """White space."""

    keep_lines: bool = key("keep line ends, one for a run of them", False)
