"""Augmentations against the findings of an audit, as a file of Python with transforms of torchvision.

Every number of it is read as a number, and every text is a comment in one line: a findings.json may come from anyone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import InputError
from ...legible import in_one_line
from ..finding import Finding
from ..result import Audit
from ..sources.sensitivity import everyday

HEAD = '''"""{title}

For a training set, after the photo has the size that the network gets (pixels in 0 to 255), before it is normalised:

    transforms = v2.Compose([v2.ToImage(), v2.Resize(...), v2.CenterCrop(...), augmentation,
                             v2.ToDtype(torch.float32, scale=True), v2.Normalize(...)])
"""

import torch
from torchvision.transforms import v2

'''

SOMETIMES = '''
class Sometimes(torch.nn.Module):
    """Changes some photos of whatever class, a share ``p``. Images are uint8 (..., 3, H, W)."""

    p = 0.5

    def forward(self, image):
        return image if torch.rand(()) >= self.p else self.changed(image)

'''

UP_TO = '''
class UpTo(Sometimes):
    """The same, each by another amount, up to ``most``."""

    def __init__(self, most, p=0.5):
        super().__init__()
        self.most, self.p = most, p

'''

TAG = '''
class RandomTag(Sometimes):
    """A tag on some photos of whatever class: half of the time at ``place``, if there is one, else anywhere.

    Images are uint8 (..., 3, H, W); colour and opacity are those of the stamp that was found; its size, anywhere
    but at its place, is from half of it to one and a half.
    """

    def __init__(self, size, colour, opacity, place=None, p=0.3):
        super().__init__()
        self.size, self.place, self.opacity, self.p = size, place, opacity, p
        self.colour = torch.tensor(colour)[:, None, None]

    def changed(self, image):
        tall, wide = image.shape[-2:]
        factor = 0.5 + float(torch.rand(()))
        own = self.place is not None and torch.rand(()) < 0.5
        height, width = (max(1, round(each * (1.0 if own else factor))) for each in self.size)
        height, width = min(height, tall), min(width, wide)
        free = tall - height + 1, wide - width + 1
        top, left = self.place if own else (int(each * torch.rand(())) for each in free)
        image = image.clone()
        part = image[..., top : top + height, left : left + width]
        mixed = (1 - self.opacity) * part + self.opacity * self.colour.to(image.device)
        image[..., top : top + height, left : left + width] = mixed.round().clamp(0, 255).to(image.dtype)
        return image

'''

LIGHT = '''
class RandomLight(Sometimes):
    """Some photos of whatever class in another light: up to a quarter more than what was found, times ``gain`` and plus
    ``shift``, each of red, green and blue. Images are uint8 (..., 3, H, W).
    """

    def __init__(self, gain=(1.0, 1.0, 1.0), shift=(0.0, 0.0, 0.0), p=0.5):
        super().__init__()
        self.gain, self.shift, self.p = torch.tensor(gain).log()[:, None, None], torch.tensor(shift)[:, None, None], p

    def changed(self, image):
        much = 1.25 * float(torch.rand(()))
        gain, shift = (much * each.to(image.device) for each in (self.gain, self.shift))
        return (image * gain.exp() + shift).round().clamp(0, 255).to(image.dtype)

'''


NOISE = '''
class RandomNoise(UpTo):
    """Noise on some photos of whatever class, of a deviation up to ``most`` grey levels. Images are uint8."""

    def changed(self, image):
        noise = self.most * torch.rand(()) * torch.randn(image.shape)
        return (image + noise.to(image.device)).round().clamp(0, 255).to(image.dtype)

'''

VIGNETTE = '''
class RandomVignette(UpTo):
    """Some photos of whatever class with less light in their corners, up to ``most`` of it. Images are uint8."""

    def changed(self, image):
        down, across = (torch.linspace(-1, 1, side, device=image.device) * side for side in image.shape[-2:])
        squared = down[:, None] ** 2 + across**2
        kept = 1 - self.most * float(torch.rand(())) * squared / squared.max()
        return (image * kept).round().clamp(0, 255).to(image.dtype)

'''

PIXELS = '''
class RandomPixels(UpTo):
    """Some photos of whatever class in squares of one colour each, of up to ``most`` pixels. Images are uint8."""

    def changed(self, image):
        side = int(torch.randint(2, self.most + 1, ()))
        small = [max(each // side, 1) for each in image.shape[-2:]]
        coarse = v2.functional.resize(image, small, antialias=True)
        return v2.functional.resize(coarse, list(image.shape[-2:]), interpolation=v2.InterpolationMode.NEAREST)

'''

SPECKS = '''
class RandomSpecks(UpTo):
    """Black and white specks on some photos of whatever class, on up to ``most`` of the pixels. Images are uint8."""

    def changed(self, image):
        drawn = torch.rand(image.shape[-2:], device=image.device)
        share = self.most * float(torch.rand(()))
        return image.masked_fill(drawn < share / 2, 0).masked_fill(drawn > 1 - share / 2, 255)

'''

CODE = {
    "RandomTag(": TAG, "RandomLight(": LIGHT, "RandomNoise(": NOISE, "RandomVignette(": VIGNETTE,
    "RandomSpecks(": SPECKS, "RandomPixels(": PIXELS,
}  # fmt: skip


def snippet(audit: Audit) -> str:
    """A Python file that holds ``augmentation``, a ``torchvision.transforms.v2.Compose``.

    Against what is proven, or was answered to be spurious, and was not answered to be real: stamps (tags of the same
    colour at random places, and at their own), properties of the whole photo, and everyday changes that cost accuracy.

    Raises:
        InputError: a finding's numbers are none.
    """
    lines: dict[str, str] = {}
    for finding in audit.findings:
        if finding.answer == "real" or not (finding.state == "proven" or finding.answer == "spurious"):
            continue
        for line in _lines(finding):
            lines.setdefault(line, f"    # {in_one_line(finding.id)}: {in_one_line(finding.sentence)}\n    {line},\n")
    body = "".join(lines.values())
    title = f"Augmentations against {len(lines)} finding{'' if len(lines) == 1 else 's'} of an audit by seewhy."
    text = HEAD.format(title=title)
    used = "".join(code for name, code in CODE.items() if name in body)
    text += (SOMETIMES if used else "") + (UP_TO if "(UpTo)" in used else "") + used
    return f"{text}\naugmentation = v2.Compose([\n{body or '    v2.Identity(),  # nothing asks for one'}\n])\n"


def _lines(finding: Finding) -> Iterator[str]:
    about = finding.transform or {}
    try:
        if about.get("edit") == "pattern":
            yield _global("noise", about["amount"])
        elif finding.kind == "stamp":
            yield _tag(about)
        elif finding.kind == "global":
            yield _global(str(about["edit"]), about["amount"])
        elif finding.kind == "sensitivity" and (finding.effect or 0.0) < 0 and "of" in about:
            height, width = (int(_number(each)) for each in about["of"])
            yield from (each.augmentation for each in everyday(height, width) if each.id == about["kind"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"the transform of {in_one_line(finding.id)} is none that seewhy wrote"
        raise InputError(what, got=f"{type(error).__name__}: {error}") from error


def _tag(about: Mapping[str, Any]) -> str:
    top, left, height, width = (int(_number(each)) for each in about["box"])
    colour = _three(about["colour"])
    place = "" if about.get("moving") else f", place=({top}, {left})"
    return f"RandomTag(({height}, {width}), {colour}, opacity={_number(about['alpha']):g}{place})"


def _global(name: str, amount: Any) -> str:
    if name == "gain":
        return f"RandomLight(gain={_three(amount)})"
    if name == "tint":
        return f"RandomLight(shift={_three(amount)})"
    number = _number(amount)
    if name == "brightness":
        return f"RandomLight(shift={_three([number] * 3)})"
    if name == "blur":
        kernel = 2 * max(math.ceil(3 * 1.25 * number), 1) + 1
        sigma = f"({number / 10:.3g}, {1.25 * number:.3g})"
        return f"v2.RandomApply([v2.GaussianBlur({kernel}, sigma={sigma})], p=0.5)"
    if name == "jpeg":
        return f"v2.RandomApply([v2.JPEG(quality=({max(1, round(number) - 10)}, 100))], p=0.5)"
    if name in ("contrast", "saturation"):
        low, high = sorted((1.0, number))
        return f"v2.ColorJitter({name}=({max(0.0, low - (high - low) / 4):.3g}, {high + (high - low) / 4:.3g}))"
    if name == "noise":
        return f"RandomNoise({1.25 * number:.3g})"
    if name == "pixelate":
        return f"RandomPixels({max(round(number), 2)})"
    if name == "specks":
        return f"RandomSpecks({min(1.25 * number, 1.0):.3g})"
    if name == "vignette":
        return f"RandomVignette({min(1.25 * number, 1.0):.3g})"
    raise ValueError(f"no such change: {name}")


def _three(values: Any) -> str:
    red, green, blue = (float(f"{_number(each):.4g}") for each in values)
    return f"({red}, {green}, {blue})"


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)
