"""Arrays come back bit for bit; a file that lies about its sizes takes no memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from safetensors.numpy import save

from loomlm.models import arrays as module
from loomlm.models.arrays import from_safetensors, safetensors_size, to_safetensors
from loomlm.storage.commit import HashingFile, commit
from loomlm.storage.manifest import DamagedError

TYPES = ["<u8", "<i8", "<f8", "<c8", "<f4", "<u4", "<i4", "<f2", "<u2", "<i2", "i1", "u1", "?"]


def written(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    commit(folder, {"a.safetensors": to_safetensors(arrays.items())})
    return folder / "a.safetensors"


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs",)), min_size=1),
        st.sampled_from(TYPES).flatmap(
            lambda kind: arrays_of.arrays(kind, arrays_of.array_shapes(min_dims=0, min_side=0))
        ),
    )
)
def test_the_bytes_are_those_of_the_library(tmp_path_factory, arrays):
    path = written(tmp_path_factory.mktemp("arrays") / "a", arrays)

    assert path.read_bytes() == save(arrays)
    assert path.stat().st_size == safetensors_size(arrays.items())
    found = from_safetensors(path)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_arrays_that_lie_otherwise_in_memory_are_written_in_order(tmp_path):
    numbers = np.arange(12, dtype=np.float32).reshape(3, 4)
    given = {"turned": numbers.T, "strided": numbers[:, ::2], "big": numbers.astype(">f4")}

    found = from_safetensors(written(tmp_path / "a", given))

    assert all(np.array_equal(found[name], array) for name, array in given.items())


def test_no_more_than_an_array_is_held_besides(tmp_path):
    sizes = []

    class Sink:
        def write(self, data: bytes | memoryview) -> int:
            sizes.append(memoryview(data).nbytes)
            return sizes[-1]

    content = to_safetensors((str(n), np.zeros(1000, np.float32)) for n in range(5))
    content(HashingFile(Sink()))  # type: ignore[arg-type] - it has what is used of a file

    assert sizes[1:] == [4000] * 5
    assert sum(sizes) == content.size


def header(path: Path, **forms: object) -> Path:
    text = json.dumps(forms).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it has 0 bytes"),
        (b"\xff" * 8, "its header alone would have 18446744073709551615"),
        ((1 << 63).to_bytes(8, "little") + b"{}", "its header alone"),
        (b"\x02" + bytes(7) + b"[]", "invalid JSON"),
        (b"\x02" + bytes(7) + b"{}" + b"more", "not fully covered"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, content, said):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)

    with pytest.raises(DamagedError, match=f"a.safetensors cannot be read: .*{said}"):
        from_safetensors(path)


def test_declared_sizes_are_held_against_what_is_stored(tmp_path):
    huge = {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}
    with pytest.raises(DamagedError, match="cannot be read"):
        from_safetensors(header(tmp_path / "a", weight=huge))
    wrong = {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 0]}
    with pytest.raises(DamagedError, match="cannot be read"):
        from_safetensors(header(tmp_path / "b", weight=wrong))


def test_a_file_that_is_larger_than_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = written(tmp_path / "a", {"weight": np.zeros(1000)})
    monkeypatch.setattr(module, "_memory", lambda: 5000)

    with pytest.raises(DamagedError, match="more than the memory of this machine, 5000"):
        from_safetensors(path)
