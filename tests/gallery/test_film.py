"""Films hold their frames, and say what is missing."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

import seewhy
from seewhy.gallery import film
from seewhy.gallery.video import ending_of
from seewhy.pictures import tiled


def _frames(count=6, size=(33, 21)):
    """Of colours that all come within each frame, in another order: a film of few colours, as an ascent's is."""
    frames = []
    for shift in range(count):
        columns = [(40 * ((x + shift) % 6), 255 - 40 * ((x + shift) % 6), 90) for x in range(size[0])]
        frames.append(Image.fromarray(np.array([columns] * size[1], np.uint8)))
    return frames


def test_a_gif_holds_every_frame():
    with Image.open(io.BytesIO(film(_frames(), ".gif", rate=10))) as image:
        assert image.n_frames == 6
        assert image.size == (33, 21)
        image.seek(1)
        assert image.info["duration"] == 100
        assert "loop" in image.info
        image.seek(5)
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - np.asarray(_frames()[5])).max() < 12


def test_an_mp4_plays_back():
    av = pytest.importorskip("av")
    plain = [Image.new("RGB", (33, 21), (40 * n, 255 - 40 * n, 90)) for n in range(6)]
    with av.open(io.BytesIO(film(plain, ".mp4", rate=10))) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 6 + 15  # the last is held
    assert frames[0].shape == (22, 34, 3)  # halves need even sides
    for found, made in zip(frames, plain, strict=False):
        assert np.abs(found[5, 5].astype(int) - np.asarray(made)[5, 5]).max() < 12


def test_the_extra_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(seewhy.SeewhyError, match=r"seewhy\[video\]"):
        ending_of("out.mp4")
    assert ending_of("out.GIF") == ".gif"
    for wrong in ("out.avi", "out"):
        with pytest.raises(seewhy.SeewhyError, match=r"\.gif or \.mp4"):
            ending_of(wrong)
    with pytest.raises(seewhy.SeewhyError, match="needs frames"):
        film([], ".gif")


def test_tiles_are_as_square_as_can_be():
    assert tiled(_frames(1)).size == (33, 21)
    assert tiled(_frames(4)).size == (70, 46)
    assert tiled(_frames(5)).size == (107, 46)
