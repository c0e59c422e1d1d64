"""The built-in tokenizers, on the `tokenizers` library: their files load in `transformers` too."""

from loomlm.plugin import Component, hookimpl
from loomlm_tokenizers.config import (
    BPEConfig,
    CharacterConfig,
    UnigramConfig,
    WordConfig,
    WordPieceConfig,
)

loomlm_api = (1, 1)


@hookimpl
def loomlm_tokenizers() -> list[Component]:
    return [
        _component("bpe", "BPE", "byte pairs: any text, and back without loss", BPEConfig),
        _component("wordpiece", "WordPiece", "parts of words, as in BERT", WordPieceConfig),
        _component("unigram", "Unigram", "parts of words, as in SentencePiece", UnigramConfig),
        _component("word", "Word", "the most frequent words and punctuation marks", WordConfig),
        _component("character", "Character", "one token a character", CharacterConfig),
    ]


def _component(name: str, target: str, summary: str, config: type) -> Component:
    return Component(
        kind="tokenizer",
        name=name,
        summary=summary,
        target=f"loomlm_tokenizers.tokenizer:{target}",
        config=config,
    )
