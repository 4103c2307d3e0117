"""A photo, and small classifiers."""

import numpy as np
import pytest
from PIL import Image

import seewhy

LABELS = ["cat", "tiger cat", "<b>lynx</b>", "sea lion"]


@pytest.fixture(scope="session")
def photo(tmp_path_factory):
    y, x = np.mgrid[0:48, 0:60] / 6.0
    pixels = np.uint8(127 + 60 * np.stack([np.sin(x + y), np.cos(x) * np.sin(y), np.sin(x * y / 4)], -1))
    path = tmp_path_factory.mktemp("photo") / "waves.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="session")
def classifier():
    return seewhy.load("nets.tiny:make", input_size=32, labels=LABELS)
