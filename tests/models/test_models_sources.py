"""Every SPEC gives a classifier that agrees with what its source says by itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
import timm
import torch
import transformers
from conftest_nets import Small
from PIL import Image
from safetensors.torch import save_file
from torchvision import models as vision

from nets.cifar_resnet import CLASSES, resnet20
from seewhy.errors import ModelError
from seewhy.models import BorrowedPreprocessing, load


def test_torchvision_random():
    clf = load("torchvision:resnet18", weights="random")
    assert (clf.input_size, clf.mean, clf.std) == ((224, 224), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert clf.labels == tuple(vision.ResNet18_Weights.DEFAULT.meta["categories"])
    assert clf.index("tabby cat") == 281  # a synonym that torchvision does not have
    assert clf.provenance["libraries"]["torchvision"]
    assert clf.provenance["weights"] == "random"
    assert not clf.model.training


def test_torchvision_with_published_weights(monkeypatch):
    """The download stands in; which enum it was asked for, and what came of it, is ours."""
    state = vision.resnet18().state_dict()
    asked = []
    monkeypatch.setattr(
        vision._api.WeightsEnum, "get_state_dict", lambda self, *_, **__: asked.append(str(self)) or state
    )
    clf = load("torchvision:resnet18", weights="IMAGENET1K_V1")
    assert asked == ["ResNet18_Weights.IMAGENET1K_V1"]
    assert clf.provenance["weights"] == "ResNet18_Weights.IMAGENET1K_V1"
    assert torch.equal(clf.model.fc.weight, state["fc.weight"])
    load("torchvision:resnet18")
    assert asked[1] == str(vision.ResNet18_Weights.DEFAULT)


def test_torchvision_transforms_follow_the_weights(monkeypatch):
    state = vision.efficientnet_b1().state_dict()
    monkeypatch.setattr(vision._api.WeightsEnum, "get_state_dict", lambda *_, **__: state)
    first = load("torchvision:efficientnet_b1", weights="IMAGENET1K_V1")
    second = load("torchvision:efficientnet_b1", weights="IMAGENET1K_V2")
    assert first.transform.resize == (256, 256)
    assert second.transform.resize == (255, 255)
    assert first.transform.interpolation == "bicubic"
    assert second.transform.interpolation == "bilinear"


def test_a_finetuned_torchvision_checkpoint(tmp_path, cat):
    tuned = vision.resnet18(num_classes=3).eval()
    state = {f"module.{key}": value for key, value in tuned.state_dict().items()}
    torch.save({"epoch": 7, "model_state_dict": state}, tmp_path / "tuned.pt")
    clf = load("torchvision:resnet18", weights=tmp_path / "tuned.pt", labels=["cat", "dog", "eel"])
    inputs = clf.preprocess(cat)
    assert torch.equal(clf.model(inputs), tuned(inputs))
    assert clf.labels == ("cat", "dog", "eel")


def test_timm_random(cat):
    clf = load("timm:mobilenetv3_small_050", weights="random")
    config = timm.data.resolve_model_data_config(clf.model)
    expected = timm.data.create_transform(**config, is_training=False)(cat)[None]
    np.testing.assert_allclose(clf.preprocess(cat), expected, atol=1e-5)
    assert len(clf.labels) == 1000
    assert clf.label(285) == "Egyptian cat"
    assert clf.weights_hash == load("timm:mobilenetv3_small_050", weights="random").weights_hash


def test_timm_with_a_tag(monkeypatch):
    asked = []

    def create_model(name, pretrained=False, **options):
        asked.append((name, pretrained))
        return original(name, pretrained=False, **options)

    original = timm.create_model
    monkeypatch.setattr(timm, "create_model", create_model)
    load("timm:resnet18", weights="a1_in1k")
    load("timm:resnet18.a1_in1k")
    clf = load("timm:resnet18")
    assert asked == [("resnet18.a1_in1k", True)] * 2 + [("resnet18", True)]
    assert clf.provenance["weights"] == "timm resnet18"


def test_timm_other_classes(tmp_path):
    tuned = timm.create_model("mobilenetv3_small_050", num_classes=4)
    save_file(tuned.state_dict(), tmp_path / "tuned.safetensors")
    clf = load("timm:mobilenetv3_small_050", weights=tmp_path / "tuned.safetensors")
    assert clf.labels is None
    assert clf.label(2) == "class 2"
    assert clf.model.num_classes == 4


def test_timm_names_the_classes_of_the_big_imagenet():
    clf = load("timm:resnet10t", weights="random")
    assert clf.labels is not None
    from seewhy.models.from_timm import _names

    labels, synonyms = _names(timm, timm.create_model("resnet10t", num_classes=11821))
    assert len(labels) == len(synonyms) == 11821


@pytest.fixture
def hf_folder(tmp_path):
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic", num_labels=3
    )
    config.id2label = {0: "cat", 1: "dog", 2: "eel"}
    config.label2id = {"cat": 0, "dog": 1, "eel": 2}
    torch.manual_seed(41)  # not the seed of random weights
    model = transformers.ResNetForImageClassification(config).eval()
    model.save_pretrained(tmp_path / "hf")
    processor = transformers.ConvNextImageProcessorPil(size={"shortest_edge": 64}, crop_pct=0.8)
    processor.save_pretrained(tmp_path / "hf")
    return tmp_path / "hf", model, processor


def test_hf_folder(hf_folder, cat):
    folder, model, processor = hf_folder
    clf = load(f"hf:{folder}")
    inputs = clf.preprocess(cat)
    expected = processor(cat, return_tensors="pt")["pixel_values"]
    np.testing.assert_allclose(inputs, expected, atol=1e-5)
    assert torch.equal(clf.model(inputs).logits, model(inputs).logits)
    assert clf.labels == ("cat", "dog", "eel")
    assert clf.input_size == (64, 64)
    assert clf.provenance["libraries"]["transformers"] == transformers.__version__


def test_hf_other_weights(hf_folder, tmp_path):
    folder, model, _ = hf_folder
    random = load(f"hf:{folder}", weights="random")
    assert random.weights_hash != load(f"hf:{folder}").weights_hash
    assert random.weights_hash == load(f"hf:{folder}", weights="random").weights_hash
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    again = load(f"hf:{folder}", weights=tmp_path / "w.safetensors")
    assert again.weights_hash == load(f"hf:{folder}").weights_hash


def test_hf_labels_that_say_nothing_are_none(hf_folder):
    folder, _, _ = hf_folder
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": {str(i): f"LABEL_{i}" for i in range(3)}}
    (folder / "config.json").write_text(json.dumps(config))
    assert load(f"hf:{folder}").labels is None


def test_cifar_checkpoint_through_a_factory(shared_data, cat):
    """A checkpoint as people have them: wrapped, prefixed, in the old format, saved on a GPU."""
    weights = shared_data / "cifar_resnet" / "resnet20-12fca82f.th"
    clf = load("nets.cifar_resnet:resnet20", weights=weights, labels=CLASSES, input_size=32)
    reference = resnet20().eval()
    state = torch.load(weights, weights_only=True, map_location="cpu")["state_dict"]
    reference.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
    inputs = clf.preprocess(cat)
    assert inputs.shape == (1, 3, 32, 32)
    assert torch.equal(clf.model(inputs), reference(inputs))
    wanted = {"great_grey_owl": "bird", "black_grouse": "bird", "Irish_setter": "dog", "canoe": "ship"}
    for photo, kind in wanted.items():  # what 32 pixels and ten classes leave of them
        image = Image.open(next((shared_data / "photos").glob(f"*_{photo}.JPEG")))
        assert clf.label(int(clf.model(clf.preprocess(image)).argmax())) == kind


def test_factory_from_the_current_directory(project):
    import sys

    before = list(sys.path)
    clf = load("mine:network")
    assert sys.path == before
    assert isinstance(clf.model, Small)
    assert (clf.input_size, clf.mean[0], clf.labels) == ((224, 224), 0.485, None)
    assert clf.label(17) == "class 17"
    assert clf.index("17") == 17
    assert load("mine:network").weights_hash == clf.weights_hash  # built with a seed


def test_factory_with_a_preprocessing_of_its_own(project, cat):
    clf = load("mine:grey", input_size=(20, 30), mean=[0.5], std=[0.25])
    inputs = clf.preprocess(cat)
    assert inputs.shape == (1, 1, 20, 30)
    assert clf.model(inputs).shape == (1, 5)
    clf = load("mine:network", input_size=48, mean=0.5, std=0.25)
    assert (clf.input_size, clf.mean, clf.std) == ((48, 48), (0.5,) * 3, (0.25,) * 3)


def test_another_size_keeps_the_margin_of_the_crop():
    clf = load(input_size=112)
    assert (clf.input_size, clf.transform.resize) == ((112, 112), (128, 128))
    assert clf.mean == pytest.approx((127 / 255,) * 3)


@pytest.mark.parametrize(
    "file", ["w.safetensors", "plain.pt", "state_dict.th", "model.ckpt", "compiled.bin", "net.t7.pth"]
)
def test_every_way_to_keep_weights(file, project, small):
    state, name = small.state_dict(), file.split(".")[0]
    if file == "w.safetensors":
        save_file(state, file)
    else:
        prefix = "_orig_mod.module." if name == "compiled" else "module."
        prefixed = {prefix + key: value for key, value in state.items()}
        wrapped = {"state_dict": {"state_dict": prefixed, "best": 91.7}, "model": {"model": prefixed},
                   "net": {"net": prefixed, "acc": 91.7, "rates": [0.1, torch.ones(1)]}}  # fmt: skip
        torch.save(wrapped.get(name, state if name == "plain" else prefixed), file)
    clf = load("mine:network", weights=file)
    assert torch.equal(clf.model.fc.weight, small.fc.weight)
    assert torch.equal(clf.model.features[1].running_mean, small.features[1].running_mean)


@pytest.mark.parametrize(("spec", "prefix"), [("mine:network", "model."), ("mine:network", "net.backbone."),
                                             ("mine:wrapped", ""), ("mine:wrapped", "module.")])  # fmt: skip
def test_a_prefix_that_all_names_share_does_not_matter(spec, prefix, project, small):
    """As Lightning and other trainers put before them, or as the factory's own DataParallel asks for."""
    source = "\n\ndef wrapped():\n    from torch import nn\n\n    return nn.DataParallel(network())\n"
    (project / "mine.py").write_text((project / "mine.py").read_text() + source)
    state = {prefix + key: value + 1 for key, value in small.state_dict().items()}
    torch.save(state, "prefixed.pth")
    model = load(spec, weights="prefixed.pth").model
    fc = getattr(model, "module", model).fc
    assert torch.equal(fc.weight, small.fc.weight + 1)


