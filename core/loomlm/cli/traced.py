"""What `--trace-hooks` prints, behind everything else, on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from loomlm.cli.tables import table
from loomlm.registry.tracing import tracing


@contextmanager
def traced() -> Iterator[None]:
    """Trace the hooks of a command, whatever it ends with."""
    with tracing() as trace:
        try:
            yield
        finally:
            rows = [
                (
                    line.hook,
                    line.who,
                    str(line.calls),
                    str(line.answers),
                    _ms(line.seconds),
                )
                for line in trace.lines.values()
                if line.calls
            ]
            if not rows:
                click.echo("No hook ran.", err=True)
            table(("hook", "of", "calls", "answered", "ms"), rows, err=True)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.2f}"
