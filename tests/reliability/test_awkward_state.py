"""What a forward may do to its tensors, attributes and hooks, and how a guest is handed back all the same."""

import threading

import pytest
import torch
from torch import nn

import seewhy
from nets.written import head
from seewhy.checks import fingerprint
from seewhy.errors import InputError

X = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Written(nn.Module):
    """A network that does something to itself in each forward."""

    def __init__(self, before=None, during=None):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), head(4)).train()
        self.during = (during,)
        if before is not None:
            before(self)

    def forward(self, x):
        self.net[1].training = True  # as a batch norm that is told to train
        if self.during[0] is not None:
            self.during[0](self)
        return self.net(x)


def every_other(m):
    m.register_buffer("w", torch.arange(8.0)[::2])


def expanded(m):
    m.register_buffer("w", torch.ones(1).expand(4))


def conjugate(m):
    m.register_buffer("w", torch.ones(3, dtype=torch.complex64).conj())
    m.register_buffer("v", torch.ones(3, dtype=torch.complex64))


def negative(m):
    m.register_buffer("w", torch.full((3,), 2 + 1j).conj().imag)


def frozen(m):
    m.net[0].weight.requires_grad_(False)


def pair(m):
    m.hidden = (torch.zeros(2), torch.zeros(2))


def none(m):
    m.hidden = None


def mixed(m):
    m.hidden = {"a": torch.zeros(2), "k": 1, "more": [torch.zeros(2)]}


def thaw(m):
    m.net[0].weight.requires_grad_(True)


def learn(m):
    with torch.enable_grad():
        m.net[0].weight.requires_grad_(True)
        m.net[0].weight.sum().backward()


def hide(m):
    m.hidden = (torch.ones(2), torch.ones(2))


def within(m):
    m.hidden["a"] = torch.ones(2)
    m.hidden["more"].append(torch.ones(2))
    m.hidden["more"][0].add_(1)


def hook(m):
    m.net[0].register_forward_hook(lambda *_: None)


def freed(m):
    m.w.untyped_storage().resize_(0)


def moved(m):
    m.v.add_(1)


CASES = {
    "every other number of a tensor": (every_other, None),
    "an expanded tensor": (expanded, None),
    "an expanded tensor, replaced": (expanded, lambda m: m.w.__setattr__("data", torch.zeros(4))),
    "a conjugate view": (conjugate, moved),
    "a negative view": (negative, None),
    "a frozen weight is thawed": (frozen, thaw),
    "a gradient": (frozen, learn),
    "a pair of tensors": (pair, hide),
    "a pair where there was none": (none, hide),
    "a dict of tensors and more": (mixed, within),
    "a hook": (None, hook),
    "memory that is given back": (every_other, freed),
}


def plain(value):
    if isinstance(value, torch.Tensor):
        return "tensor", id(value), value.tolist()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return value


def everything(model):
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    return {
        **{name: value for name, value in fingerprint(model).items() if name != "bytes"},
        "values": {name: tensor.detach().resolve_conj().resolve_neg().tolist() for name, tensor in tensors.items()},
        "grads": {name: tensor.grad for name, tensor in model.named_parameters()},
        "hidden": plain(getattr(model, "hidden", "none")),
    }


@pytest.mark.filterwarnings("ignore:Casting complex")  # the fingerprint's
@pytest.mark.parametrize("method", ["grad_cam", "cam", "saliency"])
@pytest.mark.parametrize("name", list(CASES))
def test_it_is_handed_back_as_it_was(name, method):
    model = Written(*CASES[name])
    before = everything(model)
    for _ in range(3):  # the second time it is known
        seewhy.attribute(model, X, method, 1)
        assert everything(model) == before


def test_what_cannot_be_put_back_leaves_no_flag_behind(monkeypatch):
    from seewhy.core import state

    def fails(*_):
        raise RuntimeError("no more memory")

    model = Written(every_other)
    monkeypatch.setattr(state, "_equal", fails)
    with pytest.raises(seewhy.errors.ModelError, match="could not be put back"):
        seewhy.attribute(model, X, "grad_cam", 1)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_threads_on_models_that_share_buffers_alone():
    class Trains(nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x):
            self.net[1].train()
            self.net(x)
            self.net[1].eval()
            return self.net(x)

    nets = [nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), head(4)).eval() for _ in range(2)]
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        nets[1][1]._buffers[name] = nets[0][1]._buffers[name]
    models = [Trains(net) for net in nets]
    alone = [seewhy.attribute(model, X, "grad_cam", 1).values for model in models]
    mean, found = nets[0][1].running_mean.clone(), [[], []]

    def work(number):
        for _ in range(20):
            found[number].append(seewhy.attribute(models[number], X, "grad_cam", 1).values)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(each, alone[number]) for number in range(2) for each in found[number])
    assert torch.equal(nets[0][1].running_mean, mean)


def test_the_size_of_saved_inputs_is_bounded(tmp_path):
    seewhy.Attribution(torch.ones(1, 1, 2, 2), "cam", {}, None, torch.ones(1), (10**18, 1)).save(tmp_path / "a.npz")
    with pytest.raises(InputError, match="input_size"):
        seewhy.Attribution.load(tmp_path / "a.npz")


@pytest.mark.parametrize("same", [True, False])
def test_blocks_that_are_not_closed_inside_out(same):
    first = Written()
    second = first if same else Written()
    before = [everything(model) for model in (first, second)]
    with torch.no_grad():
        one, two, three = (seewhy.record(model, X, 1) for model in (first, second, first))
        one.__enter__()
        two.__enter__()
        one.__exit__(None, None, None)
        three.__enter__()
        two.__exit__(None, None, None)
        three.__exit__(None, None, None)
        assert not torch.is_grad_enabled()
    assert [everything(model) for model in (first, second)] == before


def test_an_error_in_a_block_that_is_not_closed_inside_out_is_told():
    model = Written()
    before = everything(model)
    one, two = seewhy.record(model, X, 1), seewhy.record(model, X, 1)
    one.__enter__()
    two.__enter__()
    error = ValueError("mine")
    assert not one.__exit__(ValueError, error, None)
    two.__exit__(None, None, None)
    assert everything(model) == before
