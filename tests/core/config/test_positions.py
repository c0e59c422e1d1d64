"""On which line a key stands, for any TOML that a user may write."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from loomlm.config.positions import key_lines

NAMES = st.sampled_from(["name", "seed", "a-b", "type", "x1", '"quoted key"', "'lit.eral'"])
VALUES = st.sampled_from(
    [
        "3",
        '"text # no comment"',
        "'[not a table]'",
        "true",
        "2020-01-01",
        "[1, 2]",
        "[\n  1, # one\n  2,\n]",
        '[["]"], [\n  "\u2028", # ]\n]]',
        '"""two\n""\\\n  """',
        '"""\n[table]\nkey = 1\n"""',
        "'''\n= [[\n'''",
        '{ inner = 1, deep = { x = "}" } }',
    ]
)
FILLER = st.sampled_from(
    ["", "# a comment = [", "   ", "# an end\u2028elsewhere = 1", "# \x85 = 1"]
)


def bare(name: str) -> str:
    return name.strip("\"'")


@st.composite
def documents(draw):
    """A document, and the line of each top-level and table key."""
    lines: list[str] = []
    expected: dict[tuple[str | int, ...], int] = {}

    def keys(prefix):
        for name in draw(st.lists(NAMES, unique=True, max_size=4)):
            lines.extend(draw(st.lists(FILLER, max_size=2)))
            expected[(*prefix, bare(name))] = len(lines) + 1
            lines.extend(f"{name} = {draw(VALUES)}".split("\n"))

    keys(())
    for table in draw(st.lists(st.sampled_from(["one", "two", "three"]), unique=True)):
        expected[table,] = len(lines) + 1
        lines.append(f"[{table}]  # here")
        keys((table,))
    for index in range(draw(st.integers(0, 3))):
        expected["stages", index] = len(lines) + 1
        lines.append("[[stages]]")
        keys(("stages", index))
        if draw(st.booleans()):
            expected["stages", index, "sub"] = len(lines) + 1
            lines.append("[stages.sub]")
            keys(("stages", index, "sub"))
    return "\n".join(lines) + "\n", expected


@given(documents())
def test_every_key_has_its_line(document):
    text, expected = document
    tomllib.loads(text)

    found = key_lines(text)

    assert {path: found.get(path) for path in expected} == expected


def test_keys_of_an_inline_table_have_the_line_of_its_statement():
    text = 'a = 1\ndata = { train = "t", split = { test = 0.2 } }\n'

    assert key_lines(text)["data", "split", "test"] == 2


def test_dotted_keys():
    assert key_lines("\na.b.c = 1\n")["a", "b", "c"] == 2


TREES = st.recursive(
    st.integers(0, 9),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3),
    max_leaves=8,
)


@st.composite
def dotted_documents(draw):
    """Every leaf of a tree as one dotted key, with its line; some within arrays of tables."""
    lines: list[str] = []
    expected: dict[tuple[str | int, ...], int] = {}

    def leaves(value, path=()):
        if not isinstance(value, dict):
            yield path
            return
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))

    def write(prefix, tree):
        for path in draw(st.permutations(list(leaves({"k": tree})))):
            expected[(*prefix, *path)] = len(lines) + 1
            lines.append(f"{' . '.join(path)} = 1")

    write((), draw(TREES))
    for outer in range(draw(st.integers(0, 2))):
        expected["runs", outer] = len(lines) + 1
        lines.append("[[runs]]")
        write(("runs", outer), draw(TREES))
        for inner in range(draw(st.integers(0, 2))):
            expected["runs", outer, "parts", inner] = len(lines) + 1
            lines.append("[[ runs . parts ]]")
            write(("runs", outer, "parts", inner), draw(TREES))
    return "\n".join(lines) + "\n", expected


@given(dotted_documents())
def test_dotted_keys_and_nested_arrays_of_tables_have_their_lines(document):
    text, expected = document
    tomllib.loads(text)

    found = key_lines(text)

    assert {path: found.get(path) for path in expected} == expected


def test_elements_of_a_list_and_their_keys_have_the_line_of_its_statement():
    text = "x = 1\nclean = [\n  'a',\n  { type = 'b' },\n]\ny = 1\n"

    found = key_lines(text)

    assert found["clean", 1, "type"] == found["clean", 0] == 2
    assert found["y",] == 6


def test_a_long_list_takes_no_long_time():
    text = "words = [\n" + "  'word',\n" * 5_000 + "]\nlast = 1\n"

    assert key_lines(text)["last",] == 5_003
