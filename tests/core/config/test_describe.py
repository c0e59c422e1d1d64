"""The keys of a config class as `loomlm plugins show` and the reference tell them."""

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from loomlm.config.describe import describe_keys
from loomlm.config.settings import DataConfig, TrainerConfig
from loomlm.plugin import key


@frozen
class Edge:
    """An edge."""

    width: float = key("how wide", 0.5, above=0, maximum=1)


@frozen
class Shape:
    """A shape."""

    name: str = key("what it is called")
    words: tuple[str, ...] = key("said of it", ("round", ""))
    corners: int | Literal["auto"] = key("how many corners", "auto", minimum=3)
    edge: Edge = key("its edge", Edge)
    holes: tuple[Edge, ...] = key("edges of its holes", ())
    styles: Mapping[str, Edge] = key("further edges, by name", dict)
    frame: Edge | None = key("around it", None)


def test_a_key_tells_its_type_default_bounds_and_meaning() -> None:
    name, words, corners, *_ = describe_keys(Shape)
    assert (name.name, name.type, name.required, name.doc) == (
        "name",
        "a string",
        True,
        "what it is called",
    )
    assert name.default_text == ""
    assert (words.default_text, words.default) == ('["round", ""]', ["round", ""])
    assert corners.type == "a whole number or 'auto'"
    assert (corners.default_text, corners.bounds, corners.required) == (
        '"auto"',
        "at least 3",
        False,
    )


def test_the_keys_of_inner_tables_follow_with_their_place() -> None:
    keys = {key.name: key for key in describe_keys(Shape)}
    assert list(keys) == [
        "name",
        "words",
        "corners",
        "edge",
        "edge.width",
        "holes",
        "holes[].width",
        "styles",
        "styles.NAME.width",
        "frame",
        "frame.width",
    ]
    assert keys["edge.width"].bounds == "above 0, at most 1"
    assert (keys["edge"].default_text, keys["edge"].default) == ("", {"width": 0.5})
    assert (keys["holes"].default_text, keys["styles"].default_text) == ("[]", "{}")
    assert (keys["frame"].default_text, keys["frame"].default) == ("none", None)
    assert keys["holes"].table and not keys["name"].table


def test_inner_tables_can_be_left_out() -> None:
    assert "edge.width" not in [key.name for key in describe_keys(Shape, nested=False)]


def test_a_key_that_names_a_component_tells_its_kind() -> None:
    kinds = {key.name: key.kind for key in describe_keys(TrainerConfig)}
    assert (kinds["optimizer"], kinds["steps"]) == ("optimizer", "")
    source = describe_keys(DataConfig)[0]
    assert (source.name, source.kind, bool(source.doc)) == ("type", "data_source", True)
