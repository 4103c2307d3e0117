"""The result: checked when made, frozen, saved whole, read back the same."""

import json

import numpy as np
import pytest
import torch

import seewhy
from seewhy.checks import awkward_networks
from seewhy.errors import InputError, MethodError, OutputError
from seewhy.methods import METHODS, GradCAM, Occlusion, find_method


@pytest.fixture
def attribution():
    model, x = awkward_networks()["functional_relu"]
    return seewhy.attribute(model, x, Occlusion(6, 4, (0.1, 0.2, 0.3)), [1, 0, 2])


def test_numpy_reads_what_save_wrote(attribution, tmp_path):
    path = tmp_path / "a map of größe.npz"
    attribution.save(path)
    with np.load(path, allow_pickle=False) as file:
        assert np.array_equal(file["values"], attribution.values.numpy())
        about = json.loads(str(file["about"]))
    assert about["method"] == "occlusion"
    assert about["params"]["baseline"] == [0.1, 0.2, 0.3]
    loaded = seewhy.Attribution.load(path)
    assert torch.equal(loaded.details["grid"], attribution.details["grid"])
    assert loaded.input_size == attribution.input_size == (12, 20)
    assert loaded.target.tolist() == [1, 0, 2]
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_shown_in_one_line(attribution):
    shown = repr(attribution)
    assert "\n" not in shown
    assert "occlusion: 3 x 1 x 12 x 20" in shown
    assert "target 1, 0, 2" in shown
    model, x = awkward_networks()["functional_relu"]
    many = repr(seewhy.attribute(model, x.repeat(20, 1, 1, 1), GradCAM("conv1"), lambda outputs: outputs[:, 1]))
    assert "grad_cam at conv1" in many
    assert "target a function" in many
    assert len(many) < 200


def test_nothing_is_silently_replaced(attribution, tmp_path):
    path = tmp_path / "a.npz"
    path.write_text("precious")
    with pytest.raises(OutputError, match="exists"):
        attribution.save(path)
    assert path.read_text() == "precious"
    attribution.save(path, overwrite=True)
    assert seewhy.Attribution.load(path).method == "occlusion"
    with pytest.raises(OutputError, match="cannot be written"):
        attribution.save(tmp_path / "no" / "folder.npz")


