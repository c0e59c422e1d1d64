"""Masked language modelling: what is hidden, how, and what fills a mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.plugin import DataError, Example, Predicts, Ragged
from loomlm_tasks.config import MaskedLmConfig
from loomlm_tasks.masked_lm import MaskedLm

WORDS = ("<pad>", "<unk>", "<end>", "<mask>", *(f"w{number}" for number in range(40)))


class Words:
    """w0 is 4, w1 is 5, ...; what begins with + goes on with a word."""

    vocab_size, pad_id, unknown_id, end_id = 44, 0, 1, 2

    def __init__(self, mask_id: int | None = 3, end_id: int | None = 2) -> None:
        self.mask_id, self.end_id = mask_id, end_id

    def encode_many(self, texts):
        rows = [
            [WORDS.index(word) if word in WORDS[4:] else 1 for word in text.split()]
            for text in texts
        ]
        return ragged(rows)

    def decode(self, ids):
        return " ".join(WORDS[number] for number in ids if number > 3)

    def continues(self):
        return np.arange(44) >= 24  # w20 and what follows


def ragged(rows) -> Ragged:
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return Ragged(np.array([i for row in rows for i in row], np.int32), offsets)


def task(**keys) -> MaskedLm:
    return MaskedLm(MaskedLmConfig(**{"context": 16, **keys}))


def facts_of(one: MaskedLm, tokenizer=None):
    return one.fit([], tokenizer or Words())


def keys(count: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(2**63, size=count).astype(np.uint64)


def rows_of(values: Ragged) -> list[list[int]]:
    return [values[row].tolist() for row in range(len(values))]


tokens = st.lists(st.lists(st.integers(0, 43), min_size=1, max_size=17), min_size=1, max_size=6)
config = st.fixed_dictionaries(
    {
        "share": st.floats(0.05, 0.9),
        "masked": st.sampled_from([0.0, 0.5, 0.8]),
        "random": st.sampled_from([0.0, 0.2]),
        "whole_words": st.booleans(),
    }
)


@given(tokens, config, st.integers(0, 9))
def test_hidden_tokens_are_told_and_the_others_stay(rows, chosen, seed):
    one = task(**chosen)
    facts = facts_of(one)

    found = one.vary({"tokens": ragged(rows)}, facts, keys(len(rows), seed))
    batch = one.collate(found, {"batch": len(rows) + 1, "time": 16}, facts)

    for row, given_ in enumerate(rows):
        read = given_[:-1]
        seen = found["tokens"][row].tolist()
        places, label = found["places"][row].tolist(), found["label"][row].tolist()
        assert len(seen) == len(read)
        assert places == sorted(set(places))
        assert [read[place] for place in places] == label
        assert not set(label) & {0, 1, 2, 3}
        assert [seen[at] for at in range(len(read)) if at not in places] == [
            read[at] for at in range(len(read)) if at not in places
        ]
        open_ = sum(number > 3 for number in read)
        wanted = max(1, int(chosen["share"] * open_ + 0.5)) if open_ else 0
        assert len(places) <= wanted if chosen["whole_words"] else len(places) == wanted
        assert bool(places) == bool(open_)
        assert int(batch["weight"][row].sum()) == len(places)
    assert not batch["weight"][-1].any()


@given(tokens, st.booleans())
def test_what_is_hidden_depends_on_no_row_beside_it(rows, whole_words):
    one = task(whole_words=whole_words, share=0.4)
    facts, own = facts_of(one), keys(len(rows))

    together = one.vary({"tokens": ragged(rows)}, facts, own)
    alone = [one.vary({"tokens": ragged([r])}, facts, own[i : i + 1]) for i, r in enumerate(rows)]

    for name in ("tokens", "places", "label"):
        assert rows_of(together[name]) == [each[name][0].tolist() for each in alone]


def many(one: MaskedLm, count: int = 400):
    rows = np.tile(np.arange(4, 21), (count, 1))
    found = one.vary({"tokens": ragged(rows.tolist())}, facts_of(one), keys(count))
    seen = np.array([found["tokens"][r][p] for r in range(count) for p in found["places"][r]])
    return seen, found["label"].values, found


def test_of_ten_hidden_tokens_eight_are_masked_one_is_another_and_one_stays():
    seen, label, _ = many(task(share=0.5))

    # Another one is the same in a fortieth of the cases.
    assert np.mean(seen == 3) == pytest.approx(0.8, abs=0.03)
    assert np.mean(seen == label) == pytest.approx(0.1, abs=0.03)
    others = seen[(seen != 3) & (seen != label)]
    assert np.mean((seen != 3) & (seen != label)) == pytest.approx(0.1, abs=0.03)
    assert others.min() > 3
    assert len(set(others.tolist())) > 30


def test_every_place_is_hidden_about_as_often():
    _, _, found = many(task(share=0.25), 1000)

    counts = np.bincount(found["places"].values, minlength=16)

    assert counts.min() > 180
    assert counts.max() < 330


def test_a_word_is_hidden_as_a_whole_or_not_at_all():
    # w0 +w20 +w21 | w1 | w2 +w22, and the token behind the row
    row = [4, 24, 25, 5, 6, 26, 2]
    one = task(whole_words=True, share=0.5)

    found = one.vary({"tokens": ragged([row] * 200)}, facts_of(one), keys(200))

    chosen = {tuple(found["places"][at].tolist()) for at in range(200)}
    assert chosen == {(0, 1, 2), (3, 4, 5)} | chosen
    assert chosen <= {(0, 1, 2), (3, 4, 5), (3,), (4, 5)}


def test_a_word_that_is_too_long_is_cut_where_there_is_no_other():
    one = task(whole_words=True, share=0.15)

    found = one.vary({"tokens": ragged([[4, 24, 25, 26, 2]])}, facts_of(one), keys(1))

    assert found["label"].values.tolist() == [4]


def test_batches_are_what_the_spec_says():
    for packing in ("wrapped", "bfd"):
        one = task(packing=packing)
        facts = facts_of(one)
        rows = one.vary({"tokens": ragged([list(range(4, 21)), [5, 6, 7]])}, facts, keys(2))
        batch = one.collate(rows, {"batch": 3, "time": 16}, facts)
        (shape,) = one.batch_spec(facts, [{"batch": 3, "time": 16}]).shapes
        spec = one.batch_spec(facts, [])
        assert {field.name for field in spec.fields} == set(batch.arrays)
        for field in spec.fields:
            assert batch[field.name].dtype == field.dtype
            assert batch[field.name].shape == tuple(shape[str(size)] for size in field.shape)


def test_packed_documents_are_kept_apart_and_lose_their_last_end():
    one = task(packing="bfd", share=0.5)
    facts = facts_of(one)
    encoded = one.encode([Example("w0 w1"), Example("w2")], Words(), facts, True)["tokens"]
    rows = {"tokens": Ragged(encoded.values, np.array([0, 7])), "pieces": ragged([[4, 3]])}

    found = one.vary(rows, facts, keys(1))
    batch = one.collate(found, {"batch": 1, "time": 6}, facts)

    assert batch["segment"].tolist() == [[1, 1, 1, 2, 2, 0]]
    assert batch["length"].tolist() == [5]
    assert batch["tokens"][0][[0, 3]].tolist() == [2, 2]


def test_without_an_end_token_a_packed_document_keeps_its_last_word():
    one, plain = task(packing="bfd"), Words(end_id=None)

    encoded = one.encode([Example("w0 w1")], plain, facts_of(one, plain), True)["tokens"]

    assert encoded[0].tolist()[:-1] == [4, 5]


def test_a_tokenizer_without_a_mask_is_refused():
    with pytest.raises(DataError, match="no token that stands for a hidden one"):
        facts_of(task(), Words(mask_id=None))


def test_facts_that_are_none_are_refused():
    one = task(whole_words=True)
    right = facts_of(one)
    one.check_facts(right)
    for wrong in ({"outputs": 0}, {"mask": 44}, {"special": [True]}, {"continues": "f"}):
        with pytest.raises(ValueError, match=r"facts\."):
            one.check_facts({**right, **wrong})


# --- predict -------------------------------------------------------------------------------------


def asked(one: MaskedLm, texts: list[str]):
    return one.encode([Example(text) for text in texts], Words(), facts_of(one), False)


def test_masks_of_a_text_are_read_in_either_writing():
    rows = asked(task(), ["w0 [MASK] w1", "<mask>", "w2 [mask]"])

    assert rows_of(rows["tokens"]) == [[2, 4, 3, 5, 2], [2, 3, 2], [2, 6, 3, 2]]
    assert rows_of(rows["places"]) == [[2], [1], [2]]


def test_of_a_long_text_the_part_around_the_masks_is_read():
    text = " ".join([f"w{number}" for number in range(30)] + ["[MASK]"] + ["w1"] * 3)

    rows = asked(task(), [text])

    assert len(rows["tokens"][0]) == 16
    (place,) = rows["places"][0]
    assert rows["tokens"][0][place] == 3
    with pytest.raises(DataError, match="tokens apart, and the model reads 16"):
        asked(task(), [f"[MASK] {text}"])


def test_the_likeliest_words_fill_a_mask():
    one = task(candidates=2)
    assert isinstance(one, Predicts)
    rows = asked(one, ["w0 [MASK] w1 [MASK]"])
    logits = np.full((1, 3, 44), -9.0, np.float32)
    logits[0, 0, [9, 8, 3]] = 2.0, 1.0, 8.0  # A mask is never the answer.
    logits[0, 1, [7, 6]] = 5.0, 1.0

    (found,) = one.filled(logits, rows, Words(), facts_of(one))

    assert found["filled"] == "w0 w5 w1 w3"
    assert [[one["word"] for one in mask] for mask in found["masks"]] == [
        ["w5", "w4"],
        ["w3", "w2"],
    ]
    assert found["masks"][1][0]["score"] == pytest.approx(np.exp(5) / (np.exp(5) + np.exp(1)), 1e-2)


def test_a_text_without_a_mask_is_refused():
    one = task()

    with pytest.raises(DataError, match=r"no mask in 'w0'. Write \[MASK\]"):
        one.filled(np.zeros((1, 1, 44)), asked(one, ["w0"]), Words(), facts_of(one))
