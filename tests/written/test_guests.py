"""The model comes back bit for bit, whatever its forward writes, and works whatever an earlier call left in it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import seewhy
from nets.written import head
from seewhy.checks import fingerprint
from seewhy.methods import Occlusion

WAYS = ["grad_cam", "saliency", Occlusion(12, 10), "cam"]


class Writes(nn.Module):
    def __init__(self, write):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), head()
        self.register_buffer("n", torch.zeros(3))
        self.register_buffer("scalar", torch.zeros((), dtype=torch.long))
        self.u = nn.Parameter(torch.ones(8), requires_grad=False)
        self.v = nn.Parameter(torch.ones(8))
        self.plain, self.cache, self.many, self.by_size = torch.zeros(4), None, [torch.zeros(2)], {}
        self.write = write

    def forward(self, x):
        self.write(self, x)
        return self.head(self.conv(x))


def _normalise(self, x):
    """Spectral norm by hand: the vector and the weight are written through .data."""
    weight = self.conv.weight.flatten(1)
    self.u.data = F.normalize(weight @ (weight.t() @ self.u.data), dim=0)
    self.conv.weight.data = self.conv.weight.data / torch.dot(self.u.data, weight @ weight.t() @ self.u.data)


WRITES = {
    "buffer.data": lambda self, x: self.n.data.add_(1),
    "buffer by numpy": lambda self, x: self.n.numpy().__iadd__(1),
    "scalar.data": lambda self, x: self.scalar.data.add_(1),
    "buffer's data replaced": lambda self, x: setattr(self.n, "data", self.n.data + 1),
    "buffer replaced": lambda self, x: setattr(self, "n", self.n + x.mean()),
    "buffer resized": lambda self, x: self.n.resize_(5),
    "parameter": lambda self, x: self.u.data.mul_(1.1),
    "parameter with gradient": lambda self, x: self.v.data.mul_(1.1),
    "parameter replaced": lambda self, x: setattr(self, "v", nn.Parameter(self.v.detach() * 2)),
    "weight under no_grad": lambda self, x: torch.no_grad()(self.conv.weight.mul_)(0.99),
    "weight renormalised": lambda self, x: setattr(
        self.conv.weight, "data", torch.renorm(self.conv.weight.data, 2, 0, 0.1)),
    "spectral norm by hand": _normalise,
    "plain attribute": lambda self, x: self.plain.add_(1),
    "plain attribute replaced": lambda self, x: setattr(self, "plain", self.plain + 1),
    "cache filled": lambda self, x: setattr(self, "cache", x.mean()),
    "new attribute": lambda self, x: setattr(self, "seen", x),
    "list": lambda self, x: self.many.append(x),
    "in a list": lambda self, x: self.many[0].add_(1),
    "dict": lambda self, x: self.by_size.update({x.shape[-1]: x}),
    "batch norm in training": lambda self, x: F.batch_norm(x, self.n, self.n + 1, training=True),
    "train() of a part": lambda self, x: self.conv.train(),
    "eval() of a part": lambda self, x: self.head.eval(),
    "requires_grad": lambda self, x: self.v.requires_grad_(False),
    "random numbers": lambda self, x: torch.rand(3),
}  # fmt: skip


def _all(model):
    holds = [model.plain, *model.many, *model.by_size.values()]
    return {
        **fingerprint(model), "held": [(id(t), t.numpy().tobytes(), t.requires_grad) for t in holds],
        "cache": model.cache, "memory": {name: t.data_ptr() for name, t in model.state_dict().items()},
    }  # fmt: skip


@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize("training", [False, True])
def test_what_a_forward_writes_is_put_back(kind, training):
    model, x = Writes(WRITES[kind]).train(training), torch.randn(1, 3, 32, 32)
    model.head.train(not training)
    before = _all(model)
    if kind == "buffer resized":
        before.pop("memory")  # torch gave it other memory
    for _ in range(2):
        for method in WAYS:
            seewhy.attribute(model, x, method, 1)
            assert {part: _all(model)[part] for part in before} == before, method
    model.fail = model.head[0].register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        seewhy.attribute(model, x, "grad_cam", 1)
    model.fail.remove()
    del model.fail
    assert {part: _all(model)[part] for part in before} == before


def test_it_stays_in_training_as_it_was():
    """The gradient of a loss is the same whether or not something was explained between forward and backward."""
    model, x = Writes(WRITES["buffer.data"]).train(), torch.randn(2, 3, 32, 32)
    model.norm = nn.BatchNorm2d(8)
    model.head = nn.Sequential(model.norm, head())
    loss = model.eval()(x).sum()
    seewhy.attribute(model, x, ["grad_cam", "saliency"])
    loss.backward()
    assert model.conv.weight.grad is not None


def test_a_weight_that_is_written_only_later_is_not_passed_over_in_silence():
    model, x = Writes(lambda self, x: torch.no_grad()(self.conv.weight.mul_)(self.factor) if self.late else None), None
    model.eval().late, model.factor = False, 1.5
    x = torch.randn(1, 3, 32, 32)
    seewhy.attribute(model, x, "grad_cam", 1)
    model.late = True
    with pytest.raises(seewhy.SeewhyError, match=r"conv\.weight"):
        seewhy.attribute(model, x, "grad_cam", 1)
    before = fingerprint(model)
    seewhy.attribute(model, x, "grad_cam", 1)  # known by now, and kept
    assert fingerprint(model) == before


class Grid(nn.Module):
    """Makes a grid of positions when it first runs, and keeps it."""

    def __init__(self, where):
        super().__init__()
        self.conv, self.head, self.where = nn.Conv2d(3, 8, 3), head(), where
        self.kept = [] if where == "list" else {} if where == "dict" else None
        if where == "buffer":
            self.register_buffer("grid", None)

    def positions(self, x):
        if self.where == "buffer":
            if self.grid is None:
                self.grid = torch.linspace(0.5, 1.5, x.shape[-1])
            return self.grid
        if self.where == "list":
            if not self.kept:
                self.kept.append(torch.linspace(0.5, 1.5, x.shape[-1]))
            return self.kept[0]
        if self.where == "dict":
            return self.kept.setdefault(x.shape[-1], torch.linspace(0.5, 1.5, x.shape[-1]))
        if self.kept is None:
            self.kept = torch.linspace(0.5, 1.5, x.shape[-1])
        return self.kept

    def forward(self, x):
        x = self.conv(x)
        return self.head((x * self.positions(x)) ** 2)


@pytest.mark.parametrize("where", ["buffer", "attribute", "list", "dict"])
@pytest.mark.parametrize("explained_before", [False, True])
def test_what_an_earlier_call_in_inference_mode_left(where, explained_before):
    model, fresh, x = Grid(where).eval(), Grid(where).eval(), torch.randn(1, 3, 32, 32)
    fresh.load_state_dict({k: v for k, v in model.state_dict().items() if k != "grid"}, strict=False)
    if explained_before:
        seewhy.attribute(model, x, WAYS[0], 1)
    with torch.inference_mode():
        model(x)
    left = model.grid if where == "buffer" else model.kept
    for method in WAYS:
        a, b = (seewhy.attribute(net, x, method, 1) for net in (model, fresh))
        assert torch.equal(a.values, b.values), method
    assert (model.grid if where == "buffer" else model.kept) is left


@pytest.mark.parametrize("method", WAYS)
def test_called_inside_inference_mode(method):
    model, x = nn.Sequential(nn.Conv2d(3, 8, 3), head()).eval(), torch.randn(1, 3, 32, 32)
    expected = seewhy.attribute(model, x, method, 1)
    with torch.inference_mode():
        a = seewhy.attribute(model, x.clone(), method, 1)
    assert torch.equal(a.values, expected.values)
