"""What every test can use."""

import os
import tempfile
from pathlib import Path

import pytest
import torch

import seewhy  # noqa: F401 - before torch: it sets what torch reads at its import
from torchvision_cpu import allow_torchvision

allow_torchvision()
_CACHE = tempfile.TemporaryDirectory(prefix="seewhy-cache-")
os.environ["SEEWHY_CACHE_DIR"] = _CACHE.name  # not the user's own
ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("SEEWHY_SHARED_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def shared_data() -> Path:
    """Real photos and a real checkpoint, where they are present."""
    if not SHARED.is_dir():
        pytest.skip("the shared data is not here")
    return SHARED


@pytest.fixture
def seewhy_command(capfd):
    """The command, called as a person does: the exit code, and what it prints on stdout and stderr."""
    from seewhy.cli import main

    def call(*arguments):
        with pytest.raises(SystemExit) as done:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return done.value.code, out, err

    return call
