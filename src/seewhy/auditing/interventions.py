"""Interventions decide: a candidate is put into photos and taken out of them, beside matched controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import events
from .advice import advised
from .album import Album
from .candidate import Candidate
from .correction import SMALLEST
from .evidence import Evidence
from .example import example_of
from .finding import Finding
from .passing.rows import Rows
from .removal import TOGETHER, Removal, measured_removal, parts
from .statistics import bootstrap_interval, sign_flip, wilson_interval

Ints = npt.NDArray[np.integer[Any]]
Doubles = npt.NDArray[np.float64]

FEWEST = 12
"""Photos below which nothing is tested."""

CONTENTS = 32
"""Photos whose content controls show, of either kind."""

REFITTED = 64
"""Photos that the edits as likely as a candidate's are measured on."""

SAME, OTHER = "same class", "other classes"
"""Whose content a control shows."""


def decide(candidates: Sequence[Candidate], evidence: Evidence, photos: int = 200, draws: int = 4) -> list[Finding]:
    """One finding for each candidate, in their order, measured on photos that candidates were not made of.

    Each candidate is put into photos of other classes that do not carry it. Of each photo,
    ``d = change under it - mean change under its controls``, of the probability of the candidate's class; p is of the
    sign-flip test of all d. Controls have the content of photos of the same class and of others, at the same place.
    What does not repeat as no object does must do more than any content of the class: of its controls those count of
    the kind that does more. (Of what repeats, photos of the class may well have it and not be known as carriers.)
    A photo whose truth is not known is of the class that is predicted.

    Each finding: ``effect`` and ``ci`` are the mean change of probability under the candidate and its bootstrap
    interval, wider where the candidate was estimated (``detail["ci_of_this_change"]`` is without that);
    ``detail["beyond_controls"]`` the same of d; ``controls`` the mean change under either kind of control;
    ``detail["example"]`` one photo under it, where the effect is not small (``example.example_of``);
    ``explained`` how many decisions for the class, of measured carriers, change with every fill when it is taken out;
    where it cannot be taken out, it is estimated: as many of them as photos are called the class because of it.
    ``state`` is "too_few" below ``FEWEST`` photos; otherwise it is left to ``correction.corrected``.

    Args:
        candidates: what to decide.
        evidence: the photos and the model.
        photos: the most to put each candidate into, and to take it out of.
        draws: controls of each photo, half of them of either kind.

    Raises:
        PhotoError: a photo can no longer be read.
    """
    album = Album(evidence)
    found: list[Finding] = []
    events.progress(0, len(candidates))
    for candidate in candidates:
        found.append(_decided(candidate, album, photos, max(2, draws)))
        events.progress(len(found), len(candidates), found[-1])
    return found


@dataclass(frozen=True, eq=False)
class Pasted:
    """What was measured on n photos of other classes.

    Attributes:
        rows, seeds: (n,), which photos, and the seeds with which they were changed.
        change: (n,), of p(class) under the candidate.
        controls: by kind (n, draws of that kind), the same under controls; kinds without content are left out.
        before, after: (n,) bool, whether they are called the class without it and with it.
        called: by kind, the share called the class under controls.
    """

    rows: Ints
    seeds: Ints
    change: Doubles
    controls: dict[str, Doubles]
    before: npt.NDArray[np.bool_]
    after: npt.NDArray[np.bool_]
    called: dict[str, float]

    def beyond(self, *, any_kind: bool) -> Doubles:
        """(n,), the change beyond the mean of the controls; ``any_kind``: of those of the kind that does more."""
        drawn = self.controls.values()
        counted = max(drawn, key=np.mean) if any_kind else np.concatenate(list(drawn), 1)
        beyond: Doubles = self.change - counted.mean(1)
        return beyond

    @property
    def more_called(self) -> float:
        """The share called the class with the candidate, beyond those without it and under controls."""
        return max(0.0, float(self.after.mean()) - max(float(self.before.mean()), *self.called.values()))