def exported(model, path, batch=2, dynamic=False, channels=3, size=(16, 24)):
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    inputs = torch.zeros(batch, channels, *size)
    torch.export.save(torch.export.export(model, (inputs,), dynamic_shapes=shapes), path)
    return str(path)


def test_exported_program(small, tmp_path, cat):
    clf = load(exported(small, tmp_path / "net.pt2", dynamic=True), trust=True, labels=list("abcde"))
    assert clf.input_size == (16, 24)
    inputs = torch.cat([clf.preprocess(cat)] * 3)
    assert torch.equal(clf.model(inputs), small(inputs))
    assert {"features.3", "pool", "fc"} <= set(dict(clf.model.named_modules()))
    seen = []
    clf.model.get_submodule("features.3").register_forward_hook(lambda *args: seen.append(args[-1].shape))
    clf.model(inputs)
    assert seen == [(3, 6, 12, 20)]


def test_exported_for_one_size_of_batch(small, tmp_path):
    clf = load(exported(small, tmp_path / "net.pt2", batch=2), trust=True)
    assert clf.model(torch.zeros(2, 3, 16, 24)).shape == (2, 5)
    with pytest.raises(
        ModelError, match=r"exported for batches of 2 only.*expected a batch of 2 \(.*--batch-size 2\); got 3"
    ):
        clf.model(torch.zeros(3, 3, 16, 24))