def test_a_failed_write_leaves_nothing(attribution, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OutputError, match="No space left"):
        attribution.save(tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


def test_load_refuses_what_is_not_an_attribution(tmp_path):
    for name, content in {"text.npz": b"hello", "empty.npz": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="not a saved attribution"):
            seewhy.Attribution.load(tmp_path / name)
    np.savez(tmp_path / "other.npz", values=np.zeros(3))
    np.savez(tmp_path / "pickle.npz", about=np.array({"a": 1}, dtype=object))
    for name in ("other.npz", "pickle.npz", "missing.npz"):
        with pytest.raises(InputError, match="not a saved attribution"):
            seewhy.Attribution.load(tmp_path / name)


@pytest.mark.parametrize("values", [torch.zeros(2, 3, 3), torch.zeros(1, 1, 3, 3), torch.full((2, 1, 3, 3), torch.nan)])
def test_wrong_values_are_refused_at_birth(values):
    with pytest.raises(InputError, match="values of 'mine'"):
        seewhy.Attribution(values, "mine", {}, None, torch.zeros(2), (3, 3))


def test_frozen(attribution):
    with pytest.raises(AttributeError):
        attribution.values = torch.zeros(1)
    with pytest.raises(TypeError):
        attribution.params["window"] = 3


def test_methods_are_found_by_any_spelling():
    for name in ("grad_cam", "gradcam", "Grad-CAM", "GRAD CAM"):
        assert find_method(name) == GradCAM()
    for method in METHODS:
        assert find_method(method.id) == find_method(method) == method()
    with pytest.raises(MethodError, match="did you mean saliency"):
        find_method("salency")
    with pytest.raises(MethodError, match="one of saliency, deconvnet"):
        find_method("xyz")
    with pytest.raises(MethodError, match="an id or a Method"):
        find_method(3)


def test_the_same_method_twice_with_other_parameters():
    model, x = awkward_networks()["residual"]
    many = seewhy.attribute(model, x, [GradCAM("conv1"), GradCAM("block"), "saliency"])
    assert list(many) == ["grad_cam(layer='conv1')", "grad_cam(layer='block')", "saliency"]
    assert many["grad_cam(layer='conv1')"].layer == "conv1"
    with pytest.raises(InputError, match="asked for twice"):
        seewhy.attribute(model, x, ["grad_cam", "gradcam"])
    with pytest.raises(MethodError, match="at least one"):
        seewhy.attribute(model, x, [])


def test_every_method_cites_a_paper():
    from seewhy.bibliography import BIBLIOGRAPHY

    for method in METHODS:
        assert BIBLIOGRAPHY[method.source].title
        assert method.formula
        assert len(method.misleads) > 40


def test_pickled_and_copied(attribution):
    import copy
    import pickle

    for other in (pickle.loads(pickle.dumps(attribution)), copy.deepcopy(attribution)):
        assert torch.equal(other.values, attribution.values)
        assert dict(other.params) == dict(attribution.params)


def test_a_damaged_file_is_refused(attribution, tmp_path):
    attribution.save(tmp_path / "whole.npz")
    content = (tmp_path / "whole.npz").read_bytes()
    middle = len(content) // 3
    for damaged in (
        content[: len(content) // 2],
        content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
    ):
        (tmp_path / "damaged.npz").write_bytes(damaged)
        with pytest.raises(InputError, match="not a saved attribution"):
            seewhy.Attribution.load(tmp_path / "damaged.npz")


def test_two_methods_with_tensor_parameters():
    model, x = awkward_networks()["functional_relu"]
    a, b = (Occlusion(6, 6, torch.full((3, 1, 1), value)) for value in (0.1, 0.2))
    assert len(seewhy.attribute(model, x, [a, b])) == 2


def test_it_is_as_many_as_its_images(attribution):
    assert len(attribution) == 3
    assert [float(one.score) for one in attribution] == attribution.score.tolist()
    with pytest.raises(IndexError):
        attribution[3]
    with pytest.raises(IndexError):
        attribution[-4]
    with pytest.raises(IndexError):
        attribution[2:2]


@pytest.mark.parametrize("index", [0, 2, -1, slice(0, 2), slice(1, None), slice(None, None, 2), slice(-2, None)])
def test_some_images_are_as_if_they_had_been_explained_alone(index):
    model, x = awkward_networks()["functional_relu"]
    target = seewhy.Versus([1, 0, 2], [0, 2, 1])
    a = seewhy.attribute(model, x, Occlusion(6, 4), target)[index]
    some = [*range(3)][index] if isinstance(index, slice) else [range(3)[index]]
    alone = seewhy.attribute(
        model,
        x[some],
        Occlusion(6, 4),
        seewhy.Versus([target.target[i] for i in some], [target.other[i] for i in some]),
    )
    assert torch.equal(a.target, alone.target)
    assert torch.equal(a.against, alone.against)
    assert a.details.keys() == alone.details.keys()
    for name in alone.details:
        assert torch.allclose(a.details[name], alone.details[name], atol=1e-5)
    assert torch.allclose(a.values, alone.values, atol=1e-5)
    assert torch.allclose(a.score, alone.score, atol=1e-5)
    assert a.shared == {"windows", "coverage"}
    assert a.input_size == alone.input_size
    assert f"rather than {a.against[0]}" in repr(a)


def test_as_many_windows_as_images_are_no_batch():
    """Nine windows of nine images: what is shared is told, not guessed by its shape."""
    model, _ = awkward_networks()["functional_relu"]
    a = seewhy.attribute(model, torch.randn(9, 3, 12, 20), Occlusion((4, 7), (4, 7)), 1)
    assert len(a.details["windows"]) == 9
    assert torch.equal(a[4].details["windows"], a.details["windows"])
    assert a[4].details["grid"].shape == (1, 3, 3)


def test_numpy_is_a_copy(attribution):
    array = attribution.numpy()
    assert array.dtype == np.float32
    assert np.array_equal(array, attribution.values.numpy())
    array[:] = 0
    assert attribution.values.any()


def test_to_another_device(attribution):
    moved = attribution.to("cpu")
    assert torch.equal(moved.values, attribution.values)
    assert moved.shared == attribution.shared
    if torch.cuda.is_available():
        there = attribution.to("cuda")
        tensors = [there.values, there.score, there.target, *there.details.values()]
        assert {tensor.device.type for tensor in tensors} == {"cuda"}
        assert torch.equal(there.to("cpu").values, attribution.values)


def test_details_are_one_per_image_or_shared(attribution):
    kept = {"values": attribution.values, "method": "m", "params": {}, "target": None, "score": attribution.score}
    for detail in (torch.zeros(4, 2), torch.zeros(())):
        for told in (set(), {"extra"}):
            made = seewhy.Attribution(**kept, input_size=(12, 20), details={"extra": detail}, shared=told)
            assert torch.equal(made[1].details["extra"], detail)
    with pytest.raises(InputError, match="rather than which"):
        seewhy.Attribution(**kept, input_size=(12, 20), against=torch.tensor([1, 2, 3]))


def test_against_and_shared_are_saved(tmp_path):
    model, x = awkward_networks()["functional_relu"]
    a = seewhy.attribute(model, x, Occlusion(6, 4), seewhy.Versus([1, 0, 2], [0, 2, 1]))
    a.save(tmp_path / "a.npz")
    b = seewhy.Attribution.load(tmp_path / "a.npz")
    assert b.against.tolist() == [0, 2, 1]
    assert b.shared == a.shared == {"windows", "coverage"}
    assert torch.equal(b[1].details["grid"], a[1].details["grid"])
