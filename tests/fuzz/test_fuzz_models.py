"""Files that are nearly right: whatever bytes change, there is a result or one error of seewhy's, and nothing else."""

from __future__ import annotations

import io
import json
import os
import zipfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save as safetensors

from nets.tiny import make
from seewhy.errors import SeewhyError
from seewhy.models import load
from seewhy.models.configuration import check_configuration
from seewhy.models.file_kind import kind_of
from seewhy.models.labels import read_labels
from seewhy.models.weights import read_state

BOUNDED = settings(
    max_examples=int(os.environ.get("SEEWHY_FUZZ_EXAMPLES", "60")),
    derandomize="SEEWHY_FUZZ_EXAMPLES" not in os.environ,  # the same every time, unless more are asked for
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def _saved(state, **options) -> bytes:
    file = io.BytesIO()
    torch.save(state, file, **options)
    return file.getvalue()


def _packed(archive: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return file.getvalue()


torch.manual_seed(0)
STATE = dict(make().state_dict())
SMALL = {"a.weight": torch.rand(2, 3), "b": torch.arange(4), "c": torch.rand(3).to(torch.float16)}
WEIGHTS = {
    "safetensors": safetensors(SMALL),
    "zip": _saved(SMALL),
    "packed": _packed(_saved(SMALL)),
    "legacy": _saved(SMALL, _use_new_zipfile_serialization=False),
    "wrapped": _saved({"state_dict": {f"module.{key}": value for key, value in SMALL.items()}, "epoch": 3, "by": b"x"}),
}
LABELS = {
    "l.txt": "\n".join(["tench", "d\u00e9j\u00e0 vu", "\u732b", "Egyptian cat, tabby"]).encode(),
    "l.json": json.dumps({str(i): ["n0144", f"name {i}"] for i in range(5)}).encode(),
    "list.json": json.dumps(["a", "b\u00e9", "c d"]).encode(),
    "back.json": json.dumps({"a": 0, "b": 1}).encode(),
}
CONFIG = json.dumps(
    {"model_type": "resnet", "num_labels": 3, "depths": [1, 2], "id2label": {"0": "a"}, "size": {"height": 9}}
)

BYTES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"\0", b"\xff" * 4, b"\xff" * 8, b"PK\x01\x02", b"PK\x05\x06", b"\x80\x02", b"[" * 2000]),
    st.just(b"\x1b[2J"),
    st.sampled_from([b"cos\nsystem\n", b"9" * 5000, b'"', b"\n", b"{", b"(", b"R", b"t", b".", b"\xe2\x80\xae"]),
)  # fmt: skip
WAYS = st.sampled_from(["flip", "insert", "cut", "drop", "repeat", "overwrite"])
CHANGES = st.lists(st.tuples(WAYS, st.floats(0, 1), st.floats(0, 0.3), BYTES), min_size=1, max_size=4)


def changed(content: bytes, changes) -> bytes:
    """``content`` after each change: at a share of its length, over a share of it, with some bytes."""
    for how, where, much, new in changes:
        at = int(where * len(content))
        end = min(at + 1 + int(much * len(content)), len(content))
        content = {
            "flip": lambda c, a=at, n=new: c[:a] + bytes([c[a] ^ (n[0] if n else 1)]) + c[a + 1 :] if a < len(c) else c,
            "insert": lambda c, a=at, n=new: c[:a] + n + c[a:],
            "cut": lambda c, a=at: c[:a],
            "drop": lambda c, a=at, e=end: c[:a] + c[e:],
            "repeat": lambda c, a=at, e=end: c[:e] + c[a:e] + c[e:],
            "overwrite": lambda c, a=at, n=new: c[:a] + n + c[a + len(n) :],
        }[how](content)
    return content


def told(function, *arguments, **options):
    """What a function gives, or None where it says in one line why not."""
    said = ""
    try:
        return function(*arguments, **options)
    except SeewhyError as error:
        said = str(error)
    assert said.isprintable(), repr(said)
    assert 0 < len(said) < 2000
    return None


@pytest.mark.parametrize("kind", WEIGHTS)
@BOUNDED
@given(changes=CHANGES)
def test_weights(kind, changes, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz", numbered=True) / "w.pth"
    path.write_bytes(changed(WEIGHTS[kind], changes))
    kind_of(path)
    found = told(read_state, str(path))
    for name, tensor in (found or {}).items():
        assert isinstance(name, str)
        assert tensor.layout is torch.strided
    told(load, str(path.rename(path.with_suffix(".pt2"))))


@pytest.mark.parametrize("kind", ["zip", "safetensors"])
@BOUNDED
@given(changes=CHANGES)
def test_a_network_with_weights(kind, changes, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz", numbered=True) / "w.pth"
    content = _saved(STATE) if kind == "zip" else safetensors(STATE)
    path.write_bytes(changed(content, changes))
    clf = told(load, "nets.tiny:make", weights=path, input_size=16)
    if clf is not None:
        assert all(bool(torch.isfinite(weight).all()) for weight in clf.model.parameters())


@pytest.mark.parametrize("name", LABELS)
@BOUNDED
@given(changes=CHANGES)
def test_labels(name, changes, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz", numbered=True) / name
    path.write_bytes(changed(LABELS[name], changes))
    for label in told(read_labels, path) or ():
        assert label == label.strip()
        assert "\x1b" not in label
        assert "\n" not in label


@BOUNDED
@given(changes=CHANGES)
def test_configurations(changes, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz", numbered=True) / "config.json"
    path.write_bytes(changed(CONFIG.encode(), changes))
    told(check_configuration, path, "hf:folder")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.sampled_from("0123"), inner),
    max_leaves=12,
)


@BOUNDED
@given(value=JSON)
def test_any_json(value, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz", numbered=True) / "l.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    told(read_labels, path)
    told(check_configuration, path, "hf:folder")
    if not isinstance(value, str):
        told(read_labels, value)


NAMES = st.sampled_from(["state_dict", "model", "net", "module.a", "a.b", ""]) | st.integers() | st.binary(max_size=3)
CHECKPOINTS = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.just(torch.zeros(1)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)


@BOUNDED
@given(content=CHECKPOINTS)
def test_any_checkpoint(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz", numbered=True) / "w.pth"
    torch.save(content, path)
    told(read_state, str(path))
    told(load, "nets.tiny:make", weights=path, input_size=16)