def _decided(candidate: Candidate, album: Album, photos: int, draws: int) -> Finding:
    evidence = album.evidence
    rng = evidence.random(f"decide {candidate.id}")
    measured = ~np.asarray(evidence.proposing, bool)
    carries = _carrying(candidate, evidence)
    hosts, content = hosts_of(candidate, album, photos)
    about = candidate.edit.describe()
    removal = measured_removal(candidate, album, measured & carries, photos, rng)
    pasted = put_into(candidate, album, hosts, content, draws, rng) if len(hosts) >= FEWEST else None
    count = len(hosts) if pasted is None else len(pasted.change)
    if pasted is None or count < FEWEST:
        sentence = f"too few photos to tell what {about['name']} does: {count} of other classes than "
        return _finding(candidate, evidence, about, sentence + candidate.class_name, removal, state="too_few")
    beyond = pasted.beyond(any_kind=not candidate.repeats)
    flipped = int((pasted.after & ~pasted.before).sum())
    if not removal.change:
        called = measured & carries & (evidence.rows.predicted == candidate.class_index)
        removal = replace(removal, explained=round(pasted.more_called * int(called.sum())))
    effect, interval = float(pasted.change.mean()), bootstrap_interval(pasted.change, rng)
    return _finding(
        candidate, evidence, about, _sentence(candidate, about, pasted), removal,
        effect=effect, ci=_widened(interval, effect, uncertainty(candidate, album, hosts, pasted)),
        p=sign_flip(beyond, rng),
        controls={kind: float(change.mean()) for kind, change in pasted.controls.items()},
        more={
            "photos": count, "flipped": flipped / count, "flipped_ci": wilson_interval(flipped, count),
            "called": float(pasted.after.mean()), "called_before": float(pasted.before.mean()),
            "called_under_controls": pasted.called,
            "ci_of_this_change": interval,
            "beyond_controls": {"effect": float(beyond.mean()), "ci": bootstrap_interval(beyond, rng)},
            "example": _example(candidate, album, pasted) if abs(effect) >= SMALLEST else None,
        },
    )  # fmt: skip


