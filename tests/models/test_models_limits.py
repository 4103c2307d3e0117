"""What a configuration asks for is looked at before it is given: one line says which bound it is over."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import transformers
from PIL import Image
from test_models_bad_input import refused

from seewhy.errors import InputError, ModelError, SeewhyError, TargetError
from seewhy.models import BorrowedPreprocessing, Preprocessing, limits, load

ROOT = Path(__file__).parents[2]
HUGE = 10**9


@pytest.fixture
def folder(project):
    """A folder as save_pretrained writes it, of the kind that is named by its class."""
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", num_labels=3)
    transformers.ResNetForImageClassification(config).save_pretrained("folder")
    transformers.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained("folder")
    return project / "folder"


def changed(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize(
    "values",
    [
        {"size": {"shortest_edge": 10**6}},
        {"size": {"height": 10**6, "width": 10**6}},
        {"size": {"height": 32, "width": 2**62}},
        {"size": 10**6},
        {"size": {"shortest_edge": -1}},
        {"size": {"height": 0, "width": 0}},
        {"do_center_crop": True, "crop_size": {"height": 10**5, "width": 10**5}},
        {"do_center_crop": True, "crop_size": 10**8},
        {"do_pad": True, "pad_size": {"height": 10**8, "width": 10**8}},
        {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 256}, "crop_pct": 1e-9},
        {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 256}, "crop_pct": 0},
        {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 256}, "crop_pct": -1},
        {"rescale_factor": 0},
        {"rescale_factor": float("nan")},
        {"image_std": [0, 0, 0]},
        {"image_std": [float("nan")] * 3},
        {"image_mean": [float("inf")] * 3},
        {"image_mean": "grey"},
        {"resample": 99},
    ],
)
def test_a_processor_that_asks_for_too_much(values, folder):
    changed(folder / "preprocessor_config.json", **values)
    with pytest.raises(SeewhyError) as caught:
        load("hf:folder")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_one_line_in_the_command(folder, seewhy_command):
    """Neither transformers' own warnings, bars and tables nor those of numpy stand beside it."""
    broken = {"image_std": [0, 0, 0]}, {"size": {"shortest_edge": 10**6}}, {"rescale_factor": 0}
    for values in broken:
        before = (folder / "preprocessor_config.json").read_text()
        changed(folder / "preprocessor_config.json", **values)
        code, out, err = seewhy_command("layers", "--model", "hf:folder")
        assert (code, out.strip(), len(err.splitlines())) == (2, "", 1), err
        (folder / "preprocessor_config.json").write_text(before)
    changed(folder / "config.json", hidden_sizes=[16])
    code, out, err = seewhy_command("layers", "--model", "hf:folder")
    assert (code, out.strip(), len(err.splitlines())) == (2, "", 1), err


@pytest.mark.parametrize(
    "values",
    [
        {"num_labels": HUGE},
        {"num_channels": HUGE},
        {"num_channels": 10**5},
        {"hidden_sizes": [HUGE]},
        {"hidden_sizes": [2**20]},
        {"depths": [HUGE]},
        {"depths": [10**5]},
        {"depths": 1e300},
        {"depth_coefficient": float("inf")},
        {"embedding_size": -HUGE},
        {"text_config": {"vision": {"num_labels": HUGE}}},
        {"id2label": {str(i): "x" for i in range(limits.MOST_CLASSES + 1)}},
        {"more": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]},
        {"quantization_config": {"quant_method": "bitsandbytes"}},
        {"id2label": {str(i * ((1 << 61) - 1)): "a" for i in range(1, 20_000)}},
        {"label2id": {f"n{i}": i * ((1 << 61) - 1) for i in range(1, 20_000)}},
        {"id2label": {"x": "a"}},
        {"id2label": 3},
        {"model_type": 3},
        {"model_type": []},
        {"dtype": "load"},
        {"architectures": "nothing"},
    ],
)
@pytest.mark.parametrize("weights", [None, "random"])
def test_a_config_that_asks_for_too_much(values, weights, folder):
    changed(folder / "config.json", **values)
    try:
        load("hf:folder", weights=weights)
    except SeewhyError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert len(str(error)) < 700  # noqa: PT017
    else:
        assert set(values) <= {"architectures", "model_type"}  # what transformers does without


