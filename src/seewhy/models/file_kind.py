"""Kinds of files that are mistaken for weights or models, and what to give instead."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import NamedTuple

from seewhy.errors import ModelError

from .archive import BEGIN, members

PYTHON_MODULE = "the original Python module, or a program of torch.export (.pt2) that is trusted"
CHECKPOINT = "a .safetensors file, or a checkpoint of torch.save"
UNPACKED = "the file that is in it, unpacked"


class Kind(NamedTuple):
    """What a file is, as a noun; what to give in its place where weights were asked for, and where a model was."""

    what: str
    as_weights: str = CHECKPOINT
    as_model: str = PYTHON_MODULE


EXPORTED = Kind("a program of torch.export, which is a whole network", "it as the network itself: --model FILE")
TORCHSCRIPT = Kind(
    "TorchScript, which hides what happens inside a model",
    'a checkpoint: torch.save(torch.jit.load("FILE").state_dict(), "weights.pth")',
)
SAFETENSORS = Kind("weights alone", as_model="the network they are for: --model package.module:factory --weights FILE")
ONNX = Kind("an ONNX graph", f"{CHECKPOINT}, of the PyTorch network that it was exported from")
NUMPY = Kind("arrays of numpy", f"{CHECKPOINT}: tensors by name")
ARCHIVE = Kind("an archive", UNPACKED, UNPACKED)
EMPTY = Kind("empty")
POINTER = Kind("a pointer of Git LFS", *("the file that it stands for: git lfs pull",) * 2)

HEADS = {
    b"\x89HDF": Kind("HDF5, as Keras writes it"),
    b"\x93NUMPY": NUMPY,
    b"GGUF": Kind("GGUF, a language model"),
    b"\x1f\x8b": ARCHIVE,
    b"BZh": ARCHIVE,
    b"\xfd7zXZ": ARCHIVE,
    b"7z\xbc\xaf": ARCHIVE,
    b"Rar!": ARCHIVE,
    b"\xff\xd8\xff": Kind("a photo"),
    b"\x89PNG": Kind("a photo"),
    b"%PDF": Kind("a PDF"),
    b"version https://git-lfs": POINTER,
}


def kind_of(path: str | Path) -> Kind | None:
    """The kind of a file, by its content; None for a pickle, a checkpoint, and whatever else is not known."""
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError:  # who reads it next says so
        return None
    if head.startswith(BEGIN):
        return _kind_of_zip(path)
    for begin, kind in HEADS.items():
        if head.startswith(begin):
            return kind
    if head[257:262] == b"ustar":
        return ARCHIVE
    if head[4:8] == b"TFL3":
        return Kind("a model of TensorFlow Lite")
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 1 << 32:
        return SAFETENSORS
    # Protocol buffers have no signature. An ONNX file begins with the version of the format, then who wrote it.
    if head[:1] == b"\x08" and (head[2:3] == b"\x12" or str(path).lower().endswith(".onnx")):
        return ONNX
    return _kind_of_text(head)


def _kind_of_zip(path: str | Path) -> Kind | None:
    try:
        names = [member.filename for member in members(path)]
    except ModelError:  # who reads it next says so
        return None
    inside = {name.partition("/")[2] for name in names}
    if "archive_format" in inside or any(name.endswith("serialized_exported_program.json") for name in names):
        return EXPORTED
    if "constants.pkl" in inside or any(name.startswith("code/") for name in inside):
        return TORCHSCRIPT
    if "data.pkl" in inside:
        return None
    if names and all(name.endswith(".npy") for name in names):
        return NUMPY
    if "model.weights.h5" in names:
        return Kind("a model of Keras")
    return ARCHIVE


def _kind_of_text(head: bytes) -> Kind | None:
    if not head:
        return EMPTY
    try:  # an incremental decoder forgives the character that the end of the head cuts in two
        text = codecs.getincrementaldecoder("utf-8")().decode(head).lstrip("\ufeff \t\r\n").lower()
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    if text.startswith(("<!doctype html", "<html")):
        return Kind("a web page", *("the file that the page offers",) * 2)
    return Kind("text")
