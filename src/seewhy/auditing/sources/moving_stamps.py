"""A tag that repeats nearly exactly at changing places: cut where the model looks, matched everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from .fixed_stamps import reduced, reduction
from .pattern import Floats, Mask, Pattern, Pixels, box_of, components

CUT_FROM = 24
FIRST = 30
"""All templates are matched over so many photos of the class and of the others; the best over all of them."""
BEST = 8
NEAR = 12.0
"""The root mean square difference, of 255, up to which a template matches."""
STEADY = 5.0
"""The median deviation, of 255, up to which a pixel is of the tag over its matches."""
LEAST_SHARE = 0.15
TIMES = 5
ONE_PLACE = 0.8
"""A tag is at one place if so many of the photos that carry it have it there."""


def moving_stamp(own: Pixels, maps: Floats, others: Pixels, random: np.random.Generator) -> Pattern | None:
    """The tag that photos of one class carry at changing places, or None.

    Args:
        own: (N, H, W, 3) uint8, photos of the class.
        maps: (N, h, w), where the model looks for the class in each of them.
        others: (M, H, W, 3) uint8, photos of other classes.
        random: which photos templates are cut from.
    """
    small, small_others = reduced(own), reduced(others)
    side = max(4, max(small.shape[1:3]) // 12)
    if min(small.shape[1:3]) < 2 * side or not np.isfinite(maps).all() or np.ptp(maps) == 0:
        return None
    chosen = np.sort(random.choice(len(own), min(CUT_FROM, len(own)), replace=False))
    templates = np.concatenate([cuts(small[n], maps[n].astype(np.float32), side) for n in chosen])
    some = random.permutation(len(own))[:FIRST], random.permutation(len(others))[:FIRST]
    best = torch.from_numpy(share_of(small[some[0]], templates) - 2 * share_of(small_others[some[1]], templates))
    for index in best.topk(min(BEST, len(best))).indices.tolist():
        template = templates[index : index + 1]
        share, elsewhere = (float(share_of(each, template)[0]) for each in (small, small_others))
        if share >= LEAST_SHARE and share >= TIMES * elsewhere:
            tag = aligned(small, template[0])
            if tag is not None:
                grown = enlarged(tag, reduction(own))
                share, elsewhere = (float(matching(each, grown).mean()) for each in (own, others))
                if share >= LEAST_SHARE and share >= TIMES * elsewhere:
                    return Pattern(grown.box, grown.alpha, grown.colour, share, elsewhere)
    return None


def cuts(photo: Pixels, heat: Floats, side: int) -> Pixels:
    """(9, side, side, 3): squares about the hottest cell of a map, one in the middle and eight about it."""
    row, column = divmod(int(heat.argmax()), heat.shape[1])
    height, width = photo.shape[:2]
    tall, wide = height / heat.shape[0], width / heat.shape[1]
    step = max(1, side // 2)
    out = []
    for down in (-step, 0, step):
        for across in (-step, 0, step):
            top = int(np.clip(round((row + 0.5) * tall - side / 2 + down), 0, height - side))
            left = int(np.clip(round((column + 0.5) * wide - side / 2 + across), 0, width - side))
            out.append(photo[top : top + side, left : left + side])
    return np.stack(out)


def distances(pixels: Pixels, templates: Floats | Pixels, weights: Floats) -> torch.Tensor:
    """(N, T, H - h + 1, W - w + 1): root mean square differences, of 255, of templates (T, h, w, 3) at every place.

    ``weights`` (h, w) says which of their pixels count.
    """
    photos = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    mask = torch.from_numpy(weights.astype(np.float32))[None, None]
    wanted = torch.from_numpy(templates.astype(np.float32)).permute(0, 3, 1, 2) / 255 * mask
    squares = F.conv2d((photos**2).sum(1, keepdim=True), mask)
    far = squares - 2 * F.conv2d(photos, wanted) + (wanted**2).sum((1, 2, 3))[:, None, None]
    return 255 * (far / (3 * mask.sum())).clamp_min(0).sqrt()


def share_of(pixels: Pixels, templates: Pixels) -> npt.NDArray[np.float32]:
    """(T,): the share of photos in which each template matches somewhere."""
    weights = np.ones(templates.shape[1:3], np.float32)
    parts = [distances(pixels[n : n + 20], templates, weights).amin((2, 3)) for n in range(0, len(pixels), 20)]
    out: npt.NDArray[np.float32] = (torch.cat(parts) <= NEAR).float().mean(0).numpy()
    return out


def aligned(pixels: Pixels, template: Pixels) -> Pattern | None:
    """The whole tag that a template was cut from: what is steady over its matches, or None where no edge is found."""
    side = len(template)
    far = distances(pixels, template[None], np.ones((side, side), np.float32))[:, 0]
    flat = far.flatten(1)
    hits = np.flatnonzero((flat.amin(1) <= NEAR).numpy())
    tops, lefts = np.divmod(flat.argmin(1).numpy()[hits], far.shape[2])
    reach = 2 * side
    padding = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    padded = np.pad(pixels[hits].astype(np.float32), padding, constant_values=np.nan)
    size = side + 2 * reach
    windows = np.stack([each[y : y + size, x : x + size] for each, y, x in zip(padded, tops, lefts, strict=True)])
    enough = np.isfinite(windows[..., 0]).sum(0) >= max(4, len(hits) // 4)
    windows[:, ~enough] = 0
    colour = np.nanmedian(windows, axis=0)
    spread = np.nanmedian(np.abs(windows - colour), axis=0).max(2)
    steady = enough & (spread <= STEADY)
    core = np.zeros_like(steady)
    core[reach : reach + side, reach : reach + side] = True
    parts = [part for part in components(steady, reach=1) if (part & core).any()]
    if not parts:
        return None
    part = parts[0]
    outside = enough & ~steady
    if (part & core).sum() < side or outside.sum() < side or np.median(spread[outside]) < 4 * STEADY:
        return None
    top, left, height, width = box_of(part)
    cut = part[top : top + height, left : left + width]
    inside = colour[top : top + height, left : left + width]
    box = (max(0, int(tops[0]) - reach + top), max(0, int(lefts[0]) - reach + left), height, width)
    return Pattern(box, cut.astype(np.float32), (inside * cut[..., None]).astype(np.float32), 0.0, 0.0)


def enlarged(pattern: Pattern, factor: int) -> Pattern:
    """A pattern of ``reduced`` photos at the size of the photos."""
    top, left, height, width = (each * factor for each in pattern.box)
    alpha = pattern.alpha.repeat(factor, 0).repeat(factor, 1)
    colour = pattern.colour.repeat(factor, 0).repeat(factor, 1)
    return Pattern((top, left, height, width), alpha, colour, pattern.share, pattern.elsewhere)


def at_one_place(pixels: Pixels, pattern: Pattern) -> Pattern | None:
    """The pattern at the place where most photos that carry it have it, within a pixel of what is searched; or None."""
    far = torch.cat([*matches(pixels, pattern)])
    hits = far[far.amin((1, 2)) <= NEAR]
    if not len(hits):
        return None
    flat = hits.flatten(1).argmin(1)
    places = torch.stack([flat // far.shape[2], flat % far.shape[2]], 1)
    middle = places.median(0).values
    if float(((places - middle).abs() <= 1).all(1).float().mean()) < ONE_PLACE:
        return None
    top, left = (middle * reduction(pixels)).tolist()
    height, width = pattern.box[2:]
    return replace(pattern, box=(min(top, pixels.shape[1] - height), min(left, pixels.shape[2] - width), height, width))


def matching(pixels: Pixels, pattern: Pattern) -> Mask:
    """(N,): the photos in which an opaque pattern matches somewhere."""
    out: Mask = (torch.cat([far.amin((1, 2)) for far in matches(pixels, pattern)]) <= NEAR).numpy()
    return out


def matches(pixels: Pixels, pattern: Pattern) -> Iterator[torch.Tensor]:
    """Of some photos after the other (n, H - h + 1, W - w + 1), how far an opaque pattern is from them at every place
    of ``reduced`` photos.
    """
    small, factor = reduced(pixels), reduction(pixels)
    alpha, colour = pattern.alpha[::factor, ::factor], pattern.colour[::factor, ::factor]
    for start in range(0, len(small), 100):
        yield distances(small[start : start + 100], colour[None], alpha)[:, 0]
