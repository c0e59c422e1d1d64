"""The built-in tokenizers, on the `tokenizers` package."""

from loomlm.plugin import Component, hookimpl
from loomlm_tokenizers.config import (
    BpeConfig,
    CharacterConfig,
    UnigramConfig,
    WordConfig,
    WordPieceConfig,
)


@hookimpl
def loomlm_tokenizers() -> list[Component]:
    return [
        _tokenizer("bpe", "Bpe", "byte-level byte-pair encoding, as in GPT-2", BpeConfig),
        _tokenizer("wordpiece", "WordPiece", "pieces of words, as in BERT", WordPieceConfig),
        _tokenizer("unigram", "Unigram", "unigram model, as in SentencePiece", UnigramConfig),
        _tokenizer("word", "Word", "the most frequent words and punctuation marks", WordConfig),
        _tokenizer("character", "Character", "single characters", CharacterConfig),
    ]


def _tokenizer(name: str, target: str, summary: str, config: type) -> Component:
    return Component(
        kind="tokenizer",
        name=name,
        summary=summary,
        target=f"loomlm_tokenizers.training:{target}",
        config=config,
        requires=("tokenizers",),
    )
