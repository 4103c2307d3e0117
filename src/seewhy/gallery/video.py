"""The frames of an ascent as a film: GIF by Pillow, MP4 by PyAV (the ``video`` extra)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ..errors import InputError
from ..models.source import need

VIDEO_ENDINGS = (".gif", ".mp4")
LAST_HELD = 1.5
"""Seconds that the last frame stays."""


def film(frames: Sequence[Image.Image], ending: str, rate: int = 20) -> bytes:
    """The file's content.

    Args:
        frames: at least one, of one size.
        ending: ".gif" or ".mp4".
        rate: frames per second.

    Raises:
        InputError: no frames, or another ending.
        MissingExtraError: an MP4 needs ``pip install "seewhy[video]"``.
    """
    if ending not in VIDEO_ENDINGS:
        raise InputError(f"a film cannot end in {ending!r}", expected=" or ".join(VIDEO_ENDINGS))
    if not frames:
        raise InputError("a film needs frames")
    held = [*frames, *[frames[-1]] * round(LAST_HELD * rate)]
    return _gif(frames, rate) if ending == ".gif" else _mp4(held, rate)


def ending_of(path: str | Path) -> str:
    """The ending, .gif or .mp4, checked before any work is done; for an MP4 also that it can be written.

    Raises:
        InputError: another ending.
        MissingExtraError: the ``video`` extra is not installed.
    """
    ending = Path(path).suffix.lower()
    if ending not in VIDEO_ENDINGS:
        raise InputError(
            f"a film cannot be written to {str(path)!r}", expected=f"a name in {' or '.join(VIDEO_ENDINGS)}"
        )
    if ending == ".mp4":
        need("av", "video")
    return ending


def _gif(frames: Sequence[Image.Image], rate: int) -> bytes:
    # One palette for all frames, from the first, the middle and the last: one per frame would flicker.
    chosen = [frames[0], frames[len(frames) // 2], frames[-1]]
    strip = Image.new("RGB", (frames[0].width, 3 * frames[0].height))
    for place, frame in enumerate(chosen):
        strip.paste(frame, (0, place * frame.height))
    palette = strip.quantize(256, method=Image.Quantize.MEDIANCUT)
    drawn = [frame.convert("RGB").quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]
    lasting = [round(1000 / rate)] * (len(drawn) - 1) + [round(1000 * LAST_HELD)]
    file = io.BytesIO()
    drawn[0].save(file, "GIF", save_all=True, append_images=drawn[1:], duration=lasting, loop=0)
    return file.getvalue()


def _mp4(frames: Sequence[Image.Image], rate: int) -> bytes:
    av = need("av", "video")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "18"})
        stream.width, stream.height = (side + side % 2 for side in frames[0].size)  # 4:2:0 halves both
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            even = frame.convert("RGB")
            if even.size != (stream.width, stream.height):
                even = Image.new("RGB", (stream.width, stream.height), "white")
                even.paste(frame)
            container.mux(stream.encode(av.VideoFrame.from_image(even)))
        container.mux(stream.encode())
    return file.getvalue()
