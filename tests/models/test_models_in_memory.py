"""A classifier of a network in memory, and what it predicts."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import seewhy
from nets.tiny import make
from seewhy.errors import InputError, ModelError, PhotoError, TargetError

PHOTO = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


def test_it_predicts_as_the_network_does_by_hand():
    model = make()
    clf = seewhy.classifier(model, labels=["a", "b", "c", "d"], mean=0.4, std=(0.2, 0.25, 0.3), size=32)
    side = Image.fromarray(PHOTO).resize((48, 32), Image.Resampling.BILINEAR).crop((8, 0, 40, 32))
    x = torch.from_numpy(np.asarray(side) / 255).permute(2, 0, 1)[None].float()
    x = (x - 0.4) / torch.tensor([0.2, 0.25, 0.3]).view(1, 3, 1, 1)
    with torch.no_grad():
        probability = model.eval()(x).softmax(1)[0]
    found = clf.predict(PHOTO)
    assert [each.index for each in found.top] == probability.argsort(descending=True).tolist()
    assert [each.probability for each in found.top] == pytest.approx(
        sorted(probability.tolist(), reverse=True), abs=1e-5
    )
    assert (found.name, found.index) == (clf.label(found.index), int(probability.argmax()))
    assert repr(found).startswith(f"Prediction({found.name} ")
    assert len(clf.predict(PHOTO, top=2).top) == 2


def test_the_network_stays_as_it_is_and_where_it_is():
    model = make().train()
    model[0].weight.requires_grad_(False)
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    clf = seewhy.classifier(model, size=32)
    assert torch.rand(1) == wanted
    clf.predict(PHOTO)
    assert clf.model is model
    assert model.training
    assert not model[0].weight.requires_grad
    assert model[2].weight.requires_grad


def test_a_transform_of_ones_own():
    def transform(image):
        pixels = torch.from_numpy(np.array(image.resize((24, 20)))).permute(2, 0, 1) / 255
        return (pixels - 0.5) / 0.5

    clf = seewhy.classifier(make(), transform=transform, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert clf.input_size == (20, 24)
    assert clf.predict(PHOTO).top
    assert np.abs(np.asarray(clf.crop(Image.fromarray(PHOTO))).astype(int)
                  - np.asarray(Image.fromarray(PHOTO).resize((24, 20))).astype(int)).max() <= 1  # fmt: skip
    found = seewhy.explain(PHOTO, clf, "saliency")
    assert found.photo.box is None
    with pytest.raises(InputError, match="crop itself"):
        found.to_image("saliency", PHOTO)
    with pytest.raises(InputError, match="transform failed"):
        seewhy.classifier(make(), transform=lambda image: image.nonsense)
    with pytest.raises(InputError, match="another size"):
        seewhy.classifier(make(), transform=transform, size=32, mean=0.5, std=0.5)


def test_what_does_not_fit_is_refused():
    for given in ("efficientnet_lite0", None, nn.Linear):
        with pytest.raises(ModelError, match="network in memory"):
            seewhy.classifier(given)
    with pytest.raises(InputError, match="3 names for 4 outputs"):
        seewhy.classifier(make(), labels=["a", "b", "c"], size=32)
    with pytest.raises(InputError, match="size"):
        seewhy.classifier(make(), size=0)
    with pytest.raises(InputError, match="std"):
        seewhy.classifier(make(), std=0, size=32)
    clf = seewhy.classifier(make(), size=32)
    with pytest.raises(PhotoError):
        clf.predict("missing.png")


def test_names_are_targets_and_a_bare_network_says_how_to_give_them():
    clf = seewhy.classifier(make(), labels=["cat", "dog", "owl", "fox"], size=32)
    x = clf.preprocess(Image.fromarray(PHOTO))
    assert int(seewhy.attribute(clf, x, "saliency", "owl").target) == 2
    with pytest.raises(TargetError, match="owl"):
        seewhy.attribute(clf, x, "saliency", "owll")
    with pytest.raises(TargetError, match=r"seewhy\.classifier"):
        seewhy.attribute(make(), x, "saliency", "owl")


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (33, 33), (500, 20), (20, 500)])
@pytest.mark.parametrize(
    ("fit", "resize"), [("cover", None), ("cover", (36, 36)), ("stretch", None), ("contain", None)]
)
def test_the_box_is_where_the_crop_lies(size, fit, resize):
    """A ramp tells where each pixel of the crop comes from."""
    transform = seewhy.models.Preprocessing((32, 24), resize=resize, fit=fit, fill=(0, 0, 255))
    width, height = size
    ramp = np.zeros((height, width, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.linspace(0, 255, width)[None], np.linspace(0, 255, height)[:, None]
    crop = np.asarray(transform.crop(Image.fromarray(ramp))).astype(float)
    left, top, right, bottom = transform.box(Image.fromarray(ramp))
    for row, column in [(8, 6), (16, 12), (24, 18)]:
        if crop[row, column, 2]:  # beside the photo
            continue
        x = left + (column + 0.5) / 24 * (right - left) - 0.5
        y = top + (row + 0.5) / 32 * (bottom - top) - 0.5
        wanted = np.clip(x / (width - 1), 0, 1) * 255, np.clip(y / (height - 1), 0, 1) * 255
        # One source pixel of the ramp, half of one of the crop, for how sizes are rounded, and one grey level.
        slack = [
            1 + 255 / (n - 1) * (1 + step) for n, step in ((width, (right - left) / 24), (height, (bottom - top) / 32))
        ]
        assert abs(crop[row, column, 0] - wanted[0]) <= slack[0]
        assert abs(crop[row, column, 1] - wanted[1]) <= slack[1]
