"""Nothing runs that the user did not trust: whatever a file is called, and wherever in it the payload is."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import sys
import warnings
import zipfile

import pytest
import torch
import transformers
from hostile import Bomb, bomb, exported, plain, rewritten, two_tables
from safetensors.torch import save_file
from test_models_bad_input import refused

from seewhy.errors import ModelError, SeewhyError
from seewhy.models import load


@pytest.fixture
def trace(project, monkeypatch):
    """What a payload leaves behind; no reader of torch but the one of tensors may be called either."""
    path = project / "exploded"

    def called(*_, **__):
        path.touch()
        raise AssertionError("torch read a file that is not trusted")

    for module, name in ((torch.export, "load"), (torch.jit, "load"), (pickle, "load"), (pickle, "loads")):
        monkeypatch.setattr(module, name, called)
    monkeypatch.setattr("builtins.input", called)
    yield path
    assert not path.exists()


def test_an_expression_in_a_program_is_evaluated_by_torch(project):
    """Why trust is asked for: the file runs while it is read, and no member of it looks like code."""
    trace = project / "exploded"
    path = exported("net.pt2", trace)
    with contextlib.suppress(SeewhyError):
        load(path, trust=True)
    assert trace.exists()


def test_a_program_that_evaluates(project, trace, seewhy_command):
    path = exported("net.pt2", trace)
    said = refused(ModelError, path)
    assert said.startswith("net.pt2 is a program of torch.export, and reading one can run any code that is in it")
    assert "expected trust=True (--trust on the command line)" in said
    for command in (["layers"], ["explain", "a.png"], ["visualize", "-t", 0]):
        code, out, err = seewhy_command(*command, "--model", path)
        assert (code, out.strip()) == (2, "")
        (line,) = err.splitlines()
        assert "--trust" in line


def test_programs_under_every_name_and_with_everything_in_them(project, trace):
    exported("net.pt2")
    content = (project / "net.pt2").read_bytes()
    for name in ("net.pt", "net.PT2", "net.pth"):
        (project / name).write_bytes(content)
        assert "can run any code" in refused(ModelError, name)
    for entry in ("extra/lib.so", "extra/data/aotinductor/model/x.so", "Net/models/MODEL.json", "net/extra/x.so"):
        with zipfile.ZipFile("more.pt2", "w") as archive:
            archive.writestr("net/archive_format", "pt2")
            archive.writestr(entry, b"\x7fELF")
        assert "can run any code" in refused(ModelError, "more.pt2")


@pytest.mark.filterwarnings("ignore")
def test_torchscript(project, trace, small):
    torch.jit.script(small).save("script.pth")
    for spec, options in (("script.pth", {}), ("mine:network", {"weights": "script.pth"})):
        assert "TorchScript" in refused(ModelError, spec, **options)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.bin", "w.tar", "w.pt2", "w"])
@pytest.mark.parametrize("how", ["zip", "legacy", "plain pickle", "program"])
def test_a_payload_in_weights(name, how, project, trace, small):
    if how == "zip":
        (project / name).write_bytes(bomb(trace))
    elif how == "legacy":
        torch.save({"w": Bomb(trace)}, name, _use_new_zipfile_serialization=False)
    elif how == "plain pickle":
        (project / name).write_bytes(pickle.dumps({"w": Bomb(trace)}, protocol=4))
    else:
        exported(name, trace)
    for spec in ("mine:network", "efficientnet_lite0", "timm:resnet10t", "torchvision:resnet18"):
        said = refused(ModelError, spec, weights=f"./{name}")
        assert "can run any code" in said or "is not a readable checkpoint" in said


def test_an_archive_that_two_readers_read_otherwise(project, trace, small):
    def saved(content) -> bytes:
        file = io.BytesIO()
        torch.save(content, file)
        return plain(file.getvalue())

    state = small.state_dict()
    weights, others = saved(state), saved({key: value + 1 for key, value in state.items()})
    content = two_tables(weights, others)
    (project / "two.pth").write_bytes(content)
    with zipfile.ZipFile("two.pth") as archive, zipfile.ZipFile(io.BytesIO(weights)) as alone:
        member = next(name for name in alone.namelist() if name.endswith("data/0"))
        assert archive.read(member) == alone.read(member)  # so Python takes the one,
    first = torch.load("two.pth", weights_only=True)["features.0.weight"]
    assert torch.equal(first, state["features.0.weight"] + 1)  # and torch the other
    said = refused(ModelError, "mine:network", weights="two.pth")
    assert "its table of contents is not where it should be" in said
    (project / "one.pth").write_bytes(weights)
    load("mine:network", weights="one.pth")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("twin", ["archive/DATA.PKL", "archive/data.pkl"])
def test_members_of_one_name(twin, project, trace, small):
    torch.save(small.state_dict(), "w.pth")
    with zipfile.ZipFile("w.pth") as old, zipfile.ZipFile("twins.pth", "w") as new:
        for name in old.namelist():
            new.writestr(name.replace("w/", "archive/", 1), old.read(name))
        new.writestr(twin, pickle.dumps(Bomb(trace)))
    assert "two of its members have one name" in refused(ModelError, "mine:network", weights="twins.pth")


# -- Hugging Face, timm, torchvision --------------------------------------------------------------------------


@pytest.fixture
def folder(project):
    """A folder as save_pretrained writes it."""
    path = project / "folder"
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", num_labels=3)
    transformers.ResNetForImageClassification(config).save_pretrained(path)
    transformers.ConvNextImageProcessorPil(size={"shortest_edge": 32}).save_pretrained(path)
    (path / "modeling_evil.py").write_text(f"open({str(project / 'exploded')!r}, 'w')\nclass Net: pass\n")
    return path


def changed(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


EVIL = {
    "AutoConfig": "modeling_evil.Net",
    "AutoModelForImageClassification": "modeling_evil.Net",
    "AutoImageProcessor": "modeling_evil.Net",
    "AutoFeatureExtractor": "modeling_evil.Net",
}


@pytest.mark.parametrize("trust", [False, True])  # which is for files of torch
@pytest.mark.parametrize("weights", [None, "random"])
def test_a_folder_with_code_of_its_own(weights, trust, folder, trace, seewhy_command):
    changed(folder / "config.json", auto_map=EVIL, model_type="evil")
    said = refused(ModelError, "hf:folder", weights=weights, trust=trust)
    assert "hf:folder comes with code of its own, which is never run" in said
    code, _, err = seewhy_command("layers", "--model", "hf:folder")
    assert code == 2
    assert len(err.splitlines()) == 1


def test_a_processor_with_code_of_its_own(folder, trace):
    for change in ({"image_processor_type": "EvilProcessor"}, {"image_processor_type": None}):
        changed(folder / "preprocessor_config.json", auto_map=EVIL, **change)
        with contextlib.suppress(SeewhyError):  # transformers may have one for this kind of network
            load("hf:folder")
    changed(folder / "preprocessor_config.json", image_processor_type="EvilProcessor")
    assert "comes with code of its own, which is never run" in refused(ModelError, "hf:folder")


def test_code_beside_a_network_that_transformers_has_itself(folder, trace):
    changed(folder / "config.json", auto_map=EVIL)
    changed(folder / "preprocessor_config.json", auto_map=EVIL)
    assert load("hf:folder").model.config.num_labels == 3


def test_a_kernel_from_elsewhere(folder, trace):
    for key in ("attn_implementation", "_attn_implementation"):
        for value in ("someone/kernel", "kernels-community/flash-attn2:x"):
            changed(folder / "config.json", **{key: value})
            assert "asks for code from elsewhere, which is never run" in refused(ModelError, "hf:folder")


def test_a_folder_with_a_pickle(folder, trace):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(bomb(trace))
    assert "reading one can run any code" in refused(ModelError, "hf:folder", trust=True)
    torch.save({"w": Bomb(trace)}, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    assert "expected weights in safetensors" in refused(ModelError, "hf:folder")


def test_a_folder_whose_index_names_a_pickle(folder, trace):
    (folder / "model.safetensors").unlink()
    (folder / "evil.dat").write_bytes(bomb(trace))
    index = {"metadata": {}, "weight_map": {"classifier.1.weight": "evil.dat"}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert "evil.dat is a pickle with more than weights in it" in refused(ModelError, "hf:folder")


def test_a_folder_of_timm_with_a_pickle(project, trace):
    path = project / "timmed"
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"architecture": "resnet10t", "pretrained_cfg": {}, "num_classes": 3}))
    (path / "pytorch_model.bin").write_bytes(bomb(trace))
    refused(ModelError, f"timm:local-dir:{path}")


def test_a_cached_download_that_is_a_pickle(project, trace, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(project))
    (project / "hub" / "checkpoints").mkdir(parents=True)
    (project / "hub" / "checkpoints" / "resnet18-f37072fd.pth").write_bytes(bomb(trace))
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    refused(ModelError, "torchvision:resnet18")
    import os

    assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_modules_beside_a_file_of_weights_are_not_imported(project, trace, small):
    """Only a pickle that is trusted finds its classes in the current directory."""
    torch.save(small.state_dict(), "w.pth")
    for name in ("safetensors", "sympy", "numpy", "torch"):
        (project / f"{name}.py").write_text("raise SystemExit('imported')\n")
    before = list(sys.path)
    assert "do not fit EfficientNetLite0" in refused(ModelError, "efficientnet_lite0", weights="w.pth")
    assert sys.path == before


def test_what_is_trusted_is_read(project, small):
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        torch.save({"model": small, "more": {1, 2}}, "whole.pt")
    assert torch.equal(load("whole.pt", trust=True).model.fc.weight, small.fc.weight)
    save_file(small.state_dict(), "w.safetensors")
    load("mine:network", weights="w.safetensors")
    assert rewritten("whole.pt", "again.pt", lambda name, content: content) == "again.pt"
    assert load("again.pt", trust=True)
