"""Lets a language model write while it trains: `samples.txt` in the stage's folder."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from loomlm.plugin import DataError, Evaluated, StageStarted, hookimpl
from loomlm_observers.config import SamplesConfig

FILE = "samples.txt"
HEADING = re.compile(rb"^=== step (\d+)$", re.MULTILINE)


class Samples:
    """Adds `=== step N`, and each prompt with what follows it, after every so many evaluations."""

    def __init__(self, config: SamplesConfig) -> None:
        self._config = config
        self._evaluations: Counter[str] = Counter()

    @hookimpl
    def loomlm_stage_started(self, event: StageStarted) -> None:
        """Leave the samples up to where the stage goes on: the others will be written again."""
        path = Path(event.folder) / FILE
        if path.exists():
            content = path.read_bytes()
            later = (m.start() for m in HEADING.finditer(content) if int(m[1]) > event.step)
            path.write_bytes(content[: next(later, len(content))])

    @hookimpl
    def loomlm_evaluated(self, event: Evaluated) -> None:
        if event.generate is None:
            return
        self._evaluations[event.stage] += 1
        if self._evaluations[event.stage] % self._config.every:
            return
        texts = [self._write(event, prompt) for prompt in self._config.prompts]
        with (Path(event.folder) / FILE).open("a", encoding="utf-8", newline="\n") as file:
            file.write("\n".join([f"=== step {event.step}", *texts, ""]))
        for text in texts:
            event.say(f"sample: {text}")

    def _write(self, event: Evaluated, prompt: str) -> str:
        assert event.generate is not None
        try:
            return prompt + event.generate(prompt, self._config.max_tokens, self._config.seed)
        except DataError as error:
            # A sample is not worth a run: the prompt may be fit for another stage's text.
            return f"none: {error}"
