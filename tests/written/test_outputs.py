"""What a network gives that is no row of numbers, and where only what was not asked for is no number."""

import sys

import pytest
import torch
from torch import nn

import seewhy
from nets.written import by_definition, head
from seewhy.checks import fingerprint
from seewhy.errors import InputError, ModelError, SeewhyError
from seewhy.methods import Occlusion

METHODS = ["saliency", "guided_backprop", "cam", "grad_cam", Occlusion(12, 10), Occlusion(12, 10, engine="dense")]
X = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(3))


class Then(nn.Module):
    def __init__(self, then):
        super().__init__()
        torch.manual_seed(0)
        self.net, self.then = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), head()).eval(), then

    def forward(self, x):
        return self.then(self.net(x))


ODD = {
    "complex": lambda y: y.to(torch.complex64),
    "bool": lambda y: y > 0,
    "sparse": lambda y: y.to_sparse(),
    "csr": lambda y: y.to_sparse_csr(),
    "nested": lambda y: torch.nested.nested_tensor(list(y)),
    "quantized": lambda y: torch.quantize_per_tensor(y.detach(), 0.1, 0, torch.qint8),
    "meta": lambda y: y.to("meta"),
    "no class": lambda y: y[:, :0],
    "no class of a dict": lambda y: {"logits": y[:, :0]},
    "five dimensions": lambda y: y[:, :, None, None, None],
    "a number": lambda y: y.sum(),
    "nothing": lambda y: None,
    "text": lambda y: "cat",
    "no tensors": lambda y: [],
    "ends Python": lambda y: sys.exit(0),
    "ends Python with words": lambda y: sys.exit("done"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", [None, 1])
@pytest.mark.parametrize("method", ["grad_cam", "cam", Occlusion(12, 10)], ids=str)
@pytest.mark.parametrize("name", list(ODD))
def test_outputs_that_are_no_scores_are_refused_in_a_line(name, method, target):
    model = Then(ODD[name])
    before = fingerprint(model)
    with pytest.raises(SeewhyError) as caught:
        seewhy.attribute(model, X, method, target)
    assert "\n" not in str(caught.value)
    assert fingerprint(model) == before


def test_the_callers_own_exit_is_an_exit():
    def block():
        with seewhy.record(Then(lambda y: y), X, 1):
            sys.exit(3)

    with pytest.raises(SystemExit):
        block()


class InTheHead(Then):
    """NaN in the weights, or the bias, of one class."""

    def __init__(self, part):
        super().__init__(lambda y: y)
        getattr(self.net[1][3], part).data[2] = float("nan")


def constant(y):
    return y * torch.tensor([1, 1, float("nan"), 1, 1])


def set_in_place(y):
    y = y.clone()
    y[:, 2] = float("nan")
    return y


PARTLY = {
    "weight": lambda: InTheHead("weight"),
    "bias": lambda: InTheHead("bias"),
    "constant": lambda: Then(constant),
    "set": lambda: Then(set_in_place),
    "logarithm of below zero": lambda: Then(lambda y: torch.where(torch.arange(5) == 2, (-y.abs()).sqrt(), y)),
}


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("name", list(PARTLY))
def test_nan_for_a_class_that_was_not_asked_for(name, method):
    if name == "logarithm of below zero" and not isinstance(method, Occlusion):
        pytest.skip("its gradient is zero times infinity by autograd's own rules, whoever asks")
    if method == "cam" and name not in ("weight", "bias"):
        pytest.skip("CAM's last linear layer is not the last function")
    model = PARTLY[name]()
    before = fingerprint(model)
    found = seewhy.attribute(model, X, method, 1)
    clean = Then(lambda y: y)
    expected = seewhy.attribute(clean, X, method, 1)
    assert torch.allclose(found.values, expected.values, atol=1e-5)
    assert torch.equal(found.score, expected.score)
    assert fingerprint(model) == before


def test_occlusion_of_it_is_the_definition():
    model = InTheHead("weight")
    found = seewhy.attribute(model, X, Occlusion(12, 10), 1)
    assert torch.allclose(
        found.values.reshape(32, 32), torch.as_tensor(by_definition(model, X, 1)).reshape(32, 32), atol=1e-5
    )


def test_nan_for_the_class_that_was_asked_for_is_refused():
    for method in METHODS:
        with pytest.raises(SeewhyError):
            seewhy.attribute(InTheHead("weight"), X, method, 2)


@pytest.mark.parametrize("inputs", [X.to_sparse(), X.to("meta"), X.bool(), X.to(torch.complex64)], ids=str)
def test_inputs_that_are_no_pictures(inputs):
    with pytest.raises(InputError):
        seewhy.attribute(Then(lambda y: y), inputs, "grad_cam", 1)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True, float("nan"), "8"])
def test_batch_sizes_that_are_none(batch_size):
    with pytest.raises(InputError, match="batch size"):
        seewhy.attribute(Then(lambda y: y), X, Occlusion(12, 10), 1, batch_size=batch_size)


@pytest.mark.parametrize("deep", [200, 300])
def test_a_network_nested_deep_is_explained_if_it_runs(deep):
    model = Then(lambda y: y)
    for _ in range(deep):
        model = nn.Sequential(model)
    limit = sys.getrecursionlimit()
    try:
        model(X)
    except RecursionError:
        pytest.skip("it does not run by itself here")
    expected = seewhy.attribute(Then(lambda y: y), X, "grad_cam", 1).values
    assert torch.allclose(seewhy.attribute(model, X, "grad_cam", 1).values, expected, atol=1e-6)
    assert seewhy.attribute(model, X, Occlusion(12, 10), 1).notes["engine"] == "incremental"
    assert seewhy.visualize(model, [1], steps=2, size=16, attempts=1).images.shape == (1, 3, 16, 16)
    assert sys.getrecursionlimit() == limit


SENSELESS = [
    {"l2": float("nan")}, {"learning_rate": 0}, {"learning_rate": float("inf")}, {"size": 0}, {"size": 10**7},
    {"size": 1.5}, {"size": True}, {"size": (8,)}, {"size": "8"}, {"batch": 0}, {"batch": 1.5}, {"batch": True},
    {"steps": 0}, {"steps": True}, {"steps": 1.5}, {"seed": float("nan")}, {"seed": True}, {"patience": 0},
    {"patience": float("nan")}, {"patience": 1.5}, {"patience": True}, {"attempts": 0}, {"attempts": 1.5},
    {"alpha": float("nan")}, {"alpha": -1}, {"checkpoints": [0]}, {"checkpoints": [float("nan")]},
    {"checkpoints": 5}, {"preset": 5}, {"transforms": 5}, {"transforms": [5]}, {"callback": 5},
    {"decay": float("nan"), "parameterization": "fourier"}, {"mean": [float("nan")] * 3, "std": [1] * 3},
    {"mean": [0] * 3, "std": [0] * 3}, {"mean": [0] * 3, "std": [float("nan")] * 3}, {"start": float("nan")},
]  # fmt: skip


@pytest.mark.parametrize("given", SENSELESS, ids=str)
def test_senseless_ascents_are_refused_before_they_begin(given):
    with pytest.raises(InputError) as caught:
        seewhy.visualize(Then(lambda y: y), [1], **{"steps": 2, "size": 16, "attempts": 1, **given})
    assert "\n" not in str(caught.value)


def test_a_network_that_refuses_says_so_itself():
    def refuses(y):
        raise ValueError("not today")

    with pytest.raises(ValueError, match="not today"):
        seewhy.attribute(Then(refuses), X, "grad_cam", 1)
    assert issubclass(ModelError, ValueError)
