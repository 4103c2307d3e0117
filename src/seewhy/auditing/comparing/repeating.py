"""Repeating: the stamps of an audit are put into the same photos for two models, with the same draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from ...models import Classifier
from ..album import Album
from ..candidate import Candidate
from ..correction import RATE
from ..evidence import Evidence
from ..eye import Eye, Pixels
from ..finding import Finding
from ..interventions import FEWEST, Pasted, hosts_of, put_into
from ..sources.stamps import stamps
from ..statistics import bootstrap_interval, sign_flip

Ints = npt.NDArray[np.integer[Any]]

DRAWS = 4
"""Controls of each photo, as in an audit."""

DECIMALS = 4
"""Changes of probability that differ by less are called the same: two networks that are equal but for the order of
their sums differ by so much less, always in the same direction."""


@dataclass(frozen=True, eq=False)
class Repeated:
    """A stamp, put into the same photos for both models.

    Attributes:
        id: of the finding.
        name: the stamp in words.
        class_name: the class that it may speak for.
        photos: how many it was put into.
        a, b: the mean change of the probability of the class.
        a_ci, b_ci: their bootstrap intervals.
        a_beyond, b_beyond: the mean change beyond that under controls.
        difference: the mean of what it does beyond controls to the second model rather than to the first, and ``ci``.
        p, q: of the sign-flip test of these differences; q once all tests are corrected for each other.
    """

    id: str
    name: str
    class_name: str
    photos: int
    a: float
    a_ci: tuple[float, float]
    b: float
    b_ci: tuple[float, float]
    a_beyond: float
    b_beyond: float
    difference: float
    ci: tuple[float, float]
    p: float
    q: float = 1.0

    @property
    def worse(self) -> bool:
        """It does significantly more to the second model, in either direction."""
        return abs(self.b_beyond) > abs(self.a_beyond) and self.q <= RATE

    @property
    def better(self) -> bool:
        """It does significantly less to the second model, in either direction."""
        return abs(self.b_beyond) < abs(self.a_beyond) and self.q <= RATE

    @property
    def sentence(self) -> str:
        """What it does to either model."""
        return (
            f"{self.name} moves {self.class_name} by {self.b_beyond:+.3f} beyond controls rather than "
            f"{self.a_beyond:+.3f} (q {self.q:.2g})"
        )


class _Beside(Eye):
    """What another model says of the pixels that an eye sees.

    Args:
        eye: what sees the photos.
        classifier: the other model; pixels are resized where its input is of another size.
    """

    def __init__(self, eye: Eye, classifier: Classifier):
        super().__init__(classifier, eye.root, eye.batch_size)
        self._eye = eye

    def pixels(self, paths: Sequence[str]) -> Pixels:
        return self._eye.pixels(paths)

    def inputs(self, pixels: Pixels) -> Tensor:
        height, width = self.classifier.input_size
        sized = [Image.fromarray(each) for each in pixels]
        if pixels.shape[1:3] != (height, width):
            sized = [each.resize((width, height), Image.Resampling.BILINEAR) for each in sized]
        return torch.cat([self.classifier.normalised(each) for each in sized])


def repeat(
    findings: Sequence[Finding], evidence: Evidence, other: Classifier, classes: Ints, seed: int, *, swapped: bool
) -> tuple[list[Repeated], list[str]]:
    """Stamps that an audit found, found again in the same photos, and put into those that did not propose, for two
    models: the same photos, places and controls. What cannot be repeated is said, a line each.

    Args:
        findings: of the audit; what is no stamp is left out.
        evidence: the photos, split as in the audit, and the model that the stamps are found with.
        other: the other model.
        classes: (K,), for each class of the evidence's model the other's class of that name.
        seed: of the places and of the controls.
        swapped: the evidence's model is the second.

    Raises:
        PhotoError: a photo can no longer be read.
    """
    wanted = [each for each in findings if each.kind == "stamp"]
    notes = [f"{each.id} is not repeated: it was answered to be real" for each in wanted if each.answer == "real"]
    wanted = [each for each in wanted if each.answer != "real"]
    named = {each.class_name for each in wanted if each.class_name is not None}
    known = {each.id: each for each in stamps(evidence, named)} if wanted else {}
    beside = replace(evidence, eye=_Beside(evidence.eye, other))
    albums = Album(evidence), Album(beside)
    done = []
    for finding in wanted:
        if finding.id not in known:
            notes.append(f"{finding.id} is not repeated: it is not found in these photos")
            continue
        candidate = known[finding.id]
        hosts, content = hosts_of(candidate, albums[0])
        if len(hosts) < FEWEST:
            notes.append(f"{finding.id} is not repeated: {len(hosts)} photos to put it into, fewer than {FEWEST}")
            continue
        sides = [candidate, replace(candidate, class_index=int(classes[candidate.class_index]))]
        first, second = (
            put_into(side, album, hosts, content, DRAWS, _random(seed, f"repeat {finding.id}"))
            for side, album in zip(sides, albums, strict=True)
        )
        a, b = (second, first) if swapped else (first, second)
        done.append(_repeated(candidate, a, b, seed))
    return done, notes


def _repeated(candidate: Candidate, a: Pasted, b: Pasted, seed: int) -> Repeated:
    a_beyond, b_beyond = (each.beyond(any_kind=False) for each in (a, b))
    differences = np.round(b_beyond - a_beyond, DECIMALS)

    def rng() -> np.random.Generator:  # the same for either model, so that equal models have equal intervals
        return _random(seed, f"test {candidate.id}")

    return Repeated(
        id=candidate.id, name=candidate.edit.describe()["name"], class_name=candidate.class_name,
        photos=len(differences), a=float(a.change.mean()), a_ci=bootstrap_interval(a.change, rng()),
        b=float(b.change.mean()), b_ci=bootstrap_interval(b.change, rng()), a_beyond=float(a_beyond.mean()),
        b_beyond=float(b_beyond.mean()), difference=float(differences.mean()),
        ci=bootstrap_interval(differences, rng()), p=sign_flip(differences, rng()),
    )  # fmt: skip


def _random(seed: int, what: str) -> np.random.Generator:
    return np.random.default_rng([seed, *what.encode()])
