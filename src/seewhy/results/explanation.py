"""One photo, explained: the result that every host shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image

from ..errors import InputError, close_matches, plain
from ..models.prediction import AFTER_SOFTMAX, Ranked
from ..pictures import MapPanel
from ..pictures.colormaps import OWN, Kind, find_colormap
from ..pictures.in_memory import as_photo
from ..pictures.notebook import display
from ..pictures.overlay import check_opacity
from .scales import at_least, find_scale, limit_of
from .seen import SeenPhoto
from .view import CLASS_VISUALIZATION, View


@dataclass(frozen=True)
class ModelFacts:
    """What is known of the model that was explained.

    Attributes:
        spec: as it was loaded, or its class's name.
        weights_sha256: of its weights.
        preprocessing: how a photo became its input, in one line.
        notes: what a reader must know of it, such as that its weights are random.
        provenance: where everything came from, as JSON holds it.
    """

    spec: str
    weights_sha256: str
    preprocessing: str
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """How an explanation was made.

    Attributes:
        seewhy: the version.
        versions: of Python and of the libraries.
        created: ISO 8601, UTC.
        seconds: time taken.
        command: what was typed; empty where it was made from Python.
    """

    seewhy: str
    versions: Mapping[str, str]
    created: str
    seconds: float
    command: str = ""


@dataclass(frozen=True, eq=False)
class Explained:
    """One class of one photo, or one class rather than another.

    Attributes:
        target: the class, with its score and probability.
        score: what is explained: the class's score, or the difference of two.
        against: the other class, where one rather than another is explained; None otherwise.
        views: what the methods show, by id, in the order in which they are shown.
        forwards, backwards: how many were spent; of the forwards all targets of a photo share, each has the number.
    """

    target: Ranked
    score: float
    views: Mapping[str, View]
    against: Ranked | None = None
    forwards: int = 0
    backwards: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", MappingProxyType(dict(self.views)))

    def __reduce__(self) -> tuple[Any, ...]:
        parts = vars(self) | {"views": dict(self.views)}
        return Explained, tuple(parts.values())

    def __repr__(self) -> str:
        return f"Explained({self.name}: {', '.join(self.views)})"

    @property
    def name(self) -> str:
        """Of what is explained."""
        return self.target.name if self.against is None else f"{self.target.name} rather than {self.against.name}"

    @property
    def title(self) -> str:
        """The question that the views answer."""
        return f"Why {self.name}?"

    @property
    def key(self) -> str:
        """For names of files: "130", "not-0", "281-rather-than-282"."""
        number = f"{'not-' if self.target.sign < 0 else ''}{self.target.index}"
        return number if self.against is None else f"{number}-rather-than-{self.against.index}"


@dataclass(frozen=True, eq=False)
class Explanation:
    """One photo, explained. Figures and reports are functions of it alone.

    Attributes:
        photo: what the model saw, and where that lies on the original.
        model: the model.
        top: the five most probable classes.
        probabilities: how these were found, in a few words.
        targets: what is explained, at least one.
        made: how.
        truth: the photo's true class, where it is known.
        shared_scale: whether the maps of one method have one colour scale over all targets.
    """

    photo: SeenPhoto
    model: ModelFacts
    top: tuple[Ranked, ...]
    probabilities: str
    targets: tuple[Explained, ...]
    made: Made
    truth: str | None = None
    shared_scale: bool = False

    def __repr__(self) -> str:
        wrong = "" if self.truth is None or self.right else f", truly {self.truth}"
        names = ", ".join(found.name for found in self.targets)
        return f"Explanation({self.photo.name}: {self.top[0]}{wrong}; explains {names}; {', '.join(self.views)})"

    @property
    def views(self) -> Mapping[str, View]:
        """Those of the first target, by id."""
        return self.targets[0].views

    @property
    def right(self) -> bool | None:
        """Whether the prediction is the truth; None where the truth is not known."""
        return None if self.truth is None else plain(self.truth) == plain(self.top[0].name)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not as a reader would take it to be, the model first."""
        usual = self.probabilities == AFTER_SOFTMAX
        return (*self.model.notes, *self.photo.notes, *(() if usual else (self.probabilities,)))

    @property
    def usual_scale(self) -> str:
        """Where the colours of maps end unless it is said otherwise: "shared" or "own", see ``to_image``."""
        return "shared" if self.shared_scale else "own"

    def target(self, which: int | str | Explained = 0) -> Explained:
        """One of the targets: by its place, by its name, or itself.

        Raises:
            InputError: there is none such.
        """
        if isinstance(which, Explained):
            return which
        if hasattr(which, "__index__") and not isinstance(which, bool):
            which = int(which)  # numpy's numbers too
            if -len(self.targets) <= which < len(self.targets):
                return self.targets[which]
            raise InputError("there is no such target", expected=f"0 to {len(self.targets) - 1}", got=which)
        for found in self.targets:
            if plain(str(which)) == plain(found.name):
                return found
        raise InputError(
            f"{which!r} was not explained", close=close_matches(str(which), [t.name for t in self.targets])
        )

    def panel(self, view: View, *, scale: str | None = None, colormap: str = OWN, opacity: float = 1.0) -> MapPanel:
        """A map as it is drawn: over the crop, with its scale.

        Args:
            view: of an attribution.
            scale, colormap, opacity: see ``to_image``.
        """
        assert view.attribution is not None
        limit = limit_of(view, self.usual_scale if scale is None else find_scale(scale), self.targets)
        values = view.attribution.values[0].numpy()
        kind: Kind | None = "diverging" if view.signed else None
        return MapPanel(
            view.title, values, self.photo.crop, view.caption, view.facts, kind, at_least(view), limit,
            colormap, opacity,
        )  # fmt: skip

    def to_image(
        self,
        method: str,
        photo: Any = None,
        *,
        target: int | str = 0,
        size: tuple[int, int] | None = None,
        scale: str | None = None,
        colormap: str = OWN,
        opacity: float = 1.0,
    ) -> Image.Image:
        """One view as a picture: a map over the photo, or the image of a class.

        Args:
            method: the view's id.
            photo: None draws on the crop that the model saw; or the original: a path, PIL image or array, on which
                the map is placed where the crop lies.
            target: which of the targets.
            size: (width, height) of the drawn crop; None: the crop's own.
            scale: of a map: "own"; "shared", the widest of the method's maps of all targets; or "share", which ends at
                the same share of the score for all targets. None: "shared" where ``shared_scale`` says so, else "own".
            colormap: of a map: "seewhy", "viridis", "magma" or "jet". Of the last three all of a map is coloured, and
                zero of a signed map has the colour of their middle.
            opacity: of a map, 0..1: at 0 only the ground is seen, and 1 is as usual.

        Returns:
            RGB.

        Raises:
            InputError: there is no such view, scale or colour map, the view failed, or this is another photo.
        """
        colormap, opacity = find_colormap(colormap), check_opacity(opacity)
        view, size = self._view(self.target(target), method), None if size is None else _sized(size)
        if view.visualization is not None:
            drawn = view.visualization.to_image()
            return drawn if size is None else drawn.resize(size, Image.Resampling.BICUBIC)
        if view.attribution is None:
            raise InputError(f"{view.title} shows nothing: {view.error}")
        panel = self.panel(view, scale=scale, colormap=colormap, opacity=opacity)
        if photo is None:
            return panel.picture(size or self.photo.crop.size)
        original = as_photo(photo).image
        return self.photo.place(panel.picture(size or self._full_size()), original)

    def figure(
        self,
        target: int | str | Explained = 0,
        *,
        scale: str | None = None,
        colormap: str = OWN,
        opacity: float = 1.0,
    ) -> Image.Image:
        """Every view of one target as a labelled sheet; RGB.

        Args:
            target: which of the targets.
            scale, colormap, opacity: of the maps, see ``to_image``.

        Raises:
            InputError: there is no such target, scale or colour map, or ``opacity`` is not in 0..1.
        """
        from .drawing import Ink, draw

        return draw(self, self.target(target), Ink.of(scale, colormap, opacity))

    def show(self, target: int | str | Explained = 0) -> None:
        """Show the figure: in a notebook below the cell, else in the system's viewer."""
        display(self.figure(target))

    def save(
        self,
        folder: str | Path,
        *,
        figure: bool = True,
        overwrite: bool = False,
        scale: str | None = None,
        colormap: str = OWN,
        opacity: float = 1.0,
    ) -> Path:
        """Write the folder that ``load`` reads: explanation.json, maps.npz, crop.png, the whole photo
        small, pictures of classes; and the figures.

        Args:
            folder: is made where it is missing.
            figure: whether to draw figure.png, and figure-KEY.png of each further target.
            overwrite: whether files that are there may be replaced.
            scale, colormap, opacity: of the figures, see ``to_image``.

        Raises:
            InputError: there is no such scale or colour map, or ``opacity`` is not in 0..1.
            OutputError: the folder is not empty and ``overwrite`` is False, or nothing can be written into it.
        """
        from .drawing import Ink
        from .saved import save

        return save(self, Path(folder), Ink.of(scale, colormap, opacity), figure=figure, overwrite=overwrite)

    @classmethod
    def load(cls, folder: str | Path) -> Explanation:
        """Read what ``save`` wrote; needs no model, and not the photo.

        Raises:
            InputError: it is no such folder, of another version, or damaged.
        """
        from .reading import read

        return read(Path(folder))

    def with_visualizations(self, views: Mapping[str, View]) -> Explanation:
        """The same with these class visualizations, by the ``key`` of their target; shown last."""
        targets = tuple(
            replace(found, views={**_without(found.views), CLASS_VISUALIZATION: views[found.key]})
            if found.key in views else found
            for found in self.targets
        )  # fmt: skip
        return replace(self, targets=targets)

    def _repr_html_(self) -> str:
        from .in_notebook import shown

        return shown(self)

    def _view(self, found: Explained, method: str) -> View:
        by_name = {plain(id): view for id, view in found.views.items()}
        if plain(method) not in by_name:
            close = close_matches(method, found.views)
            expected = None if close else ", ".join(found.views)
            raise InputError(f"there is no view {method!r}", expected=expected, close=close)
        return by_name[plain(method)]

    def _full_size(self) -> tuple[int, int]:
        """Of the crop in the original's pixels."""
        if self.photo.box is None:
            return self.photo.crop.size
        left, top, right, bottom = self.photo.box
        return max(1, round(right - left)), max(1, round(bottom - top))


def _without(views: Mapping[str, View]) -> dict[str, View]:
    return {id: view for id, view in views.items() if id != CLASS_VISUALIZATION}


def _sized(size: Any) -> tuple[int, int]:
    if not (isinstance(size, tuple | list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)):
        raise InputError(
            "a size is (width, height) in pixels", expected="two whole numbers above zero", got=repr(size)[:40]
        )
    return size[0], size[1]
