"""What a picture is wanted of: a class, a channel, or a whole layer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core.guest import original
from ..errors import InputError
from ..exemplars import Unit
from ..synthesis import Visualization, objectives, visualize
from ..synthesis.listening import layer_name

LONGEST_NAME = 200
"""Bytes of a layer's name in a file's, which has 255: there follow a channel, "-photos", and an ending."""


@dataclass(frozen=True)
class Wanted:
    """One picture to make.

    Attributes:
        stem: of its files' names.
        title: for people.
        target: a class's index, or None.
        layer, channel: a unit within; with a layer alone, all of it (DeepDream).
    """

    stem: str
    title: str
    target: int | None = None
    layer: str | None = None
    channel: int | None = None

    @property
    def unit(self) -> Unit | None:
        """For its photos; None for a whole layer, which is no unit."""
        if self.target is not None:
            return Unit(self.target)
        return None if self.channel is None else Unit(self.channel, self.layer)

    def describe(self) -> dict[str, Any]:
        """Ready for JSON."""
        if self.target is not None:
            return {"index": self.target, "name": self.title}
        return {"layer": self.layer, "channel": self.channel}


def wanted_class(classifier: Any, name: str | int) -> Wanted:
    """A class, by name or number."""
    index = classifier.index(name)
    return Wanted(f"class-{index}", classifier.label(index), target=index)


def wanted_channel(classifier: Any, layer: str, channel: int) -> Wanted:
    """A channel of a layer, which is given by its dotted name or close match."""
    name = layer_name(original(classifier), layer)
    return Wanted(f"{_plain(name)}-{channel}", f"{name}, channel {channel}", layer=name, channel=channel)


def wanted_layer(classifier: Any, layer: str) -> Wanted:
    """A whole layer: whatever it sees already, more of it."""
    name = layer_name(original(classifier), layer)
    return Wanted(_plain(name), name, layer=name)


def make(classifier: Any, wanted: Sequence[Wanted], **options: Any) -> Visualization:
    """All of one kind in one ascent: classes, or channels of one layer, or one whole layer."""
    first = wanted[0]
    if first.target is not None:
        return visualize(classifier, [each.target for each in wanted if each.target is not None], **options)
    assert first.layer is not None
    if first.channel is None:
        return visualize(classifier, objective=objectives.layer(first.layer), batch=1, **options)
    channels = [each.channel for each in wanted if each.channel is not None]
    return visualize(classifier, objective=objectives.channel(first.layer, channels), batch=len(wanted), **options)


def batches(wanted: Sequence[Wanted], most: int) -> list[list[Wanted]]:
    """Those that can share an ascent, at most ``most`` of them, in their order."""
    if most < 1:
        raise InputError("a batch holds at least one image", got=most)
    found: list[list[Wanted]] = []
    for each in wanted:
        alike = found and len(found[-1]) < most and _kind(found[-1][0]) == _kind(each) and _kind(each)[1] != "whole"
        if alike:
            found[-1].append(each)
        else:
            found.append([each])
    return found


def _kind(wanted: Wanted) -> tuple[str | None, str]:
    if wanted.target is not None:
        return None, "class"
    return wanted.layer, "whole" if wanted.channel is None else "channel"


def _plain(name: str) -> str:
    """A layer's name as part of a file's name, on any system: a long one is cut, and its hash tells it from others."""
    plain = re.sub(r"[^\w.-]", "_", name).strip(".") or "layer"
    if len(plain.encode("utf-8", "replace")) <= LONGEST_NAME:
        return plain
    whole = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return plain.encode("utf-8", "replace")[: LONGEST_NAME - 13].decode("utf-8", "ignore") + f"-{whole}"
