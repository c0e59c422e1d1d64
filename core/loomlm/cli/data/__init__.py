"""`loomlm data`: each command in a file of its name."""

from __future__ import annotations

import click

from loomlm.cli.groups import lazy_group

COMMANDS = {
    "check": "Say what is wrong with a config's data, or that nothing is.",
    "inspect": "Show what data is like: sizes, labels, copies, contamination, odd examples.",
    "prepare": "Carry out the data stage alone: read, clean, split, train a tokenizer, encode.",
    "sample": "Show examples as the model sees them: text, cleaned, ids, label, mask.",
    "cache": "List what is kept of prepared data, or remove it.",
}
"""The commands and their help, so that `--help` imports none of them."""


@click.group("data", cls=lazy_group(__name__, COMMANDS))
def command() -> None:
    """Look at data, check it, and prepare it, without training."""
