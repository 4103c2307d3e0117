"""Components of what speaks for a class: principal components of its weighted features, each with its own map.

Neuhaus, Augustin, Boreiko and Hein 2023 (Spurious Features Everywhere), section 3: with psi = w_c * phi(x), element by
element, and the principal components v_l of psi over photos of class c, the logit is a constant and the sum of the
contributions alpha_l = <1, v_l> <v_l, psi - mean>. How much worse the class is known where a component is weak is the
spuriosity gap (Moayeri et al. 2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...errors import MethodError
from ..candidate import Candidate
from ..class_maps import class_map
from ..edits.cutouts import Box, Cutouts
from ..evidence import Evidence
from ..eye import Eye, Pixels, in_batches

LEAST = 30
"""Fewer proposing photos of a class than this have no components worth the name."""
OF_A_CLASS, IN_ALL = 2, 12
"""Components of a class, and of the audit, that are decided by interventions."""
STRONGEST = 0.1
"""The share of a class's photos that carry a component: those in which it is strongest."""
PARTS = 16
"""Cut-outs that are pasted."""
SIDES = (0.25, 0.375, 0.5)
"""Of the photo's sides: a cut-out has the first of them that holds half of what the component's map has."""

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Component:
    """One component of one class.

    Attributes:
        index: of the class.
        number: its rank, 1 for the one whose contributions vary most.
        weights: (D,), contribution = <weights, phi> + constant.
        contributions: (N,), of all rows of the class, in logits, without their mean.
        rows: (N,), their numbers.
        gap: the accuracy in the quarter of them where it is strongest, less that where it is weakest.
    """

    index: int
    number: int
    weights: Doubles
    contributions: Doubles
    rows: npt.NDArray[np.int64]
    gap: float


def components(evidence: Evidence) -> list[Candidate]:
    """The components that a class's accuracy hangs on most; none for a network that is not of CAM's kind.

    What a component shows may well be the object, so none is a suspected shortcut by itself: a person says.

    Raises:
        PhotoError: a photo cannot be read any more.
    """
    rows, eye = evidence.rows, evidence.eye
    usable = np.flatnonzero(evidence.proposing & rows.known)
    if len(usable) < LEAST:
        return []
    try:
        weight = class_map(eye, eye.pixels([rows.paths[usable[0]]])).weight
    except MethodError:
        return []
    if weight is None or weight.shape[1] != rows.features.shape[1]:
        return []
    found = [each for index in np.unique(rows.truth[usable]).tolist()
             for each in _of_class(evidence, int(index), weight[index].double().cpu().numpy())]  # fmt: skip
    found.sort(key=lambda each: (-each.gap, each.index, each.number))
    return [_candidate(evidence, each) for each in found[:IN_ALL]]


def principal(psi: Doubles, count: int) -> tuple[Doubles, Doubles]:
    """The components v_l (count, D) of psi (N, D) whose contributions <1, v_l> <v_l, psi - mean> vary most, each with
    the factor <1, v_l>, (count,).
    """
    _, deviations, directions = np.linalg.svd(psi - psi.mean(0), full_matrices=False)
    factors = directions.sum(1)
    order = np.argsort(-np.abs(factors) * deviations, kind="stable")[:count]
    return directions[order], factors[order]


def _of_class(evidence: Evidence, index: int, own: Doubles) -> Iterator[Component]:
    rows = evidence.rows
    everyone = np.flatnonzero(rows.truth == index)
    psi = rows.features[everyone].astype(np.float64) * own
    proposing = evidence.proposing[everyone]
    if proposing.sum() < LEAST or not np.isfinite(psi).all():
        return
    directions, factors = principal(psi[proposing], OF_A_CLASS)
    for number, (direction, factor) in enumerate(zip(directions, factors, strict=True), 1):
        given = factor * ((psi - psi[proposing].mean(0)) @ direction)
        order = np.flatnonzero(proposing)[np.argsort(given[proposing], kind="stable")]
        quarter = max(1, len(order) // 4)
        right = rows.right[everyone]
        gap = float(right[order[-quarter:]].mean() - right[order[:quarter]].mean())
        yield Component(index, number, factor * direction * own, given, everyone, gap)


def _candidate(evidence: Evidence, each: Component) -> Candidate:
    rows, eye = evidence.rows, evidence.eye
    name = evidence.label(each.index)
    carriers = each.rows[each.contributions >= np.quantile(each.contributions, 1 - STRONGEST)]
    strongest = each.rows[np.argsort(-each.contributions, kind="stable")]
    shown = [row for row in strongest if evidence.proposing[row]][:PARTS]
    photos = eye.pixels([rows.paths[row] for row in shown])
    boxes = where(eye, photos, each.weights)
    parts = [(photo[t : t + h, at : at + w], (t, at, h, w)) for photo, (t, at, h, w) in zip(photos, boxes, strict=True)]
    edit = Cutouts(
        parts, lambda pixels: where(eye, pixels[None], each.weights)[0], f"what component {each.number} of {name} shows"
    )
    why = (
        f"component {each.number} of what speaks for {name}: {100 * each.gap:+.0f} points of accuracy from the quarter "
        "of its photos where it is weakest to that where it is strongest"
    )
    return Candidate(
        id=f"component-{name}-{each.number}", kind="component", class_index=each.index, class_name=name, edit=edit,
        carriers=np.sort(carriers), repeats=False, why=why,
        region={"box": list(boxes[0]), "of": list(photos.shape[1:3])},
    )  # fmt: skip


def where(eye: Eye, pixels: Pixels, weights: Doubles) -> list[Box]:
    """For each of pixels (B, H, W, 3), the box that holds half of the positive part of the map sum_k weights_k f_k."""
    maps = []
    for part in in_batches(pixels, eye.batch_size):
        features = class_map(eye, part).features.detach().double().cpu().numpy()
        maps.append(np.einsum("k,bkhw->bhw", weights, features))
    return [box_of(each, (pixels.shape[1], pixels.shape[2])) for each in np.concatenate(maps)]


def box_of(values: Doubles, size: tuple[int, int]) -> Box:
    """The smallest box of ``SIDES`` that holds half of the positive part of a map (h, w), in pixels of ``size``; the
    largest, where none does.
    """
    cells = np.maximum(values, 0)
    spread = np.kron(cells, np.ones((max(1, 8 // cells.shape[0]), max(1, 8 // cells.shape[1]))))
    total = np.pad(spread.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    for share in SIDES:
        tall, wide = (max(1, round(share * side)) for side in spread.shape)
        held = total[tall:, wide:] - total[:-tall, wide:] - total[tall:, :-wide] + total[:-tall, :-wide]
        top, left = np.unravel_index(int(held.argmax()), held.shape)
        if held[top, left] >= spread.sum() / 2:
            break
    scale = size[0] / spread.shape[0], size[1] / spread.shape[1]
    height, width = (max(1, round(share * side)) for side in size)
    return min(round(top * scale[0]), size[0] - height), min(round(left * scale[1]), size[1] - width), height, width