def test_which_bound_it_is(folder):
    bounds = {"num_labels": "num_labels; expected at most 100,000; got 1000000000", "depths": "at most 1,000"}
    bounds |= {"num_channels": "at most 1,024", "text_config": "at most 1,099,511,627,776"}
    for name, said in bounds.items():
        changed(folder / "config.json", **{name: {"x": HUGE**2} if name == "text_config" else HUGE})
        assert said in refused(ModelError, "hf:folder")
        changed(folder / "config.json", **{name: {} if name == "text_config" else [1] if name == "depths" else 3})
    changed(folder / "config.json", hidden_sizes=[2**17])
    assert re.search(r"asks for too much: a network of [\d,]+ numbers", refused(ModelError, "hf:folder"))
    changed(folder / "config.json", hidden_sizes=[8])
    changed(folder / "preprocessor_config.json", size={"height": 10**6, "width": 32})
    assert "size.height; expected at most 4,096; got 1000000" in refused(ModelError, "hf:folder")


def test_what_people_have_in_their_folders(folder):
    """A trainer's arguments and steps, times, labels that sound like sizes, weights in several files."""
    names = {str(i): f"layers of depth {i}" for i in range(3)}
    steps = {"trained_at": 1_700_000_000, "steps": 40_000_000, "torch_dtype": "float32", "quantization_config": None}
    steps |= {"time_step_limit": [0.0, float("inf")]}
    changed(folder / "config.json", id2label=names, label2id=dict.fromkeys(names.values(), 10**4), **steps)
    torch.save({"arguments": Path("x")}, folder / "training_args.bin")
    torch.save({"arguments": {1: Path}}, folder / "optimizer.pt")
    (folder / "missing").symlink_to("nowhere")
    state = load("hf:folder").model.state_dict()
    transformers.AutoModelForImageClassification.from_pretrained(folder).save_pretrained(folder, max_shard_size="1KB")
    (folder / "model.safetensors").unlink()
    assert (folder / "model.safetensors.index.json").exists()
    changed(folder / "model.safetensors.index.json", metadata={"total_size": 10**13})
    assert torch.equal(load("hf:folder").model.state_dict()["classifier.1.weight"], state["classifier.1.weight"])
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    torch.save(state, folder / "pytorch_model.bin")
    assert torch.equal(load("hf:folder").model.state_dict()["classifier.1.weight"], state["classifier.1.weight"])


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_config_that_is_no_config(name, folder):
    for content, said in {
        b"": "is no configuration", b"[" * 10**6: "is no configuration", b"\0" * 1000: "is no configuration",
        b"[]": "expected names and values", b'{"a": ' * 500 + b"1" + b"}" * 500: "nested too deep",
        b'{"a": ' + b"9" * 10000 + b"}": "is no configuration", b"\xff": "is no configuration",
    }.items():  # fmt: skip
        (folder / name).write_bytes(content)
        assert said in refused(ModelError, "hf:folder"), content[:20]
    with open(folder / name, "wb") as file:
        file.truncate(1 << 30)
    assert "is too large; expected at most 16,777,216 bytes" in refused(ModelError, "hf:folder")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert "is not a regular file" in refused(ModelError, "hf:folder")
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    assert "is not a regular file" in refused(ModelError, "hf:folder")
    (folder / name).unlink()
    (folder / name).mkdir()
    assert refused(ModelError, "hf:folder")


