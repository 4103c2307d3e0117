"""What repeats at one place over the photos of one class, opaque or translucent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .pattern import Box, Floats, Mask, Pattern, Pixels, box_of, components, gradients

SIDE = 96
"""Search happens on photos reduced to at most this side; the fit on the pixels that the model sees."""
LEAST_STEP = 7.0
"""The least median step between neighbours, of 255, that is called an edge of a stamp."""
NEAR = 20
"""How far, of 255 and in each channel, an opaque stamp may differ from photo to photo (JPEG's ringing)."""
COMMON = 0.2
"""A colour that more than this share of the pixels of other classes has is a background, no stamp."""
LEAST_PIXELS = 4
MOST_STAMPS = 3
AGAIN = 6
"""Fits of a translucent stamp to other draws of the photos."""
TOGETHER = 0.8
"""Parts are of one stamp if so many of the photos that show any of them show all of them."""


def reduced(pixels: Pixels) -> Pixels:
    """Photos (N, H, W, 3) averaged over squares so that no side is beyond ``SIDE``."""
    factor = reduction(pixels)
    height, width = pixels.shape[1] // factor * factor, pixels.shape[2] // factor * factor
    if factor == 1:
        return pixels
    total = np.zeros((len(pixels), height // factor, width // factor, 3), np.uint32)
    for down in range(factor):
        for across in range(factor):
            total += pixels[:, down:height:factor, across:width:factor]
    return np.round(total / factor**2).astype(np.uint8)


def reduction(pixels: Pixels) -> int:
    """The side of the squares that ``reduced`` averages over."""
    longest: int = max(pixels.shape[1:3])
    return -(-longest // SIDE)


def median_steps(pixels: Pixels) -> Floats:
    """(2, H, W, 3) float32: the median over photos (N, H, W, 3) of the steps down and to the right.

    After Dekel, Rubinstein, Liu and Freeman 2017, "On the effectiveness of visible watermarks": the gradients of
    photos differ and cancel, those of a watermark stay.
    """
    return np.stack([np.median(each, axis=0) for each in gradients(pixels.astype(np.int16))]).astype(np.float32)


def beyond(own: Floats, others: Floats) -> Floats:
    """(H, W): how far the median steps of a class stand out, both from 0 and from those of the others."""
    out: Floats = np.minimum(np.abs(own), np.abs(own - others)).max((0, 3))
    return out


def chance(others: Pixels, size: int, random: np.random.Generator, groups: int = 12) -> float:
    """The largest ``beyond`` of random groups of ``size`` photos (reduced) of other classes: what chance gives."""
    steps = median_steps(others)
    size = min(size, len(others))
    drawn = [random.choice(len(others), size, replace=False) for _ in range(groups)]
    return max(float(beyond(median_steps(others[each]), steps).max()) for each in drawn)


def from_steps(steps: Floats) -> Floats:
    """(H, W, C), the picture whose steps (2, H, W, C) are the nearest in least squares, with median 0 (Poisson)."""
    down, right = steps.astype(np.float64)
    source = down + right
    source[1:] -= down[:-1]
    source[:, 1:] -= right[:, :-1]
    mirrored = np.concatenate([source, source[::-1]], axis=0)
    mirrored = np.concatenate([mirrored, mirrored[:, ::-1]], axis=1)
    height, width = mirrored.shape[:2]
    of_rows = 2 * np.cos(2 * np.pi * np.arange(height) / height) - 2
    of_columns = 2 * np.cos(2 * np.pi * np.arange(width) / width) - 2
    scale = of_rows[:, None] + of_columns[None]
    scale[0, 0] = 1
    waves = np.fft.fft2(mirrored, axes=(0, 1)) / scale[..., None]
    waves[0, 0] = 0
    picture = np.fft.ifft2(waves, axes=(0, 1)).real[: height // 2, : width // 2]
    out: Floats = picture - np.median(picture, axis=(0, 1))
    return out


def raised(own: Floats, others: Floats, threshold: float) -> Mask:
    """(H, W): where the picture of the steps that stand out is far from 0."""
    high = beyond(own, others)
    if high.max() < threshold:
        return np.zeros(high.shape, np.bool_)
    difference = own - others
    sharp = np.where(np.abs(difference) >= threshold / 2, difference, 0)
    level = np.abs(from_steps(sharp)).max(2)
    out: Mask = level > np.maximum(0.4 * np.quantile(level, 0.995), threshold / 2)
    return out


def steady(own: Pixels, others: Pixels, random: np.random.Generator) -> Mask:
    """(H, W): where most photos of a class have nearly one colour, which is rare in the others there and anywhere."""
    median = np.median(own, axis=0).astype(np.int16)
    share = near(own, median).mean(0)
    elsewhere = near(others, median).mean(0)
    hot: Mask = (share >= 0.45 + 0.5 / np.sqrt(len(own))) & (elsewhere <= share / 2)
    colours = others.reshape(-1, 3)
    colours = colours[random.integers(len(colours), size=20_000)].astype(np.int16)
    for y, x in np.argwhere(hot):
        hot[y, x] = (np.abs(colours - median[y, x]) <= NEAR).all(1).mean() <= COMMON
    return hot


def near(pixels: Pixels, colour: npt.NDArray[np.int16]) -> Mask:
    """(N, H, W): where photos are about ``colour`` (H, W, 3) in each channel."""
    out: Mask = (np.abs(pixels.astype(np.int16) - colour) <= NEAR).all(-1)
    return out


def fixed_stamps(own: Pixels, others: Pixels, threshold: float, random: np.random.Generator) -> list[Pattern]:
    """The stamps that photos of one class carry at one place.

    Args:
        own: (N, H, W, 3) uint8, photos of the class.
        others: (M, H, W, 3) uint8, of other classes.
        threshold: of ``beyond``, what neither chance nor the classes' own looks give.
        random: which pixels of others are compared with.
    """
    small, small_others = reduced(own), reduced(others)
    masks = [
        steady(small, small_others, random),
        raised(median_steps(small), median_steps(small_others), threshold),
    ]
    least = LEAST_PIXELS * reduction(own) ** 2
    of_colour, of_steps = (fitted_parts(own, others, enlarged(mask, own), least) for mask in masks)
    opaque = [each for each in of_colour if each.alpha.max() == 1]
    found: list[Pattern] = []
    for pattern in [*opaque, *of_steps, *of_colour]:  # of a translucent one, colours are steady in a part only
        if not any(overlapping(pattern.box, each.box) for each in found):
            found.append(pattern)
    return found[:MOST_STAMPS]


def fitted_parts(own: Pixels, others: Pixels, mask: Mask, least: int) -> list[Pattern]:
    """The patterns of a mask (H, W): one of all of it where the photos that show one part show all, as of letters, or
    of bars above and below a picture; else one of each of its largest parts of at least so many pixels.
    """
    parts = [part for part in components(mask)[:MOST_STAMPS] if part.sum() >= least]
    found = [pattern for part in parts if (pattern := fitted(own, others, part)) is not None]
    show = np.stack([shown(own, each) for each in found]) if found else np.ones((1, len(own)), np.bool_)
    together = show.all(0).sum() >= TOGETHER * show.any(0).sum()
    whole = fitted(own, others, mask) if len(parts) > 1 and together else None
    return [whole] if whole is not None and whole.share >= TOGETHER * show.any(0).mean() else found


def overlapping(one: Box, other: Box) -> bool:
    """Whether two boxes have a pixel in common."""
    tops, lefts = (max(one[side], other[side]) for side in (0, 1))
    ends = (min(one[side] + one[2 + side], other[side] + other[2 + side]) for side in (0, 1))
    return all(start < end for start, end in zip((tops, lefts), ends, strict=True))


def enlarged(mask: Mask, pixels: Pixels) -> Mask:
    """(H, W): a mask of ``reduced`` photos at the size of the photos."""
    factor = reduction(pixels)
    out = np.zeros(pixels.shape[1:3], np.bool_)
    large = mask.repeat(factor, 0).repeat(factor, 1)
    out[: large.shape[0], : large.shape[1]] = large
    return out


def around(mask: Mask) -> Mask:
    """(H, W): what is beside a stamp, within a sixteenth of the side but at least two pixels."""
    top, left, height, width = box_of(mask)
    reach = max(2, max(mask.shape) // 16)
    ring = np.zeros_like(mask)
    ring[max(0, top - reach) : top + height + reach, max(0, left - reach) : left + width + reach] = True
    ring &= ~mask
    return ring if ring.any() else ~mask


def fitted(own: Pixels, others: Pixels, mask: Mask) -> Pattern | None:
    """The opacity and colour of a stamp, or None where too few photos of the class or too many others show it.

    Pixel by pixel a photo goes linearly with the mean of what is beside the stamp, r: photo = i + s · r. With a
    stamp this is (1 − α)(i + s · r) + α · colour. So the slopes' ratio gives α, and the rest the colour.
    """
    if mask.all():
        return None
    box = box_of(mask)
    ring = around(mask)
    inside = within(box)
    r_own, r_others = (pixels[:, ring].mean(1, dtype=np.float64) for pixels in (own, others))
    x_own, x_others = (pixels[inside].astype(np.float64) for pixels in (own, others))
    cut = mask[inside[1:]]
    slope, intercept = lines(r_others, x_others)
    carriers = np.ones(len(own), np.bool_)
    pattern = None
    for _ in range(4):
        slope_own, intercept_own = lines(r_own[carriers], x_own[carriers])
        alpha = 1 - float(np.median(slope_own[cut]) / max(float(np.median(slope[cut])), 0.2))
        alpha = 1.0 if alpha > 0.85 else max(alpha, 0.1)
        colour = np.median(x_own[carriers], axis=0)
        if alpha < 1:
            away = x_own[carriers] - intercept_own - slope_own * r_own[carriers, None, None]
            far = 1 + float((r_own[carriers].mean(0) ** 2 / np.maximum(r_own[carriers].var(0), 1)).mean())
            noise = float(np.median(away.std(0)[cut])) * np.sqrt(far / carriers.sum()) / alpha  # of an intercept
            colour = evened((intercept_own - (1 - alpha) * intercept) / alpha, cut, noise).clip(0, 255)
        share = float(carriers.mean())
        pattern = Pattern(box, (alpha * cut).astype(np.float32), (colour * cut[..., None]).astype(np.float32), share, 0)
        carriers = shown(own, pattern)
        if carriers.sum() < 8:
            return None
    if pattern is None:
        return None
    share, elsewhere = (
        float(carriers.mean()),
        float((shown(others, pattern) & (contrast(others, pattern) > NEAR)).mean()),
    )
    if share < 0.3 or elsewhere > share / 4:
        return None
    return Pattern(pattern.box, pattern.alpha, pattern.colour, share, elsewhere)


def evened(colour: Floats, cut: Mask, noise: float) -> Floats:
    """One colour for all pixels of a mask (h, w) where those of ``colour`` (h, w, 3) differ no more than by noise, of
    this deviation.
    """
    middle = np.median(colour[cut], axis=0)
    return np.broadcast_to(middle, colour.shape) if np.median(np.abs(colour[cut] - middle)) <= noise else colour


def fitted_again(own: Pixels, others: Pixels, pattern: Pattern, random: np.random.Generator) -> list[Pattern]:
    """Fits of a translucent stamp to photos drawn with replacement: how far its opacity and colour are known."""
    if pattern.alpha.max() == 1:
        return []
    mask = np.zeros(own.shape[1:3], np.bool_)
    mask[within(pattern.box)[1:]] = pattern.alpha > 0
    found = []
    for _ in range(AGAIN):
        here, there = (each[random.integers(len(each), size=len(each))] for each in (own, others))
        if (fit := fitted(here, there, mask)) is not None:
            found.append(fit)
    return found


def within(box: Box) -> tuple[slice, slice, slice]:
    """The index of a box in photos (N, H, W, 3)."""
    top, left, height, width = box
    return slice(None), slice(top, top + height), slice(left, left + width)


def lines(r: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Slope and intercept (h, w, 3) of x (N, h, w, 3) on r (N, 3), in least squares."""
    away = r - r.mean(0)
    slope = np.einsum("nc,nhwc->hwc", away, x) / np.maximum((away**2).sum(0), 1e-9)
    out: Floats = x.mean(0) - slope * r.mean(0)
    return slope, out


def shown(pixels: Pixels, pattern: Pattern) -> Mask:
    """(N,): the photos that show a stamp at its place: an opaque one nearly exactly, another by its ``strength``."""
    if pattern.alpha.max() < 1:
        out: Mask = strength(pixels, pattern) > 0.5
        return out
    cut = pixels[within(pattern.box)]
    like: Mask = near(cut, pattern.colour.round().astype(np.int16))[:, pattern.alpha > 0].mean(1) > 0.6
    return like


def contrast(pixels: Pixels, pattern: Pattern) -> Floats:
    """(N,): how far, of 255, a stamp's colour is from what is beside it: a white wall shows no white stamp."""
    mask = np.zeros(pixels.shape[1:3], np.bool_)
    mask[within(pattern.box)[1:]] = pattern.alpha > 0
    beside = pixels[:, around(mask)].mean(1)
    out: Floats = np.abs(beside[:, None] - pattern.colour[pattern.alpha > 0]).max(2).mean(1)
    return out


def strength(pixels: Pixels, pattern: Pattern) -> Floats:
    """(N,): how much of a stamp each photo (N, H, W, 3) shows at the stamp's place, 1 where all of it, 0 where none.

    A matched filter in the domain of steps, where photos are nearly white noise.
    """
    mask = np.zeros(pixels.shape[1:3], np.bool_)
    inside = within(pattern.box)[1:]
    mask[inside] = pattern.alpha > 0
    beside = pixels[:, around(mask)].mean(1, dtype=np.float32)
    top, left, height, width = pattern.box
    first = max(0, top - 1), max(0, left - 1)
    cut = (slice(first[0], top + height + 1), slice(first[1], left + width + 1))
    alpha = np.zeros((*mask.shape, 1), np.float32)
    alpha[inside] = pattern.alpha[..., None]
    colour = np.zeros((*mask.shape, 3), np.float32)
    colour[inside] = pattern.colour
    out = np.empty(len(pixels))
    for n, photo in enumerate(pixels):
        added = alpha[cut] * (colour[cut] - beside[n])
        wanted, seen = np.stack(gradients(added)), np.stack(gradients(photo[cut].astype(np.float32)))
        out[n] = (wanted * seen).sum() / max(float((wanted**2).sum()), 1e-9)
    return out
