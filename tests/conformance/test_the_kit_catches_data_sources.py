"""Each property of a data source catches one that is made to break it, and no other does."""

from __future__ import annotations

import pytest

from .catching import Catcher

CAUGHT = {
    "Lines": set(),
    "InShards": set(),
    "SkipsOneMore": {"shards_give_the_split"},
    "LeavesOutAShard": {"shards_give_the_split"},
    "ReadsShardsBackwards": {"shards_give_the_split"},
    "NamesADevSplit": {"the_splits_are_known"},
    "HasNumbersForLabels": {"examples_are_whole"},
    "HasNoPlaces": {"examples_are_whole"},
    "HasNoExamples": {"examples_are_whole"},
    # What has another order each time cannot be gone on with, nor read again elsewhere.
    "IsShuffled": {
        "the_order_is_the_same",
        "another_process_reads_the_same",
        "a_reader_may_stop_anywhere",
    },
    "IsInTheOrderOfASet": {"another_process_reads_the_same"},
    "CountsReadings": {"the_fingerprint_is_stable"},
    "HashesStrings": {"another_process_reads_the_same"},
    "GoesByTheSize": {"the_fingerprint_follows_the_content"},
    "HasOneReader": {"a_reader_may_stop_anywhere"},
    "HasAnythingAsASplit": {"a_split_that_is_not_there_is_refused"},
    "StumblesOverOtherSplits": {"a_split_that_is_not_there_is_refused"},
    "StumblesOverNoFile": {"what_is_not_there_is_named"},
    "SaysNotWhichFile": {"what_is_not_there_is_named"},
    "TakesNoFileForAnEmptyOne": {"what_is_not_there_is_named"},
}


def lines(folder):
    (folder / "lines.txt").write_text(
        "".join(f"label{number % 3} the text {number}\n" for number in range(12)), encoding="utf-8"
    )
    return {"train": "lines.txt"}


@pytest.fixture(scope="module")
def catcher():
    return Catcher.of("data_source")


@pytest.mark.parametrize("name", CAUGHT)
def test_what_is_broken_is_caught(catcher, name, tmp_path):
    broken = catcher.broken(name, tmp_path, lines)
    assert set(broken) == CAUGHT[name], broken


def test_every_property_has_its_broken_data_source(catcher):
    assert set(CAUGHT) == catcher.names
    assert set().union(*CAUGHT.values()) == set(catcher.properties)
