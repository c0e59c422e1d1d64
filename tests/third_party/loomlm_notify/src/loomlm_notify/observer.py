"""The observer `notify`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from loomlm.plugin import RunEnded, RunStarted, hookimpl
from loomlm_notify.config import NotifyConfig
from loomlm_notify.posting import NotSentError, post


class Notify:
    """Sends a summary when the run is over, whether it succeeded, failed or was stopped."""

    def __init__(self, config: NotifyConfig) -> None:
        self._config = config
        self._started = time.monotonic()

    @hookimpl
    def loomlm_run_started(self, event: RunStarted) -> None:
        self._started = time.monotonic()

    @hookimpl
    def loomlm_run_ended(self, event: RunEnded) -> None:
        """A summary that nobody takes is no reason to lose a run: that is said, and no more."""
        if event.error is None and self._config.failures_only:
            return
        summary = {
            "run": Path(event.folder).name,
            "folder": event.folder,
            "outcome": "ended" if event.error is None else "failed",
            "error": event.error,
            "seconds": round(time.monotonic() - self._started, 1),
            "evaluation": event.evaluation,
        }
        try:
            post(self._config.url, summary, self._config.timeout)
        except NotSentError as error:
            click.echo(str(error), err=True)
