"""Maps on their way to the browser: small, at native resolution, with what a step stands for; coloured only there."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXACT = 12_000
"""Bytes up to which a map travels as it is, in float32: class maps of a few cells, and occlusion, whose windows repeat.
A gradient at 224 pixels would take 185,000, nearly all of them noise below the 255th part of its range."""

LARGEST = 32_000
"""Bytes from which on the steps are twice as large: a deconvnet's noise fills every bit that it is given."""

_ALPHABET = bytes.maketrans(b"<", b",")
"""Base85 as Python has it, but without the character that could end a script element."""


def plane(values: NDArray[np.floating]) -> dict[str, Any]:
    """A map as JSON.

    Args:
        values: (h, w), finite.

    Returns:
        ``width``, ``height``, ``kind``, ``step`` and ``data``. Of kind "f32" the values themselves, little-endian; of
        "u8" (none below zero) and "i8" whole numbers, each of ``step``, so that what is read is right within half of
        one: 255 of them to the largest value, or 127 to the largest magnitude; half as many where the map is all noise.
        ``data`` is deflated and written in base 85.
    """
    native = np.ascontiguousarray(values, dtype="<f4")
    height, width = native.shape
    about = {"width": width, "height": height}
    exact = zlib.compress(native.tobytes(), 9)
    if len(exact) <= EXACT:
        return {**about, "kind": "f32", "step": 1.0, "data": text(exact)}
    signed, largest = bool((native < 0).any()), float(np.abs(native).max())
    for levels in (127, 63) if signed else (255, 127):
        whole = np.rint(native * (levels / largest))
        packed = zlib.compress(whole.astype(np.int8 if signed else np.uint8).tobytes(), 9)
        if len(packed) <= LARGEST:
            break
    return {**about, "kind": "i8" if signed else "u8", "step": largest / levels, "data": text(packed)}


def text(content: bytes) -> str:
    """Bytes as characters of JSON and of HTML's script elements that need no escape."""
    return base64.b85encode(content).translate(_ALPHABET).decode("ascii")


def values_of(about: dict[str, Any]) -> NDArray[np.float32]:
    """The map that ``plane`` wrote, (h, w): what the browser shows."""
    content = zlib.decompress(base64.b85decode(about["data"].encode("ascii").translate(bytes.maketrans(b",", b"<"))))
    kind = {"f32": "<f4", "u8": "u1", "i8": "i1"}[about["kind"]]
    whole: NDArray[np.generic] = np.frombuffer(content, np.dtype(kind)).reshape(about["height"], about["width"])
    values: NDArray[np.float32] = (whole * np.float64(about["step"])).astype(np.float32)
    return values