def _example(candidate: Candidate, album: Album, pasted: Pasted) -> dict[str, Any]:
    """The photo of the median change: of those called the class only with the candidate, if there are any."""
    turned = pasted.after & ~pasted.before
    among = np.flatnonzero(turned) if turned.any() else np.arange(len(turned))
    one = int(among[np.argsort(pasted.change[among], kind="stable")[(len(among) - 1) // 2]])
    row, seed = int(pasted.rows[one]), int(pasted.seeds[one])
    photo = album[[row]][0]
    return example_of(album.evidence, row, photo, candidate.edit.added(photo, np.random.default_rng(seed)))


def hosts_of(candidate: Candidate, album: Album, photos: int = 200) -> tuple[Ints, dict[str, Ints]]:
    """Rows that a candidate is put into, at most ``photos``: measured ones of other classes that do not carry it; and
    by kind the rows whose content its controls show.
    """
    evidence = album.evidence
    measured, carries = ~np.asarray(evidence.proposing, bool), _carrying(candidate, evidence)
    here = belongs(evidence.rows) == candidate.class_index
    same = measured & here & ~carries
    content = {
        SAME: album.some(same if same.any() else here & ~carries, CONTENTS),
        OTHER: album.some(measured & ~here & ~carries, CONTENTS),
    }
    return album.some(measured & ~here & ~carries, photos), content


def _carrying(candidate: Candidate, evidence: Evidence) -> npt.NDArray[np.bool_]:
    carries = np.zeros(len(evidence.rows), bool)
    carries[candidate.carriers] = True
    return carries


def belongs(rows: Rows) -> Ints:
    """(N,), the class of each photo: the true one; where it is not known, the predicted one."""
    classes: Ints = np.where(rows.known, rows.truth, rows.predicted)
    return classes


def put_into(
    candidate: Candidate,
    album: Album,
    hosts: Ints,
    content: dict[str, Ints],
    draws: int,
    rng: np.random.Generator,
) -> Pasted:
    """What a candidate does in ``hosts``, beside ``draws`` controls of each, with content of those rows by kind."""
    kinds = [kind for kind, rows in content.items() if len(rows)]
    shares = dict(zip(kinds, ([draws - draws // 2, draws // 2] if len(kinds) == 2 else [draws]), strict=True))
    order = [kind for kind in kinds for _ in range(shares[kind])]
    pixels = {kind: album[content[kind]] for kind in kinds}
    seeds = rng.integers(1 << 62, size=len(hosts))  # a moving stamp and its controls are at one place
    changes, calls = [], []
    for rows, drawn in zip(parts(hosts, TOGETHER), parts(seeds, TOGETHER), strict=True):
        groups = []
        for row, seed, photo in zip(rows, drawn, album[rows], strict=True):
            variants = [candidate.edit.added(photo, np.random.default_rng(seed))]
            for kind in order:
                other = pixels[kind][_drawn(content[kind], row, rng)]
                variants.append(candidate.edit.control(photo, other, np.random.default_rng(seed)))
            groups.append((photo, variants))
        said = np.stack(album.evidence.eye.beside.said(groups))
        own = said[..., candidate.class_index].astype(np.float64)
        changes.append(own[:, 1:] - own[:, :1])
        calls.append(said.argmax(2) == candidate.class_index)
    change, called = np.concatenate(changes), np.concatenate(calls)
    usable = np.isfinite(change).all(1)  # of some photos a network may give NaN
    change, called = change[usable], called[usable]
    columns = {kind: [1 + index for index, each in enumerate(order) if each == kind] for kind in kinds}
    under = {kind: float(called[:, [1 + column for column in picked]].mean()) for kind, picked in columns.items()}
    controls = {kind: change[:, picked] for kind, picked in columns.items()}
    return Pasted(hosts[usable], seeds[usable], change[:, 0], controls, called[:, 0], called[:, 1], under)


def uncertainty(candidate: Candidate, album: Album, hosts: Ints, pasted: Pasted) -> float:
    """The deviation of the effects of ``candidate.as_likely`` from that of its edit, over the first ``REFITTED`` hosts;
    0 where there are none.
    """
    if not candidate.as_likely:
        return 0.0
    rows, changes = hosts[:REFITTED], []
    for part in parts(rows, TOGETHER):
        groups = [
            (photo, [each.added(photo, np.random.default_rng(int(row))) for each in candidate.as_likely])
            for row, photo in zip(part, album[part], strict=True)
        ]
        said = np.stack(album.evidence.eye.beside.said(groups))[..., candidate.class_index].astype(np.float64)
        changes.append(said[:, 1:] - said[:, :1])
    apart = np.nanmean(np.concatenate(changes), 0) - pasted.change[: len(rows)].mean()
    return float(np.sqrt((apart**2).mean()))


def _widened(interval: tuple[float, float], effect: float, deviation: float) -> tuple[float, float]:
    """An interval of 95 %, and an independent deviation of the same estimate, in [-1, 1]."""
    low, high = (float(np.hypot(effect - end, 1.96 * deviation)) for end in interval)
    return max(-1.0, effect - low), min(1.0, effect + high)


def _drawn(rows: Ints, host: int, rng: np.random.Generator) -> int:
    """The index of a random one of these rows, and not of the host where there is another."""
    others = np.flatnonzero(rows != host)
    return int(rng.choice(others)) if len(others) else 0


def _sentence(candidate: Candidate, about: dict[str, Any], pasted: Pasted) -> str:
    # Photos of the class may have what repeats, and not be known as carriers.
    counted = {OTHER: pasted.called[OTHER]} if candidate.repeats and OTHER in pasted.called else pasted.called
    under = max(counted.values(), default=0.0)
    said = f"{percent(pasted.after.mean())} of photos of other classes with {about['name']} are called "
    return f"{said}{candidate.class_name}; {percent(under)} {about.get('control', 'with a control there')}"


def percent(share: float) -> str:
    """A share as whole per cent; what is not 0 is never called 0."""
    return "under 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def _finding(
    candidate: Candidate, evidence: Evidence, about: dict[str, Any], sentence: str, removal: Removal,
    more: dict[str, Any] | None = None, **fields: Any,
) -> Finding:  # fmt: skip
    return Finding(
        id=candidate.id, kind=candidate.kind, sentence=sentence, class_name=candidate.class_name,
        suspected_shortcut=candidate.repeats, explained=removal.explained,
        carriers=tuple(evidence.rows.paths[row] for row in candidate.carriers), region=candidate.region,
        transform=about,
        remedy=advised(candidate),
        detail={"why": candidate.why, **(more or {}), "removal": removal.describe()}, **fields,
    )  # fmt: skip
