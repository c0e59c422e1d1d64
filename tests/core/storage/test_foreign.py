"""What somebody else may have written is read within bounds."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.storage.foreign import ForeignError, check_files, is_inside, read_json

pytestmark = pytest.mark.one_backend

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_json_comes_back_as_it_was(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(json.dumps(value))
    assert read_json(path) == value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
        ("{", "is no JSON"),
        ("[" * 65 + "]" * 65, "nested more than 64 levels deep"),
        ("9" * 5000, "is no JSON"),
        ('"' + "x" * 2000 + '"', "has 2,002 bytes"),
    ],
)
def test_wrong_json_is_refused_with_the_file(content, said, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ForeignError, match=said) as raised:
        read_json(path, 2000 if "x" in content else 1 << 20)
    assert str(path) in str(raised.value)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(ForeignError, match="no regular file"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["a", "a.json", "a/b", "a..b", ".a", "ä"])
def test_names_that_are_inside(name):
    assert is_inside(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a", "a/../b", "/a", "a//b", "a/", "a\\b", "C:a", "a\0", "a\nb", 3, None],
)
def test_names_that_are_not(name):
    assert not is_inside(name)


def test_a_link_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").symlink_to("/etc/passwd")
    with pytest.raises(ForeignError, match="is a link.*cp -rL"):
        check_files(tmp_path / "folder")
