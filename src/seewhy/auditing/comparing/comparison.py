"""Comparison: two models on the same photos, what got worse and what got better.

``comparing.py`` makes one of two models, ``comparing_audits.py`` of two audits. ``remedies/comparing.py`` is of
``fix``, a network before and after.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...errors import OutputError
from ...files import make_folder, write_text
from ...legible import in_one_line
from ...pictures.colormaps import Scale
from ..finding import Finding
from .parts import Compared, WhichSide
from .repeating import Repeated

FORMAT = 1
FILE, PAGE = "compare.json", "compare.html"
SHOWN = 24
"""Photos that were fixed, and that were broken, which are shown with their maps."""


@dataclass(frozen=True)
class Changed:
    """A photo that one of two models alone is right on.

    Attributes:
        path: within the folder.
        truth: its class.
        a, b: what either model decides.
        a_confidence, b_confidence: the probabilities of these.
        right: "a" or "b".
    """

    path: str
    truth: str
    a: str
    a_confidence: float
    b: str
    b_confidence: float
    right: WhichSide

    @property
    def confidence(self) -> float:
        """How sure the wrong model is."""
        return self.b_confidence if self.right == "a" else self.a_confidence


@dataclass(frozen=True, eq=False)
class Paired:
    """A photo under two models.

    Attributes:
        seen_a, seen_b: what either model sees of it, RGB; None where the photo cannot be read.
        map_a, map_b: (h, w) float32, the class map of the true class, 1 being a usual right decision's score spread
            evenly (``paired_maps.unit_of``); None: there is none.
        error: why the photo cannot be shown.
    """

    seen_a: Image.Image | None
    seen_b: Image.Image | None
    map_a: npt.NDArray[np.float32] | None
    map_b: npt.NDArray[np.float32] | None
    error: str = ""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two audits, or two models, on the same photos.

    Attributes:
        a, b: what either is: its name, its weights, its preprocessing.
        parts: all photos, then each class, worst change first.
        slices: parts of the photos by a property or by features, worst change first.
        fixed, broken: the photos that only the second, or only the first model is right on; those first of which the
            other one is most sure.
        effects: for each finding with an effect that both audits have, by its id, the finding of each.
        notes: what could not be compared, a line each.
        repeated: stamps of an audit, put into the same photos for both models.
        maps: by path, the first ``SHOWN`` of either list with the maps of both models.
        scale: of all of these maps.
    """

    a: Mapping[str, Any]
    b: Mapping[str, Any]
    parts: tuple[Compared, ...]
    slices: tuple[Compared, ...]
    fixed: tuple[Changed, ...]
    broken: tuple[Changed, ...]
    effects: Mapping[str, tuple[Finding, Finding]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    repeated: tuple[Repeated, ...] = ()
    maps: Mapping[str, Paired] = field(default_factory=dict)
    scale: Scale | None = None

    @property
    def told_slices(self) -> list[Compared]:
        """The slices that changed significantly; where all photos did so too, those that changed by more: else nearly
        every slice would say the same again.
        """
        every = self.parts[0]
        return [
            part for part in self.slices
            if (part.worse and not (every.worse and part.ci[1] >= every.difference))
            or (part.better and not (every.better and part.ci[0] <= every.difference))
        ]  # fmt: skip

    @property
    def worse(self) -> list[str]:
        """A sentence for everything that got significantly worse; of slices, for ``told_slices``."""
        said = [_sentence(part) for part in (*self.parts, *self.told_slices) if part.worse]
        said += [f"leans more on it: {b.sentence}" for a, b in self.effects.values() if leans_more(a, b)]
        return said + [each.sentence for each in self.repeated if each.worse]

    @property
    def better(self) -> list[str]:
        """A sentence for everything that got significantly better; of slices, for ``told_slices``."""
        said = [_sentence(part) for part in (*self.parts, *self.told_slices) if part.better]
        said += [f"leans less on it: {a.sentence}" for a, b in self.effects.values() if leans_more(b, a)]
        return said + [each.sentence for each in self.repeated if each.better]

    @property
    def headline(self) -> str:
        """In one sentence: how many more or fewer decisions are right, then the class that changed most where one did,
        then the effect that did.
        """
        said = [_overall(self.parts[0])]
        classes = [part for part in self.parts[1:] if part.worse] or [part for part in self.parts[1:] if part.better]
        if classes:
            most = max(classes, key=lambda part: abs(part.difference))
            said.append(f"{most.name} {100 * most.a:.1f} → {100 * most.b:.1f} % right")
        elif worse := [part for part in self.slices if part.worse]:
            said.append(f"{worse[0].name} {100 * worse[0].a:.1f} → {100 * worse[0].b:.1f} % right")
        if effect := self._strongest():
            said.append(effect)
        return "; ".join(said)

    def _strongest(self) -> str:
        """The effect that changed most among those that did significantly."""
        moved = [
            (abs(each.difference), f"{each.name} in class {each.class_name}", each.a_beyond, each.b_beyond)
            for each in self.repeated if each.worse or each.better
        ]  # fmt: skip
        moved += [
            (abs((b.effect or 0.0) - (a.effect or 0.0)), named(a), a.effect or 0.0, b.effect or 0.0)
            for a, b in self.effects.values() if leans_more(a, b) or leans_more(b, a)
        ]  # fmt: skip
        if not moved:
            return ""
        _, name, before, after = max(moved, key=lambda each: each[0])
        return f"{name}: effect {short(before)} → {short(after)}"

    def describe(self) -> dict[str, Any]:
        """Everything but the pictures, ready for JSON: what compare.json holds."""
        return {
            "format": FORMAT, "headline": self.headline, "a": dict(self.a), "b": dict(self.b),
            "parts": [_described(part) for part in self.parts], "slices": [_described(part) for part in self.slices],
            "fixed": [asdict(each) for each in self.fixed], "broken": [asdict(each) for each in self.broken],
            "worse": self.worse, "better": self.better, "notes": list(self.notes),
            "effects": {
                id_: [{name: getattr(one, name) for name in ("effect", "ci", "state", "sentence")} for one in pair]
                for id_, pair in self.effects.items()
            },
            "repeated": [vars(each) for each in self.repeated],
        }  # fmt: skip

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False, page: bool = True) -> Path:
        """Write compare.json, and compare.html where a page is wanted, into ``folder``; each whole or not at all.

        Returns:
            The path of the page; of compare.json where there is none.

        Raises:
            OutputError: one of them exists and ``overwrite`` is False, or cannot be written.
        """
        from ..pages.comparison_page import render

        path = free(folder, overwrite=overwrite, page=page)
        told = render(self) if page else ""
        write_text(path / FILE, json.dumps(self.describe(), indent=1, allow_nan=False), overwrite=overwrite)
        if not page:
            return path / FILE
        write_text(path / PAGE, told, overwrite=overwrite)
        return path / PAGE


