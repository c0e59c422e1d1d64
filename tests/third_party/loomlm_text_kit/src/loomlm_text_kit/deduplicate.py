"""The extension `deduplicate`."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from hashlib import blake2b

from attrs import frozen

from loomlm.plugin import Example, hookimpl
from loomlm_text_kit.config import DeduplicateConfig


@frozen
class Deduplicate:
    """Of training texts that are the same once they are clean, the first stays, with its label."""

    config: DeduplicateConfig

    @hookimpl(wrapper=True)
    def loomlm_examples(self, split: str) -> Generator[None, Iterator[Example], Iterator[Example]]:
        """What is scored or predicted stays as it is."""
        examples = yield
        return self._once(examples) if split == "train" else examples

    def _once(self, examples: Iterator[Example]) -> Iterator[Example]:
        seen: set[bytes] = set()
        for example in examples:
            text = example.text.casefold() if self.config.ignore_case else example.text
            # Digests, so that memory grows with the texts' number alone.
            digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            if digest not in seen:
                seen.add(digest)
                yield example