@pytest.mark.parametrize(
    "values",
    [
        {"num_classes": HUGE},
        {"pretrained_cfg": {"input_size": [3, 10**6, 10**6]}},
        {"pretrained_cfg": {"input_size": [HUGE, 32, 32]}},
        {"pretrained_cfg": {"input_size": [3, 32]}},
        {"pretrained_cfg": {"input_size": "wide"}},
        {"pretrained_cfg": {"crop_pct": 1e-9}},
        {"pretrained_cfg": {"crop_pct": "all"}},
        {"pretrained_cfg": {"std": [0, 0, 0]}},
        {"pretrained_cfg": {"mean": [float("nan")] * 3}},
        {"pretrained_cfg": {"interpolation": "best"}},
        {"model_args": {"layers": [HUGE] * 4}},
        {"model_args": {"width_factor": HUGE}},
        {"architecture": "resnet51"},
        {"architecture": None},
        {"architecture": "../../x"},
    ],
)
def test_a_folder_of_timm_that_asks_for_too_much(values, project):
    (project / "timmed").mkdir()
    config = {"architecture": "resnet10t", "num_classes": 3, "pretrained_cfg": {"input_size": [3, 32, 32]}}
    for name, value in values.items():
        config[name] = {**config[name], **value} if name == "pretrained_cfg" else value
    (project / "timmed" / "config.json").write_text(json.dumps(config))
    torch.save(timm.create_model("resnet10t", num_classes=3).state_dict(), "timmed/pytorch_model.bin")
    with pytest.raises(SeewhyError) as caught:
        load("timm:local-dir:timmed")
    assert "\n" not in str(caught.value)


def test_a_folder_of_timm(project):
    (project / "timmed").mkdir()
    config = {"architecture": "resnet10t", "num_classes": 3, "pretrained_cfg": {"input_size": [3, 32, 32]}}
    (project / "timmed" / "config.json").write_text(json.dumps(config))
    model = timm.create_model("resnet10t", num_classes=3)
    torch.save(model.state_dict(), "timmed/pytorch_model.bin")
    clf = load("timm:local-dir:timmed")
    assert clf.input_size == (32, 32)
    assert torch.equal(clf.model.fc.weight, model.fc.weight)
    assert "no such folder: nowhere" in refused(ModelError, "timm:local-dir:nowhere")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"input_size": 10**6}, "a size is too large; expected at most 4,096 pixels a side"),
        ({"input_size": (32, 2**62)}, "a size is too large"),
        ({"input_size": 10**5000}, "a size is too large"),
        ({"input_size": -1}, "at least 1 x 1"),
        ({"input_size": (32, -(10**5000))}, "at least 1 x 1"),
        ({"input_size": (True, 32)}, "the size of a picture"),
        ({"input_size": iter(int, 1)}, "the size of a picture"),
        ({"std": math.nan}, "std must be positive, and finite; got (nan,)"),
        ({"std": 0}, "std must be positive"),
        ({"std": -0.1}, "std must be positive"),
        ({"std": math.inf}, "std must be positive, and finite"),
        ({"std": [0.1, 0.2, math.inf]}, "std must be positive, and finite"),
        ({"std": 10**400}, "std is a number"),
        ({"std": True}, "std is a number"),
        ({"std": [0.1, False, 0.1]}, "std is a number"),
        ({"std": "wide"}, "std is a number"),
        ({"std": ["0.5", "wide"]}, "std is a number"),
        ({"std": 1j}, "std is a number"),
        ({"mean": math.nan}, "mean must be finite"),
        ({"mean": -math.inf}, "mean must be finite"),
        ({"mean": [0.5, 0.5, math.nan]}, "mean must be finite"),
        ({"mean": -(10**400)}, "mean is a number"),
        ({"mean": [0.5] * 10**6}, "at most 1,024 of them"),
        ({"mean": iter(float, 1.0)}, "at most 1,024 of them"),
        ({"mean": b"0"}, "mean is a number"),
        ({"input_size": 4096, "mean": [0.5] * 100, "std": 0.5}, "a picture is too large"),
    ],
)
def test_what_the_caller_says_of_the_pictures(options, said, project):
    assert said in refused(InputError, "mine:grey", **options)


