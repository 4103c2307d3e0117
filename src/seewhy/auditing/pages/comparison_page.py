"""The page of a comparison: one HTML file that holds everything it needs, and runs nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup
from PIL import Image

from ...results.viewed import data_uri
from ...viewer.page import NO_ICON, stylesheet
from ..comparing.comparison import Changed, Comparison, Paired, leans_more, named, short, signed
from ..comparing.paired_maps import bar, drawn, enlarged
from ..comparing.parts import Compared
from .axis import Axis, axis_of
from .templating import environment

QUALITY = 82
MOST_ROWS = 20
"""Rows of a table, and sentences of a list, that are not folded."""
MOST_EFFECTS = 6


def render(found: Comparison) -> str:
    """The page as text, to be written as UTF-8.

    It has no script and asks for no other file, under a policy that lets in its own style sheet and pictures that it
    holds. Every text from outside is made legible and escaped.
    """
    style = _style()
    effects = _effects(found)
    told = found.told_slices
    page: str = _template().render(
        found=found, every=found.parts[0], headline=found.headline, style=Markup(style), policy=_policy(style),
        icon=Markup(NO_ICON), sides=(("A", found.a), ("B", found.b)), most=MOST_ROWS, most_effects=MOST_EFFECTS,
        verdicts=[
            ("worse", "Significantly worse", found.worse), ("better", "Significantly better", found.better),
        ],
        changed=[
            ("broken", "Broken: right by A, wrong by B", len(found.broken), _cards(found.broken, found)),
            ("fixed", "Fixed: wrong by A, right by B", len(found.fixed), _cards(found.fixed, found)),
        ],
        scale=found.scale, bar=None if found.scale is None else Markup(data_uri(bar(found.scale), 95)),
        effects=effects, effect_axis=axis_of((value for each in effects for value in (each["a"], each["b"])), short),
        classes=found.parts, slices=told, other_slices=[part for part in found.slices if part not in told],
    )  # fmt: skip
    return page.encode("utf-8", "replace").decode("utf-8")


def _effects(found: Comparison) -> list[dict[str, Any]]:
    """What the same changes do to both, the largest difference first."""
    rows = [
        {
            "name": f"{each.name} in class {each.class_name}", "why": f"put into {each.photos} photos, beyond controls",
            "a": each.a_beyond, "b": each.b_beyond, "interval": each.ci,
            "worse": each.worse, "better": each.better,
        }
        for each in found.repeated
    ]  # fmt: skip
    rows += [
        {
            "name": named(a), "why": b.sentence, "a": a.effect or 0.0, "b": b.effect or 0.0, "interval": None,
            "worse": leans_more(a, b), "better": leans_more(b, a),
        }
        for a, b in found.effects.values()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (not (row["worse"] or row["better"]), -abs(row["b"] - row["a"]), row["name"]))


def _cards(changed: Sequence[Changed], found: Comparison) -> list[dict[str, Any]]:
    return [_card(each, found.maps[each.path], found) for each in changed if each.path in found.maps]


def _card(changed: Changed, pair: Paired, found: Comparison) -> dict[str, Any]:
    def picture(which: str) -> dict[str, Any] | None:
        values = getattr(pair, f"map_{which}")
        if values is None or found.scale is None:
            return None
        return _picture(drawn(getattr(pair, f"seen_{which}"), values, found.scale))

    sides = (
        ("A", changed.a, changed.a_confidence, changed.right == "a", picture("a")),
        ("B", changed.b, changed.b_confidence, changed.right == "b", picture("b")),
    )
    photo = None if pair.seen_a is None else _picture(enlarged(pair.seen_a))
    return {"changed": changed, "photo": photo, "error": pair.error, "sides": sides}


def _picture(image: Image.Image) -> dict[str, Any]:
    """With its size, so that the page has its place before it is drawn."""
    return {"uri": Markup(data_uri(image, QUALITY)), "width": image.width, "height": image.height}


def _axis(parts: Sequence[Compared]) -> Axis:
    return axis_of(value for part in parts for value in (part.difference, *part.ci))


def _points(part: Compared) -> str:
    low, high = part.ci
    return f"{signed(part.difference)} [{signed(low)}, {signed(high)}]"


def _marks(part: Compared, axis: Axis) -> Mapping[str, float]:
    """Where a part's difference and its interval lie."""
    return {"x": axis.x(part.difference), "x1": axis.x(part.ci[0]), "x2": axis.x(part.ci[1])}


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


@lru_cache(maxsize=1)
def _style() -> str:
    templates = files("seewhy.auditing.pages").joinpath("templates")
    own = (templates.joinpath(name).read_text("utf-8") for name in ("audit.css", "compare.css"))
    return "".join([stylesheet("viewer"), *own])


@lru_cache(maxsize=1)
def _template() -> Any:
    made = environment(short=short, said=_points)
    made.globals.update(marks=_marks, axis_of=_axis)
    return made.get_template("compare.html")
