"""An attribution as a picture."""

import numpy as np
import pytest
import torch
from PIL import Image

from seewhy import Attribution
from seewhy.errors import InputError
from seewhy.pictures import overlay


def made(batch=1, values=None):
    values = torch.linspace(-1, 2, batch * 24).view(batch, 1, 4, 6) if values is None else values
    return Attribution(values, "<b>cam</b>", {}, torch.arange(batch), torch.ones(batch), (32, 48))


def test_a_map_lies_on_what_the_model_saw_and_on_nothing_else():
    crop = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8))
    a = made()
    wanted = np.asarray(overlay(crop, a.values[0].numpy()))
    assert np.array_equal(np.asarray(a.to_image(crop)), wanted)
    assert np.array_equal(np.asarray(a.to_image(np.asarray(crop))), wanted)
    assert a.to_image().size == (48, 32)
    assert a.to_image(crop, size=(96, 64)).size == (96, 64)
    for other in (crop.resize((96, 64)), crop.rotate(90, expand=True), crop.resize((224, 224))):
        with pytest.raises(InputError, match="exactly what the model saw"):
            a.to_image(other)


def test_a_picture_is_of_one_image():
    with pytest.raises(InputError, match=r"a\[i\]"):
        made(3).to_image()
    assert made(3)[1].to_image().size == (48, 32)


def test_it_shows_itself_escaped_and_not_all_of_a_large_batch():
    page = made(20)._repr_html_()
    assert page.count("<img ") == 8
    assert "12 more" in page
    assert "<b>" not in page
    assert "&lt;b&gt;" in page


def test_details_without_a_row_per_image_belong_to_all_of_them():
    a = Attribution(
        torch.zeros(2, 1, 3, 3), "m", {}, None, torch.ones(2), (3, 3),
        details={"one": torch.zeros(2, 5), "all": torch.zeros(7, 4), "number": torch.tensor(3.0)},
    )  # fmt: skip
    assert a.shared == {"all", "number"}
    assert a[1].details["one"].shape == (1, 5)
    assert a[1].details["all"].shape == (7, 4)
