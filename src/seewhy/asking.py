"""Further questions about one photo: what if something lay over it, and which channels did it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from .core.target import Target
from .patch import Patch
from .patched import WhatIf
from .session import Session
from .strongest import Channels, strongest


def what_if(
    photo: Any,
    patch: Patch | Sequence[Patch],
    model: object = "efficientnet_lite0",
    classes: int | str | Sequence[int | str] | None = None,
) -> WhatIf:
    """What ``model`` says of a photo with something over it.

    The network is followed once, and each patch costs what it changes; where it cannot be followed, a whole forward
    each, and ``WhatIf.reason`` says why.

    Args:
        photo: a path, a PIL image, or an array (H, W, 3) of uint8 0..255 or floats 0..1.
        patch: a ``Patch``, or several: each is laid over the photo by itself.
        model: a SPEC for ``seewhy.load``, a ``Classifier``, a ``torch.nn.Module``, or a ``Session``.
        classes: whose scores are compared, by name or number, or one of them; "all"; None: the most probable ones
            without the patch.

    Returns:
        One ``Answer`` per patch: the most probable classes before and after, the asked ones before and after, and the
        photo as the model saw it then. It shows itself in a notebook.

    Raises:
        SeewhyError: the photo cannot be read, a patch does not lie inside what the model sees, there is no such class,
            or the model's output is no row of class scores.
    """
    return _session(model).what_if(photo, patch, classes)


def channels(
    model: object,
    photo: Any,
    layer: str | None = None,
    target: Target = None,
    *,
    at: tuple[int, int] | None = None,
    count: int | None = 12,
) -> Channels:
    """The channels of a layer that did most for a photo's score, and what each of them added to it.

    The effect of channel k is Σᵢⱼ Aᵏᵢⱼ · ∂y/∂Aᵏᵢⱼ: activation × gradient of the score, summed over the layer's
    positions. Where all that follows the layer is linear, the effects of all channels are the score but for the
    biases; elsewhere they are its linear part. One forward and one backward.

    Args:
        model: a SPEC for ``seewhy.load``, a ``Classifier``, a ``torch.nn.Module``, or a ``Session``.
        photo: as ``seewhy.explain`` takes it; or a tensor (1, C, H, W), preprocessed as the model wants it.
        layer: a dotted name; None: the last spatial layer before pooling.
        target: None explains the predicted class; see ``seewhy.attribute``.
        at: row and column, in pixels of what the model sees: only the layer's position under that place.
        count: how many channels are listed; None: all.

    Raises:
        SeewhyError: the photo cannot be read, there is no such layer or class, the layer has no channels, or the place
            is outside the input.
    """
    if isinstance(model, nn.Module) and isinstance(photo, Tensor):  # it needs no preprocessing
        return strongest(model, photo, layer, target, at=at, count=count)
    return _session(model).channels(photo, layer, target, at=at, count=count)


def _session(model: object) -> Session:
    return model if isinstance(model, Session) else Session(model)
