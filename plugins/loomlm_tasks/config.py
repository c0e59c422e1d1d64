"""Config classes of the built-in tasks; no framework, no numpy."""

from collections.abc import Mapping
from math import inf
from typing import Literal

from attrs import frozen

from loomlm.plugin import key


@frozen
class CausalLmConfig:
    """Language modelling from left to right."""

    context: int = key("tokens of a row: the most that the model sees at once", 256, minimum=2)
    packing: Literal["wrapped", "bfd"] = key(
        "how documents come into rows: wrapped, end to end, cut wherever a row ends; bfd, whole "
        "ones by best fit decreasing, where no token sees another document, and longer ones are "
        "cut",
        "wrapped",
    )


@frozen
class CompletionConfig:
    """Answers to requests, written by a language model."""

    context: int = key("tokens of a row, request and answer: the most that it sees", 256, minimum=2)
    template: str | Mapping[str, str] = key(
        "how a request and its answer stand in a row, with {prompt}, {completion} and the names of "
        "further texts in `data.fields`; or, of chats, a text with {content} for each role",
        "{prompt} {completion}",
    )
    packing: Literal["none", "bfd"] = key(
        "none: a row is one request with its answer; bfd: whole ones stand together by best fit "
        "decreasing, and no token sees another's",
        "none",
    )
    max_new: int | None = key(
        "the most tokens that are written; by default a quarter of context", None, minimum=1
    )
    beams: int = key(
        "texts that are searched side by side; 1 takes one token after another", 1, minimum=1
    )
    length_penalty: float = key(
        "of beam search: a text's log probability is divided by its tokens to this power; more "
        "gives longer texts",
        1.0,
    )
    temperature: float = key(
        "logits are divided by it where tokens are drawn; 0 takes the likeliest", 0.0, minimum=0
    )
    stop: tuple[str, ...] = key("texts at which what is written ends, besides its end token", ())

    def __attrs_post_init__(self) -> None:
        # Imported where it is used: it is not wanted where plugins are listed.
        from loomlm_tasks.rendering import check_template

        check_template(self.template)
        if self.max_new is not None and self.max_new >= self.context:
            raise ValueError(
                f"max_new is {self.max_new}, which leaves no room for a request in a row of "
                f"{self.context} tokens"
            )
        if not all(self.stop):
            raise ValueError("stop has an empty text")

    @property
    def longest(self) -> int:
        """The most tokens that are written."""
        return self.max_new or max(1, self.context // 4)


@frozen
class MaskedLmConfig:
    """Language modelling from both sides (Devlin 2018), masked anew each time (Liu 2019)."""

    context: int = key("tokens of a row: the most that the model sees at once", 256, minimum=2)
    packing: Literal["wrapped", "bfd"] = key(
        "how documents come into rows, as of causal_lm: wrapped, end to end; bfd, whole ones, "
        "where no token sees another document",
        "wrapped",
    )
    share: float = key("how many of a row's tokens are predicted", 0.15, above=0, maximum=0.9)
    masked: float = key("share of those that a mask stands for", 0.8, minimum=0, maximum=1)
    random: float = key(
        "share of those that another token stands for; the rest stay as they are",
        0.1,
        minimum=0,
        maximum=1,
    )
    whole_words: bool = key(
        "predict all tokens of a word or none, by the tokenizer's own words", False
    )
    candidates: int = key("how many words predict gives for a mask", 5, minimum=1)

    def __attrs_post_init__(self) -> None:
        if self.masked + self.random > 1 + 1e-9:
            raise ValueError(
                f"masked and random are shares of one whole; together they are "
                f"{self.masked + self.random:g}"
            )


PAIR = "read two texts: the data's `pair` behind its `text`, with an end token between"


def _check_room(pair: bool, max_tokens: int) -> None:
    if pair and max_tokens < 3:
        raise ValueError(
            f"max_tokens is {max_tokens}, and two texts with an end token between take 3 at least"
        )


@frozen
class RegressionConfig:
    """A number for each text."""

    pair: bool = key(PAIR, False)
    max_tokens: int = key(
        "longer texts are cut to their first tokens, of two texts the longer first",
        1024,
        minimum=1,
    )

    def __attrs_post_init__(self) -> None:
        _check_room(self.pair, self.max_tokens)


@frozen
class ClassificationConfig:
    """Classification of whole texts, or of pairs of them."""

    pair: bool = key(PAIR, False)

    multi_label: bool = key("each text has any number of labels, scored one by one", False)
    separator: str = key("what stands between the labels of a text, with multi_label", ",")
    max_tokens: int = key(
        "longer texts are cut to their first tokens, of two texts the longer first",
        1024,
        minimum=1,
    )
    label_smoothing: float = key(
        "probability that is spread over all labels (Szegedy 2016)", 0.0, minimum=0, maximum=0.5
    )
    class_weights: Literal["none", "balanced"] | Mapping[str, float] = key(
        "what a label counts in the loss: balanced gives n / (labels * count of the label)", "none"
    )
    threshold: float = key(
        "probability from which a label is given, with multi_label", 0.5, above=0, maximum=1
    )

    def __attrs_post_init__(self) -> None:
        _check_room(self.pair, self.max_tokens)
        if not self.separator:
            raise ValueError("separator must not be empty")
        if isinstance(self.class_weights, Mapping):
            for label, weight in self.class_weights.items():
                if not 0 < weight < inf:
                    raise ValueError(f"class_weights must be above 0, got {weight} for {label!r}")


@frozen
class TranslationConfig:
    """Translation: an encoder-decoder reads a text, and writes another (Sutskever 2014)."""

    max_tokens: int = key("longer texts, on either side, are cut to so many tokens", 256, minimum=2)
    label_smoothing: float = key(
        "probability that is spread over all tokens while training (Vaswani 2017)",
        0.1,
        minimum=0,
        maximum=0.5,
    )
    beams: int = key(
        "texts that are searched side by side; 1 takes the likeliest token each time", 1, minimum=1
    )
    length_penalty: float = key(
        "of beam search: a text's log probability is divided by its tokens to this power; more "
        "gives longer texts",
        1.0,
    )
    max_new: int | None = key(
        "the most tokens that are written; by default max_tokens", None, minimum=1
    )

    @property
    def longest(self) -> int:
        """The most tokens that are written."""
        return min(self.max_new or self.max_tokens, self.max_tokens)


@frozen
class QuestionAnsweringConfig:
    """Answers that stand in a text."""

    max_tokens: int = key(
        "tokens of a row, question and text together; longer texts have several", 384, minimum=8
    )
    stride: int = key("by how many tokens a row's text begins behind that before", 128, minimum=1)
    max_question: int = key("longer questions are cut to their first tokens", 64, minimum=1)
    max_answer_tokens: int = key("longer answers are not given", 30, minimum=1)
    null_threshold: float = key(
        "where training has questions without an answer: by how much in log probability that must "
        "beat the best answer to be said",
        0.0,
    )
    n_best: int = key("how many answers `predict` gives, in `answers` from 2 on", 1, minimum=1)

    def __attrs_post_init__(self) -> None:
        room = self.max_tokens - self.max_question - 2
        if self.stride > room:
            raise ValueError(
                f"stride is {self.stride}, and behind a question of max_question = "
                f"{self.max_question} a row of max_tokens = {self.max_tokens} has room for {room} "
                "tokens of the text: some would be in no row. Lower stride or max_question"
            )


@frozen
class TokenClassificationConfig:
    """A tag for each word of a text."""

    max_tokens: int = key("tokens of a row; longer texts have several", 256, minimum=2)
    stride: int = key("by how many tokens a row begins behind the one before", 128, minimum=1)
    words: Literal["marks", "spaces"] = key(
        "what the words of a text to predict are: what stands between spaces, or that with marks "
        "at its ends as words of their own; training has the words of its data",
        "marks",
    )
    label_smoothing: float = key(
        "probability that is spread over all tags (Szegedy 2016)", 0.0, minimum=0, maximum=0.5
    )

    def __attrs_post_init__(self) -> None:
        if self.stride > self.max_tokens:
            raise ValueError(
                f"stride is {self.stride}, and a row has max_tokens = {self.max_tokens}: some "
                "words would be in no row"
            )
