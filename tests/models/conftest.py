"""What the tests of the models share. Nothing here reaches the network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))
os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from torch import nn  # noqa: E402

from torchvision_cpu import allow_torchvision  # noqa: E402

allow_torchvision()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Photos and a checkpoint that are too big, or not free enough, for the repository."""
    path = Path(os.environ.get("SEEWHY_SHARED_DATA", TESTS.parents[1] / "shared" / "data"))
    if not path.is_dir():
        pytest.skip("the shared data is not here (SEEWHY_SHARED_DATA)")
    return path


@pytest.fixture(scope="session")
def cat() -> Image.Image:
    """A real photo, 451 x 300."""
    from skimage.data import chelsea

    return Image.fromarray(chelsea())


@pytest.fixture(scope="session")
def tall(cat) -> Image.Image:
    """The same on its side, 300 x 451, by an odd number of pixels off the centre."""
    return cat.transpose(Image.Transpose.ROTATE_90).crop((0, 0, 299, 451))


@pytest.fixture
def stripes() -> Image.Image:
    """64 x 48, every pixel different from its neighbours."""
    y, x = np.mgrid[0:48, 0:64]
    return Image.fromarray(np.uint8(np.stack([x * 4, y * 5, (x + y) % 2 * 255], axis=-1)))


class Small(nn.Module):
    """(B, channels, H, W) -> (B, classes), with names worth finding again."""

    def __init__(self, classes: int = 5, channels: int = 3):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 6, 3), nn.ReLU()
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.pool(self.features(x)).flatten(1))


@pytest.fixture
def small() -> Small:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Small().eval()


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A user's directory, the current one, with a module ``mine_<unique>`` to import factories from."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from conftest_nets import Small\n"
        "def network(): return Small()\n"
        "def grey(): return Small(channels=1)\n"
        "def needs(classes): return Small(classes)\n"
        "def nothing(): return None\n"
        "def fails(): raise OSError('the disk\\nis gone')\n"
        "number = 3\n"
    )
    (tmp_path / "broken.py").write_text("import nowhere_to_be_found\n")
    yield tmp_path
    for name in ("mine", "broken"):
        sys.modules.pop(name, None)


sys.modules["conftest_nets"] = sys.modules[__name__]


@pytest.fixture(scope="session")
def run_python():
    """Runs code in a fresh interpreter in which torchvision is as it is installed; gives its output."""

    def run(code: str, *args: str) -> str:
        source = TESTS.parent / "src"
        paths = os.pathsep.join(filter(None, (str(source), os.environ.get("PYTHONPATH"))))
        done = subprocess.run(
            [sys.executable, "-c", code, *args],
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
