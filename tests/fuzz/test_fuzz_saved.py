"""A saved result, however it was damaged, is what it was or one InputError."""

import io

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fuzz.test_fuzz_photos import CHANGE, changed, fuzzed
from nets.tiny import make
from seewhy import attribute
from seewhy.core.attribution import Attribution
from seewhy.errors import InputError


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "a.npz"
    attribute(make(), torch.rand(1, 3, 32, 32), "saliency").save(path)
    return path.read_bytes()


@pytest.mark.filterwarnings("ignore")  # zipfile's own, on names that occur twice
def test_a_result_or_one_input_error(tmp_path, saved):
    path = tmp_path / "fuzzed.npz"

    @fuzzed
    @given(st.lists(CHANGE, min_size=1, max_size=5))
    def check(changes):
        path.write_bytes(changed(saved, changes, [saved, io.BytesIO(saved).read(200)]))
        try:
            found = Attribution.load(path)
        except InputError as error:
            message = str(error)
        else:
            message = ""
            assert found.values.shape[-2:] == (32, 32)
        assert message.isprintable()

    check()
