"""Files that are nearly right: whatever bytes change, there is a result or one error of seewhy's, and nothing else."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save as safetensors

from fuzz.mutations import damaged, fuzzed
from nets.tiny import make
from seewhy.errors import SeewhyError
from seewhy.legible import legible
from seewhy.models import load
from seewhy.models.configuration import check_configuration
from seewhy.models.file_kind import kind_of
from seewhy.models.labels import read_labels
from seewhy.models.weights import read_state


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


def told(function, *arguments, **options):
    """What a function gives, or None where it says in one line why not."""
    said = ""
    try:
        return function(*arguments, **options)
    except SeewhyError as error:
        said = str(error)
    assert legible(said) == said
    assert 0 < len(said) < 2000
    return None


@pytest.mark.parametrize("kind", WEIGHTS)
@fuzzed
@given(data=st.data())
def test_weights(kind, data, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz", numbered=True) / "w.pth"
    path.write_bytes(data.draw(damaged([WEIGHTS[kind]] * 5 + list(WEIGHTS.values()))))
    kind_of(path)
    found = told(read_state, str(path))
    for name, tensor in (found or {}).items():
        assert isinstance(name, str)
        assert tensor.layout is torch.strided
    told(load, str(path.rename(path.with_suffix(".pt2"))))


@pytest.mark.parametrize("kind", ["zip", "safetensors"])
@fuzzed
@given(data=st.data())
def test_a_network_with_weights(kind, data, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz", numbered=True) / "w.pth"
    content = _saved(STATE) if kind == "zip" else safetensors(STATE)
    path.write_bytes(data.draw(damaged([content])))
    clf = told(load, "nets.tiny:make", weights=path, input_size=16)
    if clf is not None:
        assert all(bool(torch.isfinite(weight).all()) for weight in clf.model.parameters())


@pytest.mark.parametrize("name", LABELS)
@fuzzed
@given(data=st.data())
def test_labels(name, data, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz", numbered=True) / name
    path.write_bytes(data.draw(damaged([LABELS[name]] * 5 + list(LABELS.values()))))
    for label in told(read_labels, path) or ():
        assert label == label.strip()
        assert "\0" not in label
        assert "\n" not in label


@fuzzed
@given(content=damaged([CONFIG.encode()]))
def test_configurations(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz", numbered=True) / "config.json"
    path.write_bytes(content)
    told(check_configuration, path, "hf:folder")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.sampled_from("0123"), inner),
    max_leaves=12,
)


@fuzzed
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


@fuzzed
@given(content=CHECKPOINTS)
def test_any_checkpoint(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz", numbered=True) / "w.pth"
    torch.save(content, path)
    told(read_state, str(path))
    told(load, "nets.tiny:make", weights=path, input_size=16)