def test_exported_grey(tmp_path, cat):
    clf = load(exported(Small(channels=1).eval(), tmp_path / "grey.pt2", dynamic=True, channels=1), trust=True)
    assert clf.preprocess(cat).shape == (1, 1, 16, 24)


def test_pickled_network_when_trusted(small, tmp_path):
    torch.save(small, tmp_path / "whole.pth")
    clf = load(str(tmp_path / "whole.pth"), trust=True)
    assert torch.equal(clf.model.fc.weight, small.fc.weight)
    torch.save({"model": small, "epoch": 3}, tmp_path / "wrapped.pt")
    for name in ("trust", "trust_pickle"):  # the older name
        assert isinstance(load(str(tmp_path / "wrapped.pt"), **{name: True}).model, Small)
    weights = load("conftest_nets:Small", weights=tmp_path / "wrapped.pt", trust=True)
    assert torch.equal(weights.model.fc.weight, small.fc.weight)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("l.txt", "a\nb\r\nc d\ne\nf\n\n"),
        ("l.json", '["a", "b", "c d", "e", "f"]'),
        ("index.json", '{"0": "a", "1": "b", "2": "c d", "4": "f", "3": "e"}'),
        (
            "keras.json",
            '{"0": ["n", "a"], "1": ["n", "b"], "2": ["n", "c d"], "3": ["n", "e"], "4": ["n", "f"]}',
        ),
        ("folder.json", '{"a": 0, "b": 1, "f": 4, "e": 3, "c d": 2}'),
    ],
)
def test_labels(file, content, project):
    (project / file).write_bytes(b"\xef\xbb\xbf" * (file == "l.txt") + content.encode())
    clf = load("mine:network", labels=file)
    assert clf.labels == ("a", "b", "c d", "e", "f")
    assert clf.index("C-D") == 2


def test_labels_that_are_numbers_come_before_indices(project):
    clf = load("mine:network", labels=["9", "8", "7", "1", "0"])
    assert [clf.index("9"), clf.index("1"), clf.index("2"), clf.index(1)] == [0, 3, 2, 1]


def test_the_model_is_left_as_it_came(project):
    """Counting the outputs runs the model, in eval mode and without a trace."""
    clf = load("mine:network", labels=list("abcde"))
    assert torch.equal(clf.model.features[1].running_mean, torch.zeros(4))
    assert int(clf.model.features[1].num_batches_tracked) == 0
    assert all(parameter.grad is None and parameter.requires_grad for parameter in clf.model.parameters())


def test_a_borrowed_transform_stays_as_it_is(hf_folder):
    folder, _, _ = hf_folder
    transformers.LevitImageProcessorPil(size={"shortest_edge": 32}).save_pretrained(folder)
    clf = load(f"hf:{folder}")
    assert isinstance(clf.transform, BorrowedPreprocessing)
    assert json.dumps(clf.provenance)
    with pytest.raises(ValueError, match="own transform is used as it is"):
        load(f"hf:{folder}", input_size=32)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_device(cat):
    clf = load(device="cuda")
    inputs = clf.preprocess(cat)
    assert inputs.is_cuda
    assert clf.weights_hash == load().weights_hash
