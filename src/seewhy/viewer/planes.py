"""Maps on their way to the browser: small, at native resolution, with what a step stands for; coloured only there."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXACT = 12_000
"""Bytes up to which a map travels as it is, in float32: class maps of a few cells, and occlusion, whose windows repeat.
A gradient at 224 pixels would take 185,000, nearly all of them noise below the 255th part of its range."""

LARGEST = 32_000
"""Bytes from which on the steps are twice as large: a deconvnet's noise fills every bit that it is given."""

_DIGITS = np.frombuffer(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~", np.uint8
)
"""Base 85 as Python has it, but with a comma for the character that could end a script element."""

_VALUES = np.zeros(256, np.uint32)
_VALUES[_DIGITS] = np.arange(85)

SAMPLE = 1 << 15
"""Bytes of a map that tell whether it is worth while to deflate all of it as it is."""


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
    return sent(values)[0]


def sent(values: NDArray[np.floating]) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """What ``plane`` gives, and the map as it arrives: what ``values_of`` reads from it."""
    native = np.ascontiguousarray(values, dtype="<f4")
    height, width = native.shape
    about = {"width": width, "height": height}
    exact = _exact(native.tobytes())
    if exact is not None:
        return {**about, "kind": "f32", "step": 1.0, "data": text(exact)}, native
    signed, largest = bool((native < 0).any()), float(np.abs(native).max()) or 1.0
    for levels in (127, 63) if signed else (255, 127):
        # In float32 the factor of a tiny map would be infinite.
        whole = np.rint(native * np.float64(levels / largest)).astype(np.int8 if signed else np.uint8)
        packed = _deflated(whole.tobytes())
        if len(packed) <= LARGEST:
            break
    step = largest / levels
    about |= {"kind": "i8" if signed else "u8", "step": step, "data": text(packed)}
    return about, (whole * np.float64(step)).astype(np.float32)


def _exact(raw: bytes) -> bytes | None:
    """All of a map, deflated; None where that is too much."""
    half = (len(raw) - SAMPLE) // 2
    if half > 0 and len(zlib.compress(raw[half : half + SAMPLE], 1)) > 2 * EXACT:
        return None
    deflated = zlib.compress(raw)
    return deflated if len(deflated) <= EXACT else None


def _deflated(whole: bytes) -> bytes:
    """The shorter of two: gradients repeat the value before, windows repeat rows."""
    by_run = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    return min(by_run.compress(whole) + by_run.flush(), zlib.compress(whole, 5), key=len)


def text(content: bytes) -> str:
    """Bytes as characters of JSON and of HTML's script elements that need no escape."""
    padding = -len(content) % 4
    words = np.frombuffer(content + bytes(padding), ">u4").astype(np.uint32)
    digits = np.empty((len(words), 5), np.uint8)
    for place in range(4, -1, -1):
        words, digits[:, place] = np.divmod(words, np.uint32(85))
    written = _DIGITS[digits].tobytes()
    return written[: len(written) - padding].decode("ascii")


def bytes_of(written: str) -> bytes:
    """What ``text`` wrote."""
    padding = -len(written) % 5
    digits = _VALUES[np.frombuffer(written.encode("ascii") + b"~" * padding, np.uint8)].reshape(-1, 5)
    words = np.zeros(len(digits), np.uint32)
    for place in range(5):
        words = words * np.uint32(85) + digits[:, place]
    return words.astype(">u4").tobytes()[: 4 * len(words) - padding]


def values_of(about: dict[str, Any]) -> NDArray[np.float32]:
    """The map that ``plane`` wrote, (h, w): what the browser shows."""
    kind = {"f32": "<f4", "u8": "u1", "i8": "i1"}[about["kind"]]
    content = zlib.decompress(bytes_of(about["data"]))
    whole: NDArray[np.generic] = np.frombuffer(content, np.dtype(kind)).reshape(about["height"], about["width"])
    values: NDArray[np.float32] = (whole * np.float64(about["step"])).astype(np.float32)
    return values
