"""Language modelling: what is encoded, what is predicted from what, what a prompt becomes."""

from __future__ import annotations

import numpy as np
import pytest

from loomlm.plugin import DataError, Example, Generates, Predicts, Ragged
from loomlm_tasks.causal_lm import CausalLm
from loomlm_tasks.config import CausalLmConfig


class Letters:
    """a is 3, b is 4, ...; other characters are unknown."""

    vocab_size, pad_id = 29, 0

    def __init__(self, end_id: int | None = 2, unknown_id: int | None = 1) -> None:
        self.end_id, self.unknown_id = end_id, unknown_id

    def encode_many(self, texts):
        rows = [[ord(c) - 94 if c in "abcdefgh" else 1 for c in text if c != " "] for text in texts]
        offsets = np.cumsum([0, *map(len, rows)])
        return Ragged(np.array([i for row in rows for i in row], np.int32), offsets)


FACTS = {"outputs": 29}


def task(context: int = 4) -> CausalLm:
    return CausalLm(CausalLmConfig(context=context))


def encode(texts: list[str], tokenizer=None):
    examples = [Example(text) for text in texts]
    return task().encode(examples, tokenizer or Letters(), FACTS, True)


def rows_of(ragged) -> list[list[int]]:
    return [ragged[row].tolist() for row in range(len(ragged))]


def test_documents_end_with_the_end_token():
    columns = encode(["ab", "", "c"])

    assert rows_of(columns["tokens"]) == [[3, 4, 2], [2], [5, 2]]


def test_without_an_end_token_they_follow_each_other():
    columns = encode(["ab", "c"], Letters(end_id=None))

    assert rows_of(columns["tokens"]) == [[3, 4], [5]]


def test_bytes_are_those_of_the_texts_in_utf_8():
    assert encode(["ab", "é€", "", "\ud800"])["bytes"].tolist() == [2, 5, 0, 3]


def collate(rows: list[list[int]], height: int = 3):
    offsets = np.cumsum([0, *map(len, rows)])
    values = np.array([i for row in rows for i in row], np.uint16)
    return task().collate({"tokens": Ragged(values, offsets)}, {"batch": height, "time": 4}, FACTS)


def test_each_token_s_label_is_the_one_behind_it():
    batch = collate([[3, 4, 5, 6, 7], [8, 9, 2]])

    assert batch["tokens"].tolist() == [[3, 4, 5, 6], [8, 9, 0, 0], [0, 0, 0, 0]]
    assert batch["label"][batch["weight"] > 0].tolist() == [4, 5, 6, 7, 9, 2]
    assert batch["weight"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert batch["length"].tolist() == [4, 2, 0]


def test_batches_are_what_the_spec_says():
    batch = collate([[3, 4, 5, 6, 7]])
    sizes = {"batch": 3, "time": 4}
    spec = task().batch_spec(FACTS, [sizes])

    assert {f.name for f in spec.fields} == set(batch.arrays)
    for field in spec.fields:
        assert batch[field.name].dtype == field.dtype
        assert batch[field.name].shape == tuple(sizes[str(symbol)] for symbol in field.shape)


def prompt(texts: list[str], tokenizer=None) -> list[list[int]]:
    batch = task().prompt(texts, tokenizer or Letters(), FACTS)
    lengths = batch["length"]
    assert batch["tokens"].shape == (len(texts), lengths.max())
    return [row[:n].tolist() for row, n in zip(batch["tokens"], lengths, strict=True)]


def test_a_prompt_is_its_last_tokens():
    assert prompt(["abc", "a", "abcdef"]) == [[3, 4, 5], [3], [5, 6, 7, 8]]


@pytest.mark.parametrize("text", ["", " "])
def test_a_prompt_without_a_token_begins_a_document(text):
    assert prompt([text]) == [[2]]
    assert prompt([text], Letters(end_id=None)) == [[0]]


def test_a_prompt_of_unknown_characters_is_refused():
    with pytest.raises(DataError, match="The prompt '日本' has no character that the vocabulary"):
        prompt(["a", "日本"])
    assert prompt(["a日"]) == [[3, 1]]
    assert prompt(["日"], Letters(unknown_id=None)) == [[1]]


def test_the_task_writes_and_gives_no_labels():
    assert isinstance(task(), Generates)
    assert not isinstance(task(), Predicts)


# --- packing = "bfd" -----------------------------------------------------------------------------


def packing(context: int = 6) -> CausalLm:
    return CausalLm(CausalLmConfig(context=context, packing="bfd"))


def ragged(rows: list[list[int]]) -> Ragged:
    offsets = np.cumsum([0, *map(len, rows)])
    return Ragged(np.array([i for row in rows for i in row], np.int64), offsets)


def test_packed_documents_have_an_end_token_at_both_ends():
    examples = [Example(text) for text in ("ab", "", "c")]

    columns = packing().encode(examples, Letters(), FACTS, True)
    without = packing().encode(examples, Letters(end_id=None), FACTS, True)

    assert rows_of(columns["tokens"]) == [[2, 3, 4, 2], [2, 2], [2, 5, 2]]
    assert rows_of(without["tokens"]) == [[3, 4], [], [5]]


def test_in_a_packed_row_no_token_s_label_is_of_another_document():
    tokens, pieces = ragged([[2, 3, 4, 2, 2, 5, 2], [2, 6, 2]]), ragged([[4, 3], [3]])

    batch = packing().collate({"tokens": tokens, "pieces": pieces}, {"batch": 3, "time": 6}, FACTS)

    nothing = [0] * 6
    assert batch["tokens"].tolist() == [[2, 3, 4, 2, 5, 0], [2, 6, 0, 0, 0, 0], nothing]
    assert batch["label"].tolist() == [[3, 4, 2, 5, 2, 0], [6, 2, 0, 0, 0, 0], nothing]
    assert batch["segment"].tolist() == [[1, 1, 1, 2, 2, 0], [1, 1, 0, 0, 0, 0], nothing]
    assert batch["weight"].tolist() == [[1, 1, 1, 1, 1, 0], [1, 1, 0, 0, 0, 0], nothing]
    assert batch["length"].tolist() == [5, 2, 0]
    for field in packing().batch_spec(FACTS, []).fields:
        assert batch[field.name].dtype == field.dtype


def test_a_packed_model_s_prompt_begins_a_document():
    def tokens(text: str, tokenizer: Letters) -> list[int]:
        return packing(4).prompt([text], tokenizer, FACTS)["tokens"][0].tolist()

    assert tokens("ab", Letters()) == [2, 3, 4]
    assert tokens("abcde", Letters()) == [4, 5, 6, 7]
    assert tokens("", Letters()) == [2]
    assert tokens("ab", Letters(end_id=None)) == [3, 4]
