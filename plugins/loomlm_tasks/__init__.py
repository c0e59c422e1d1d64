"""The built-in tasks."""

from loomlm.plugin import Component, hookimpl
from loomlm_tasks.config import (
    CausalLmConfig,
    ClassificationConfig,
    CompletionConfig,
    MaskedLmConfig,
    QuestionAnsweringConfig,
    RegressionConfig,
    TokenClassificationConfig,
    TranslationConfig,
)

loomlm_api = (1, 1)


@hookimpl
def loomlm_tasks() -> list[Component]:
    return [
        Component(
            kind="task",
            name="classification",
            summary="one label, or several, for each text, or pair of texts",
            target="loomlm_tasks.classification:Classification",
            config=ClassificationConfig,
            trials={
                "one_label": {"max_tokens": 16},
                "several_labels": {"max_tokens": 16, "multi_label": True, "label_smoothing": 0.1},
                "weighted": {
                    "max_tokens": 16,
                    "class_weights": "balanced",
                    "label_smoothing": 0.1,
                },
                "pairs": {"max_tokens": 16, "pair": True},
            },
        ),
        Component(
            kind="task",
            name="regression",
            summary="a number for each text, or pair of texts",
            target="loomlm_tasks.regression:Regression",
            config=RegressionConfig,
            trials={"one_text": {"max_tokens": 16}},
        ),
        Component(
            kind="task",
            name="causal_lm",
            summary="language modelling: each token from those before it",
            target="loomlm_tasks.causal_lm:CausalLm",
            config=CausalLmConfig,
            trials={"short": {"context": 16}, "packed": {"context": 16, "packing": "bfd"}},
        ),
        Component(
            kind="task",
            name="translation",
            summary="write a text anew: in another language, or shorter",
            target="loomlm_tasks.translation:Translation",
            config=TranslationConfig,
            trials={"short": {"max_tokens": 16, "label_smoothing": 0.1}},
        ),
        Component(
            kind="task",
            name="completion",
            summary="answers to requests and in chats, written by a language model",
            target="loomlm_tasks.completion:Completion",
            config=CompletionConfig,
            trials={"pairs": {"context": 24, "max_new": 6}},
        ),
        Component(
            kind="task",
            name="masked_lm",
            summary="language modelling: hidden tokens from those on both sides",
            target="loomlm_tasks.masked_lm:MaskedLm",
            config=MaskedLmConfig,
            trials={
                "short": {"context": 16, "share": 0.3},
                "packed": {"context": 16, "packing": "bfd", "whole_words": True},
            },
        ),
        Component(
            kind="task",
            name="question_answering",
            summary="the piece of a text that answers a question",
            target="loomlm_tasks.question_answering:QuestionAnswering",
            config=QuestionAnsweringConfig,
            trials={"short": {"max_tokens": 16, "max_question": 4, "stride": 8}},
        ),
        Component(
            kind="task",
            name="token_classification",
            summary="a tag for each word: names, parts of speech",
            target="loomlm_tasks.token_classification:TokenClassification",
            config=TokenClassificationConfig,
            trials={"short": {"max_tokens": 16, "stride": 8}},
        ),
    ]
