"""For those who train: the loss is the paper's, and training with it, or without the tag, makes the tag say less."""

import numpy as np
import pytest
import torch
from torch import nn

from seewhy.auditing.remedies.training import masked_augmentation, right_reasons_loss
from seewhy.errors import InputError


def linear(classes=3, size=(2, 3, 4, 5), seed=0):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(classes, *size[1:], generator=generator, dtype=torch.float64, requires_grad=True)
    inputs = torch.randn(size, generator=generator, dtype=torch.float64, requires_grad=True)
    return weight, inputs, torch.einsum("kchw,bchw->bk", weight, inputs)


def test_on_a_linear_network_it_is_the_closed_form():
    """d/dx sum_k log p_k = sum_k w_k - K sum_k p_k w_k, squared and summed inside of the mask."""
    weight, inputs, logits = linear()
    masks = torch.rand(2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).round()
    p = logits.softmax(1)
    gradient = weight.sum(0) - 3 * torch.einsum("bk,kchw->bchw", p, weight)
    expected = (masks[:, None] * gradient).square().sum() / 2
    loss = right_reasons_loss(logits, inputs, masks)
    torch.testing.assert_close(loss, expected)
    # and it can be trained with: its own gradient is that of the closed form
    (ours,) = torch.autograd.grad(loss, weight, retain_graph=True)
    (theirs,) = torch.autograd.grad(expected, weight)
    torch.testing.assert_close(ours, theirs)


def test_a_mask_may_have_channels_and_one_of_zeros_costs_nothing():
    _, inputs, logits = linear()
    one = torch.ones(2, 4, 5, dtype=torch.bool)
    whole = right_reasons_loss(logits, inputs, one)
    for same in (one[:, None], one[:, None].expand(2, 3, 4, 5), one.float()):
        torch.testing.assert_close(right_reasons_loss(logits, inputs, same), whole)
    first = torch.tensor([True, False])[:, None, None] & one
    parts = [right_reasons_loss(logits, inputs, each) for each in (first, ~first)]
    torch.testing.assert_close(parts[0] + parts[1], whole)
    assert right_reasons_loss(logits, inputs, ~one).item() == 0


def test_what_does_not_fit_is_said():
    _, inputs, logits = linear()
    masks = torch.ones(2, 4, 5)
    for wrong in (
        (logits[0], inputs, masks), (logits, inputs, masks[:1]), (logits, inputs, masks[:, :, :1]),
        (logits, inputs, 2 * masks), (logits, inputs, masks * np.nan), (logits, inputs.detach(), masks),
        (logits.detach(), inputs, masks), (linear(seed=1)[2], inputs, masks),
    ):  # fmt: skip
        with pytest.raises(InputError):
            right_reasons_loss(*wrong)
    batch, boxes = torch.rand(2, 3, 4, 5), torch.tensor([[0, 0, 2, 2], [1, 1, 3, 4]])
    for wrong in (
        (batch.byte(), boxes), (batch[0], boxes), (batch, boxes[:1]), (batch, boxes.float()), (batch, boxes + 1),
        (batch, -boxes), (batch, boxes, "nothing"), (batch, boxes, (1.0, 2.0)), (batch[:1], boxes[:1], "other"),
    ):  # fmt: skip
        with pytest.raises(InputError):
            masked_augmentation(*wrong)
    with pytest.raises(InputError):
        masked_augmentation(batch, boxes, share=2)


BOXES = torch.tensor([[1, 2, 2, 3], [0, 0, 0, 0], [0, 1, 4, 1]])


@pytest.mark.parametrize("fill", ["other", "noise", "mean", 0.25, (0.1, 0.2, 0.3)])
def test_only_what_is_in_the_boxes_is_another(fill):
    batch = torch.rand(3, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    kept = batch.clone()
    new = masked_augmentation(batch, BOXES, fill, generator=torch.Generator().manual_seed(3))
    assert torch.equal(batch, kept)
    inside = torch.zeros(3, 4, 5, dtype=torch.bool)
    inside[0, 1:3, 2:5] = inside[2, :, 1] = True
    changed = (new != batch).any(1)
    assert torch.equal(changed, inside)
    again = masked_augmentation(batch, inside, fill, generator=torch.Generator().manual_seed(3))
    assert torch.equal(again, new), "a mask is the same as its box"
    if fill == "other":
        assert any(torch.allclose(new[0, :, 1:3, 2:5], each[:, 1:3, 2:5]) for each in batch[1:])
    if fill == "mean":
        torch.testing.assert_close(new[2, :, :, 1], batch[2].mean((1, 2))[:, None].expand(3, 4))
    if fill == (0.1, 0.2, 0.3):
        torch.testing.assert_close(new[0, :, 1, 2], torch.tensor(fill))


def test_a_share_of_the_photos_is_changed():
    batch, whole = torch.rand(400, 1, 2, 2), torch.ones(400, 2, 2)
    new = masked_augmentation(batch, whole, 0.0, share=0.25, generator=torch.Generator().manual_seed(0))
    assert 70 < int((new == 0).all((1, 2, 3)).sum()) < 130
    assert torch.equal(masked_augmentation(batch, whole, 0.0, share=0), batch)


def decoys(count, seed, share):
    """(N, 1, 8, 8) of two classes, after the decoys of Ross 2017: one half is faintly brighter, and a patch in a corner
    tells the class plainly, on ``share`` of the photos; (N,) classes.
    """
    rng = np.random.default_rng(seed)
    classes = rng.integers(2, size=count)
    photos = rng.normal(size=(count, 1, 8, 8))
    photos[:, 0, :, :4] += 0.25 * (1 - 2 * classes[:, None, None])
    photos[:, 0, :2, :2] = 2 * np.where(rng.random(count) < share, 2 * classes - 1, 1 - 2 * classes)[:, None, None]
    return torch.tensor(photos, dtype=torch.float32), torch.tensor(classes)


PATCH = torch.zeros(1, 8, 8)
PATCH[:, :2, :2] = 1


def trained(net, way, seed=0, steps=300):
    torch.manual_seed(seed)
    net = net()
    photos, classes = decoys(500, 100 + seed, 0.98)
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(steps):
        picked = torch.randint(len(photos), (50,))
        given, masks = photos[picked], PATCH.expand(50, 8, 8)
        if way == "masked":
            given = masked_augmentation(given, masks)
        logits = net(given.requires_grad_())
        loss = nn.functional.cross_entropy(logits, classes[picked]) + 1e-3 * logits.square().mean()
        if way == "right reasons":
            loss = loss + 10 * right_reasons_loss(logits, given, masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


@torch.no_grad()
def dependence(net):
    """How far the patch, turned round, moves the probability, and the accuracy where it says nothing."""
    photos, classes = decoys(500, 7, 0.5)
    moved = net(photos).softmax(1) - net(photos * (1 - 2 * PATCH)).softmax(1)
    return float(moved[:, 1].abs().mean()), float((net(photos).argmax(1) == classes).float().mean())


NETS = {
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 2)),
    "two layers": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 30), nn.ReLU(), nn.Linear(30, 2)),
}


@pytest.mark.parametrize("net", NETS)
def test_either_way_the_decoy_says_less_than_after_plain_training(net):
    plain, blind = dependence(trained(NETS[net], "plain"))
    assert plain > 0.5, "the plant took"
    for way in ("right reasons", "masked"):
        found, right = dependence(trained(NETS[net], way))
        assert found < plain / 2, way
        assert right > blind + 0.1, way
