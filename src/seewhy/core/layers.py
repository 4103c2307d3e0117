"""Layers are dotted names; the default one is found by running the model."""

from __future__ import annotations

from contextlib import suppress

from torch import Tensor, nn

from ..errors import LayerError, close_matches


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """The module called ``name``, a dotted name as in ``model.named_modules()``.

    Raises:
        LayerError: there is none; says which names are close, or where none is, what a name looks like.
    """
    if not isinstance(name, str):
        raise LayerError(
            "a layer is given by its dotted name", expected="a key of named_modules()", got=type(name).__name__
        )
    if name:
        with suppress(AttributeError):
            return model.get_submodule(name)
    if close := close_matches(name, (known for known, _ in model.named_modules() if known)):
        raise LayerError(f"the model has no layer {name!r}", close=close)
    few = [known for known, _ in model.named_children()]
    such = f"such as {', '.join(few[:3])}" if few else "of which this model, a single layer, has none"
    raise LayerError(f"the model has no layer {name!r}", expected=f"a name that `seewhy layers` lists, {such}")


def is_spatial(output: object, inputs: Tensor) -> bool:
    """Whether a layer's output is a stack of maps (B, C, h, w) with more than one position.

    The maps must keep the photo's proportions, to a factor of two: this tells (B, C, h, w) from the
    (B, h, w, C) of some transformers.
    """
    if not isinstance(output, Tensor) or output.dim() != 4 or not output.is_floating_point():
        return False
    (height, width), (full_height, full_width) = output.shape[-2:], inputs.shape[-2:]
    stretch = (height * full_width) / (width * full_height) if width and full_height else 0.0
    return output.shape[0] == inputs.shape[0] and height * width > 1 and 0.5 <= stretch <= 2


def is_pooling(module: nn.Module) -> bool:
    """A pooling layer, of torch or of anybody: parameterless, and named so."""
    return "pool" in type(module).__name__.lower() and next(module.parameters(), None) is None


def is_attention(module: nn.Module, output: Tensor) -> bool:
    """Whether a square output is no place map but attention: its rows add up to one."""
    square = output.shape[-1] == output.shape[-2] and next(module.parameters(), None) is None
    return square and bool(((output.detach().sum(-1) - 1).abs() < 1e-2).all())


class LastSpatial:
    """Follows a forward and knows, at its end, the last spatial layer before pooling.

    A map that a pooling layer gave does not count, nor does attention. Where several modules give the same tensor,
    the outermost that contains the one which made it lends its name: ``layer4`` rather than ``layer4.1.relu``.
    """

    def __init__(self, inputs: Tensor):
        self.inputs = inputs
        self.name: str | None = None
        self._output: Tensor | None = None
        self._version = -1
        self._pooled: object = None
        self._ran = self._since = 0

    @property
    def left_maps_early(self) -> bool:
        """Whether most of the network worked on something else after the last map: tokens, as in a transformer."""
        return self._since >= 8 and self._since > self._ran / 2

    def is_new(self, name: str, module: nn.Module, output: object) -> bool:
        """Whether ``output`` of ``module`` is a new candidate; call ``keep`` with what goes on in its place."""
        if module._parameters and not module._modules:
            self._ran, self._since = self._ran + 1, self._since + 1
        if not is_spatial(output, self.inputs):
            return False
        assert isinstance(output, Tensor)
        if is_pooling(module):
            self._pooled = output
        if output is self._pooled or is_attention(module, output):
            return False
        if output is self._output and version(output) == self._version:
            if self.name is not None and self.name.startswith(name + "."):
                self.name = name
            return False
        return True

    def keep(self, name: str, output: Tensor) -> None:
        """``output`` of the layer ``name`` is the last candidate so far."""
        self.name, self._output, self._version = name, output, version(output)
        self._since = 0


def version(tensor: Tensor) -> int:
    """How often a tensor was changed in place; -1 for an inference tensor, which does not know."""
    return -1 if tensor.is_inference() else tensor._version
