"""Each property of a tokenizer catches one that is made to break it, and no other does."""

from __future__ import annotations

import pytest

from .catching import Catcher

CAUGHT = {
    "Letters": set(),
    "SpacesHavePlaces": {"tokens_stand_where_they_say"},
    "WideIds": {"any_text_has_ids"},
    "StumblesOverHalves": {"any_text_has_ids"},
    "Strips": {"a_text_comes_back"},
    "Drifts": {"a_text_comes_back"},
    "StumblesOverArrays": {"any_ids_have_a_text"},
    "EndIsPadding": {"special_tokens_are_apart"},
    "ShowsPadding": {"special_tokens_are_apart"},
    "ReadsNamesOfSpecialTokens": {"names_of_special_tokens_are_text"},
    "OneIdForTwo": {"the_vocabulary_has_every_id"},
    "ForgetsAToken": {"the_vocabulary_has_every_id"},
    # What is learnt at random differs in another process too.
    "LearnsAtRandom": {"learning_is_deterministic", "another_process_learns_the_same"},
    "LearnsInTheOrderOfASet": {"another_process_learns_the_same"},
    "ForgetsItsCase": {"what_is_saved_loads_the_same"},
    "SavesInAFolder": {"what_is_saved_loads_the_same"},
    "MixesRows": {"many_equal_one_by_one"},
    "CutsAtChunks": {"many_equal_one_by_one"},
    "SharesARow": {"threads_agree"},
    "LooksAtAllForEach": {"many_are_no_slower"},
    "DividesByTexts": {"nothing_to_learn_from_is_said"},
}
LOSSY = ("Drifts", "ReadsNamesOfSpecialTokens", "ForgetsItsCase")
"""Those that do not say of themselves that they are lossless."""


@pytest.fixture(scope="module")
def catcher():
    return Catcher.of("tokenizer")


@pytest.mark.parametrize("name", CAUGHT)
def test_what_is_broken_is_caught(catcher, name, tmp_path):
    broken = catcher.broken(name, tmp_path, lossless=name not in LOSSY)
    assert set(broken) == CAUGHT[name], broken


def test_every_property_has_its_broken_tokenizer(catcher):
    assert set(CAUGHT) == catcher.names
    assert set().union(*CAUGHT.values()) == set(catcher.properties)