def free(folder: str | os.PathLike[str], *, overwrite: bool = False, page: bool = True) -> Path:
    """The folder, made, in which a comparison can be saved.

    Raises:
        OutputError: a file of one is there and ``overwrite`` is False, or nothing can be written into it.
    """
    path = make_folder(Path(folder))
    for name in (FILE, PAGE) if page else (FILE,):
        if os.path.lexists(path / name) and not overwrite:
            expected = "another folder, or to overwrite what is there"
            raise OutputError(f"{in_one_line(path / name)} exists", expected=expected)
    return path


def leans_more(a: Finding, b: Finding) -> bool:
    """Whether the second has an effect beyond the interval of the first's, of what is a suspected shortcut in it."""
    return b.suspected_shortcut and b.effect is not None and (a.ci is None or b.effect > a.ci[1])


def named(finding: Finding) -> str:
    """What a finding is of, in a few words: a stamp by its looks, others by their id."""
    name = (finding.transform or {}).get("name") if finding.kind == "stamp" else None
    return f"{name or finding.id}{'' if finding.class_name is None else f' in class {finding.class_name}'}"


def short(effect: float) -> str:
    """An effect with two decimals, without the zero before them: ".46", "−.03", "1.00"."""
    text = f"{abs(effect):.2f}"
    return f"{'−' if effect < 0 and float(text) else ''}{text.removeprefix('0')}"


def _sentence(part: Compared) -> str:
    name = "all photos" if part.kind == "all" else part.name
    return f"{name}: {100 * part.b:.1f} % right rather than {100 * part.a:.1f} % (q {part.q:.2g})"


def _overall(every: Compared) -> str:
    (low, high), change = every.ci, every.difference
    if not (every.worse or every.better):
        interval = f"{signed(change)} points [{signed(low)}, {signed(high)}]"
        return f"B is neither better nor worse than A as far as {every.photos} photos tell: {interval}"
    if every.worse:
        low, high = -high, -low
    amount = f"{abs(100 * change):.1f} points {'worse' if every.worse else 'better'}"
    return f"B decides {amount} than A [{_plain(low)}, {_plain(high)}]"


def _plain(share: float) -> str:
    """Percentage points, with a sign where they are negative."""
    text = f"{abs(100 * share):.1f}"
    return f"−{text}" if share < 0 and float(text) else text


def signed(share: float) -> str:
    """Percentage points, with their sign."""
    text = _plain(share)
    return text if text.startswith("−") or not float(text) else f"+{text}"


def _described(part: Compared) -> dict[str, Any]:
    return {**asdict(part), "worse": part.worse, "better": part.better}
