"""Deconvnet and guided backprop a second time, independently: every ReLU function is replaced while the model runs.

A custom autograd.Function, put in by a torch function mode, so nothing is shared with how seewhy does it.
"""

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


class _Rectifier(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, rule, slope, top):
        ctx.save_for_backward(x)
        ctx.rule, ctx.slope, ctx.top = rule, slope, top
        return torch.where(x > 0, x, slope * x).clamp(max=top)

    @staticmethod
    def backward(ctx, R):
        (x,) = ctx.saved_tensors
        inside = torch.where(x > 0, torch.ones_like(x), torch.full_like(x, ctx.slope)) * (x < ctx.top)
        gradient = torch.where(R > 0, R, torch.zeros_like(R))
        return (gradient * inside if ctx.rule == "guided" else gradient), None, None, None


RELUS = {F.relu, F.relu_, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_}


class ReferenceRule(TorchFunctionMode):
    def __init__(self, rule):
        super().__init__()
        self.rule, self.count = rule, 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        slope, top = 0.0, float("inf")
        if func in (F.relu6, torch._C._nn.relu6_, torch._C._nn.relu6):
            top = 6.0
        elif func in (F.hardtanh, F.hardtanh_):
            low, top = (*args[1:3], *[kwargs[k] for k in ("min_val", "max_val") if k in kwargs])
            if low != 0:
                return func(*args, **kwargs)
        elif func in (F.leaky_relu, F.leaky_relu_):
            slope = args[1] if len(args) > 1 else kwargs.get("negative_slope", 0.01)
        elif func not in RELUS:
            return func(*args, **kwargs)
        self.count += 1
        return _Rectifier.apply(args[0] if args else kwargs["input"], self.rule, slope, top)


def reference_gradient(model, x, target, rule):
    """(gradient at the pixels, how many ReLUs ran); the model must be in evaluation mode."""
    x = x.clone().requires_grad_()
    with ReferenceRule(rule) as mode:
        logits = model(x)
    logits = getattr(logits, "logits", logits)
    score = logits[torch.arange(len(x)), target].sum()
    return torch.autograd.grad(score, x)[0], mode.count
