"""`loomlm notify-test`."""

from __future__ import annotations

import click


@click.command("notify-test")
@click.argument("url")
@click.option("--timeout", type=float, default=10.0, show_default=True, help="Seconds to wait.")
def command(url: str, timeout: float) -> None:
    """Send a summary to URL, as the observer `notify` does when a run has ended."""
    from loomlm_notify.posting import post

    summary = {
        "run": "notify-test",
        "folder": "",
        "outcome": "ended",
        "error": None,
        "seconds": 0.0,
        "evaluation": {},
    }
    post(url, summary, timeout)
    click.echo(f"{url} was told.")
