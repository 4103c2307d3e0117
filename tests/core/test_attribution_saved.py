"""Whatever a file holds, it is the attribution that was saved, or an InputError that says what is wrong."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch

import seewhy
from seewhy.errors import InputError

ABOUT = {
    "format": 1, "method": "grad_cam", "params": {"layer": None}, "layer": "conv1", "overridden": 0,
    "input_size": [8, 12], "notes": {},
}  # fmt: skip
ARRAYS = {
    "values": np.ones((2, 1, 4, 6), np.float32), "score": np.ones(2, np.float32), "target": np.zeros(2, np.int64),
}  # fmt: skip


def saved(path, about=ABOUT, **arrays):
    np.savez(path, about=np.array(about if isinstance(about, str) else json.dumps(about)), **{**ARRAYS, **arrays})
    return path


def refused(path):
    with pytest.raises(InputError) as caught:
        seewhy.Attribution.load(path)
    said = str(caught.value)
    assert said.startswith(f"{path} is not a saved attribution: ")
    assert "\n" not in said
    assert "allow_pickle=True" not in said
    assert len(said) < 400
    return said


def test_the_pattern_of_these_files_is_read(tmp_path):
    found = seewhy.Attribution.load(saved(tmp_path / "a.npz"))
    assert (found.method, found.layer, found.input_size, found.overridden) == ("grad_cam", "conv1", (8, 12), 0)
    without = {name: value for name, value in ABOUT.items() if name != "notes"}  # as before there were notes
    assert dict(seewhy.Attribution.load(saved(tmp_path / "b.npz", without)).notes) == {}


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (2, "expected format 1; got 2, of a newer seewhy"),
        (0, "expected format 1; got 0"),
        ("1", "expected format 1; got '1'"),
        (True, "expected format 1; got True"),
        (1.0, "expected format 1; got 1.0"),
        ([1] * 90, "expected format 1; got [1, 1,"),
        (None, "does not say its format; expected format 1"),
    ],
)
def test_another_format_is_not_read_as_if_it_were_this_one(version, said, tmp_path):
    assert said in refused(saved(tmp_path / "a.npz", {**ABOUT, "format": version}))
    without = {name: value for name, value in ABOUT.items() if name != "format"}
    assert "does not say its format" in refused(saved(tmp_path / "b.npz", without))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", 3), ("method", None), ("params", []), ("params", None), ("params", "x"), ("layer", 7),
        ("layer", ["conv1"]), ("overridden", "3"), ("overridden", -1), ("overridden", True), ("overridden", 1.5),
        ("overridden", None), ("input_size", 8), ("input_size", [8]), ("input_size", [8, 12, 3]),
        ("input_size", [0, 12]), ("input_size", ["8", "12"]), ("input_size", [8.0, 12.0]), ("input_size", "8x"),
        ("input_size", {"8": 1, "12": 2}), ("notes", []), ("notes", "dense"), ("notes", None),
    ],
)  # fmt: skip
def test_a_part_of_another_type(name, value, tmp_path):
    assert name in refused(saved(tmp_path / "a.npz", {**ABOUT, name: value}))


@pytest.mark.parametrize("name", ["method", "params", "layer", "overridden", "input_size"])
def test_a_part_that_is_missing(name, tmp_path):
    without = {key: value for key, value in ABOUT.items() if key != name}
    assert f"it has no '{name}'" in refused(saved(tmp_path / "a.npz", without))


@pytest.mark.parametrize(
    "arrays",
    [
        {"values": np.ones((2, 1, 4, 6), np.int64)}, {"values": np.ones((2, 1, 4, 6), np.complex64)},
        {"values": np.ones((2, 4, 6), np.float32)}, {"values": np.ones((3, 1, 4, 6), np.float32)},
        {"values": np.full((2, 1, 4, 6), np.nan, np.float32)}, {"values": np.zeros((2, 0, 4, 6), np.float32)},
        {"values": np.array(["a", "b"])}, {"values": np.array([{}], dtype=object)},
        {"values": np.ones((2, 1, 4, 6), ">f4")}, {"score": np.ones((), np.float32)},
        {"score": np.ones((2, 1), np.float32)}, {"score": np.ones(2, np.int64)}, {"score": np.ones(3, np.float32)},
        {"target": np.zeros(2, np.float32)}, {"target": np.zeros(3, np.int64)}, {"target": np.zeros((), np.int64)},
        {"details.grid": np.array([None])},
    ],
)  # fmt: skip
def test_an_array_that_cannot_be_it(arrays, tmp_path):
    refused(saved(tmp_path / "a.npz", **arrays))


@pytest.mark.parametrize("about", ["", "{", "[]", "3", "null", "[" * 100_000, '"format"', '{"format": 1}'])
def test_what_it_says_about_itself_is_no_object(about, tmp_path):
    refused(saved(tmp_path / "a.npz", about))


def _header(shape):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return header.getvalue()


def test_archives_that_are_forged(tmp_path):
    whole = saved(tmp_path / "whole.npz").read_bytes()
    for number, shape in enumerate([(1 << 44,), (1 << 62, 4), (2, 1, 4, 6)]):  # without what they announce
        path = tmp_path / f"shape-{number}.npz"
        with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                new.writestr(name, _header(shape) if name == "values.npy" else old.read(name))
        refused(path)
    for number, (begin, end) in enumerate([(b"PK\x01\x02", 10), (b"PK\x01\x02", 8)]):
        forged = bytearray(whole)  # of a compression that nobody has, or encrypted
        at = forged.index(begin) + end
        forged[at] = 99 if end == 10 else 1
        path = tmp_path / f"zip-{number}.npz"
        path.write_bytes(forged)
        refused(path)
    np.save(tmp_path / "one.npy", ARRAYS["values"])
    refused(tmp_path / "one.npy")
    refused(tmp_path)
    torch.save(ARRAYS, tmp_path / "torch.npz")
    refused(tmp_path / "torch.npz")


def test_files_that_do_not_say_what_is_shared(tmp_path):
    """As before attributions said so; nine windows of nine images are still no batch."""
    details = {
        "details.windows": np.zeros((2, 4), np.int64), "details.coverage": np.ones((8, 12), np.float32),
        "details.grid": np.ones((2, 1, 2), np.float32), "details.other": np.ones(5, np.float32),
    }  # fmt: skip
    found = seewhy.Attribution.load(saved(tmp_path / "a.npz", **details))
    assert found.shared == {"windows", "coverage", "other"}
    assert found.against is None


@pytest.mark.parametrize("shared", ["windows", [1], {"windows": 1}, None])
def test_shared_is_a_list_of_names(shared, tmp_path):
    assert "its shared is wrong" in refused(saved(tmp_path / "a.npz", {**ABOUT, "shared": shared}))


def test_against_is_one_class_per_image(tmp_path):
    assert seewhy.Attribution.load(saved(tmp_path / "a.npz", against=np.ones(2, np.int64))).against.tolist() == [1, 1]
    for wrong in (np.ones(3, np.int64), np.ones(2, np.float32), np.ones((2, 1), np.int64)):
        assert "its against is wrong" in refused(saved(tmp_path / "b.npz", against=wrong))