@pytest.mark.parametrize(
    "given",
    ["--std=nan", "--std=0", "--std=inf", "--std=-1", "--std=1e400", "--mean=nan", "--mean=-inf", "--mean=0.1,nan,0.1",
     "--mean=true", "--input-size=-5", "--input-size=0", "--input-size=1000000", "--input-size=32x-1",
     "--input-size=" + "9" * 30, "--input-size=" + "9" * 6000, "--input-size=32.5", "--input-size=1e3",
     "--input-size=1x2x3", "--input-size=\u00b2", "--std=" + "1," * 3000 + "1"],
)  # fmt: skip
def test_the_same_in_the_command(given, project, seewhy_command):
    code, out, err = seewhy_command("layers", "--model", "mine:network", given)
    assert (code, out.strip()) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("seewhy: error: ")
    assert len(line) < 900


def test_sizes_of_a_preprocessing():
    with pytest.raises(InputError, match="a size is too large"):
        Preprocessing((32, 32), resize=(10**6, 10**6))
    with pytest.raises(InputError, match="a picture is too large"):
        Preprocessing((32, 32), mean=(0.5,) * 2000, std=(0.5,) * 2000, order=None)
    assert Preprocessing((4096, 4096), resize=(4681, 4681)).input_size == (4096, 4096)


def test_a_narrow_photo_and_a_borrowed_transform(folder):
    transformers.LevitImageProcessorPil(size={"shortest_edge": 32}).save_pretrained(folder)
    clf = load("hf:folder")
    assert isinstance(clf.transform, BorrowedPreprocessing)
    assert clf.preprocess(Image.new("RGB", (3000, 10))).shape[:2] == (1, 3)
    with pytest.raises(InputError, match=r"too narrow for this model's own transform.*got 9000000 x 1"):
        clf.preprocess(Image.new("RGB", (9_000_000, 1)))


def test_a_class_that_is_none(project):
    numbers = ["9" * 5000, "-" + "9" * 5000, 10**5000, -1, 2.7, "\u00b2"]
    for labels in (None, list("abcde")):
        clf = load("mine:network", input_size=16, labels=labels)
        for target in (*numbers, None, [], b"1", "x" * 10**6, "\x1b[2J"):
            with pytest.raises(TargetError) as caught:
                clf.index(target)
            assert str(caught.value).isprintable()
            assert len(str(caught.value)) < 500
        assert clf.index(2) == clf.index("2") == clf.index(np.int64(2)) == 2


LONG = {
    "name": "x" * 10**6, "colons": "x:" * 10**5, "strokes": "/" * 10**6, "dots": "a." * 10**5 + "py",
    "file": "a/" * 10**5 + "b.py:c", "factory": "x:" + "y" * 10**6, "hf": "hf:" + "x" * 10**5,
    "timm": "timm:" + "x" * 10**5, "zero": "a\0b:c", "line": "a\nb:c", "half": "\udc80",
    "vision": "torchvision:" + "x" * 10**5,
}  # fmt: skip


@pytest.mark.parametrize("kind", LONG)
def test_specs_without_an_end(kind, project):
    with pytest.raises(ModelError) as caught:
        load(LONG[kind])
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1200


def test_the_bounds_in_the_documents_are_those_of_the_code():
    text = (ROOT / "SECURITY.md").read_text()
    names = ("SIDE", "CHANNELS", "CLASSES", "TENSORS", "OPERATIONS", "LAYERS", "NAME", "CONFIG_DEPTH")
    for bound in (getattr(limits, f"MOST_{name}") for name in names):
        assert f"{bound:,}" in text
    for bound in (limits.MOST_LABEL_BYTES, limits.MOST_CONFIG_BYTES, limits.MOST_DIRECTORY_BYTES):
        assert f"{bound >> 20} MiB" in text
    for bound in (limits.MOST_VALUES, limits.MOST_PARAMETERS):
        assert f"2^{bound.bit_length() - 1}" in text
