"""A saved result read back: whatever a file holds, it is what it should be or an InputError."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import IO, Any, TypeAlias

import torch
from numpy.lib import format as npy
from torch import Tensor

from ..errors import InputError

LARGEST, EXPANSION = 64 << 20, 64
"""Bytes that may be unpacked from a file, at least, and for each of its own: maps are packed to a half or a tenth,
while a file that was made to fill the memory grows a thousandfold."""

LONGEST_TEXT = 16 << 20
"""Bytes of what a file says about itself."""

MOST_ARRAYS = 1000

LONGEST_SIDE = 1 << 15
"""Pixels of the inputs: a map is upsampled to their size."""


Parts: TypeAlias = "Callable[[Mapping[str, Any], Mapping[str, Tensor]], dict[str, Any]]"
"""From what a file says about itself and its arrays to the parts of a result, each checked; what is wrong is raised,
a missing name as KeyError."""


def read_saved(path: str | Path, known: int, what: str, parts: Parts) -> dict[str, Any]:
    """What a result is made of, from an ``.npz`` with JSON, "about", and arrays of numbers; never unpickles.

    Args:
        path: an ``.npz`` file.
        known: the version of the format that is understood.
        what: it should be, such as "attribution".
        parts: checks and gives them.

    Raises:
        InputError: the file is missing, of another version, or holds anything else than it should.
    """
    try:
        with _opened(path) as handle, zipfile.ZipFile(handle) as archive:
            sizes = _sizes(archive, os.fstat(handle.fileno()).st_size)
            if sizes.get("about", 0) > LONGEST_TEXT:
                raise InputError("what it says about itself is too long", expected=f"up to {LONGEST_TEXT:,} bytes")
            about = json.loads(str(_array(archive, "about")))
            _check_format(about, known)
            arrays = {name: torch.from_numpy(_array(archive, name)) for name in sizes if name != "about"}
        return parts(about, arrays)
    except KeyError as error:
        raise InputError(f"{path} is not a saved {what}: it has no {error}") from error
    except Exception as error:  # what a damaged or forged archive raises depends on what is wrong with it
        raise InputError(f"{path} is not a saved {what}: {_first(error)}") from error


def read_arrays(path: str | Path) -> dict[str, Tensor]:
    """All arrays of an ``.npz`` file; never unpickles.

    Raises:
        InputError, OSError, zipfile.BadZipFile, ...: it is damaged, or unpacks to more than is allowed.
    """
    with _opened(path) as handle, zipfile.ZipFile(handle) as archive:
        sizes = _sizes(archive, os.fstat(handle.fileno()).st_size)
        return {name: torch.from_numpy(_array(archive, name)) for name in sizes}


def _opened(path: str | Path) -> IO[bytes]:
    """A regular file; opening any other kind could wait for ever."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InputError("it is no regular file")
    return os.fdopen(handle, "rb")


def _sizes(archive: zipfile.ZipFile, size: int) -> dict[str, int]:
    """The arrays of an ``.npz`` of ``size`` bytes, and the bytes that each unpacks to; no more than is allowed."""
    entries = archive.infolist()
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise InputError("it is not packed as numpy packs", expected="stored or deflated")
    sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in entries}
    if len(sizes) != len(entries) or len(entries) > MOST_ARRAYS:
        raise InputError("its arrays are too many, or of the same name", got=f"{len(entries)} arrays")
    if sum(sizes.values()) > (most := LARGEST + EXPANSION * size):
        raise InputError("it unpacks to too much", expected=f"up to {most:,} bytes", got=f"{sum(sizes.values()):,}")
    return sizes


def _array(archive: zipfile.ZipFile, name: str) -> Any:
    """One array, whose header must not promise more than there is: numpy takes memory for what it promises."""
    entry = archive.getinfo(f"{name}.npy")
    with archive.open(entry) as file:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header(file)
        if dtype.hasobject or prod(shape) * dtype.itemsize > entry.file_size:
            raise InputError(f"its array {name!r} is not what its header says", got=f"{shape} {dtype}")
    with archive.open(entry) as file:
        return npy.read_array(file, allow_pickle=False)


def _check_format(about: Any, known: int) -> None:
    if not isinstance(about, dict):
        raise InputError("what it says about itself is no object", got=type(about).__name__)
    version = about.get("format")
    if type(version) is int and version == known:
        return
    if version is None:
        raise InputError("it does not say its format", expected=f"format {known}")
    newer = ", of a newer seewhy" if type(version) is int and version > known else ""
    raise InputError("its format is not known here", expected=f"format {known}", got=f"{_short(version)}{newer}")


def attribution_parts(about: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> dict[str, Any]:
    """Every part of an attribution, of its type: a wrong one would fail much later, and elsewhere."""
    values, score, target = arrays["values"], arrays["score"], arrays.get("target")
    check("values", values, torch.is_floating_point, "floating point")
    check("score", score, lambda it: it.is_floating_point() and it.dim() == 1, "(B,) floating point")
    if target is not None:
        check("target", target, lambda it: it.dtype == torch.int64 and it.shape == score.shape, "(B,) int64")
    against = arrays.get("against")
    if against is not None:
        fits = target is not None and against.dtype == torch.int64 and against.shape == score.shape
        check("against", against, lambda it: fits, "(B,) int64, beside a target")
    details = {name.removeprefix("details."): part for name, part in arrays.items() if name.startswith("details.")}
    shared = about.get("shared", [name for name, part in details.items() if _was_shared(name, part, score)])
    size, layer, notes = about["input_size"], about["layer"], about.get("notes", {})
    check(
        "input_size",
        size,
        lambda it: isinstance(it, list) and len(it) == 2 and all(map(_is_side, it)),
        "[H, W] in pixels",
    )
    check("overridden", about["overridden"], lambda it: _counts(it, 0), "a number of nodes")
    check("method", about["method"], lambda it: isinstance(it, str), "text")
    check("layer", layer, lambda it: it is None or isinstance(it, str), "text or null")
    check("params", about["params"], lambda it: isinstance(it, dict), "an object")
    check("notes", notes, lambda it: isinstance(it, dict), "an object")
    check("shared", shared, lambda it: isinstance(it, list) and all(isinstance(n, str) for n in it), "a list of names")
    return {
        "values": values,
        "method": about["method"],
        "params": about["params"],
        "target": target,
        "score": score,
        "input_size": (size[0], size[1]),
        "layer": layer,
        "overridden": about["overridden"],
        "details": details,
        "notes": notes,
        "against": against,
        "shared": frozenset(shared),
    }


def _was_shared(name: str, part: Tensor, score: Tensor) -> bool:
    """Whether all images have a detail together, in a file that was written before it said so."""
    return name in ("coverage", "windows") or part.dim() == 0 or len(part) != len(score)


def check(name: str, value: Any, holds: Callable[[Any], bool], expected: str) -> None:
    """Raises InputError where a part is not what it should be."""
    if not holds(value):
        raise InputError(f"its {name} is wrong", expected=expected, got=_short(value))


def _counts(value: Any, least: int = 1) -> bool:
    return type(value) is int and value >= least


def _is_side(value: Any) -> bool:
    return _counts(value) and value <= LONGEST_SIDE


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {value.dtype}"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _first(error: BaseException) -> str:
    """The first sentence: numpy goes on to advise loading the file unsafely."""
    return str(error).split(". ")[0].partition("\n")[0] or type(error).__name__
