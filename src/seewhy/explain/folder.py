"""An explanation on disk: a folder per photo with figure.png, maps.npz and explanation.json."""

from __future__ import annotations

import io
import json
import os
import platform
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from .. import __version__
from ..core.attribution import Attribution, jsonable
from ..errors import OutputError, SeewhyError
from ..files import make_folder, write_arrays, write_atomically, write_text
from ..legible import in_one_line
from .drawing import draw, to_image
from .explainer import CLASS_VISUALIZATION, Explained, Explainer, Explanation, Ranked


class Folder:
    """Where one photo's files go.

    Raises:
        OutputError: something is there already and ``force`` is False, or it can be no folder to write into.
    """

    def __init__(self, path: Path, force: bool):
        self.path, self.force = path, force
        name = in_one_line(path)
        if not os.path.lexists(path):
            return
        try:
            if not force and (not path.is_dir() or any(path.iterdir())):
                raise OutputError(f"{name} exists; use --force to replace what is in it")
            if not path.is_dir():
                raise OutputError(f"{name} cannot be used as a folder: something else is there")
            if not os.access(path, os.W_OK | os.X_OK):  # said before the work, not after
                raise OutputError(f"{name} cannot be used as a folder: nothing may be written into it")
        except PermissionError as error:
            raise OutputError(f"{name} cannot be used as a folder: {error.strerror}") from error

    def write(self, explanation: Explanation, explainer: Explainer, command: str) -> dict[str, Any]:
        """Write the files; gives what ``explanation.json`` says."""
        make_folder(self.path)
        self._maps(explanation)
        for name, found in figures(explanation).items():
            write_png(self.path / name, draw(explanation, found, explainer), overwrite=self.force)
            if (made := found.visualization) is not None:
                against = "not-" if found.target.sign < 0 else ""
                path = self.path / f"{against}class-{found.target.index}.png"
                write_png(path, to_image(made.images[0]), overwrite=self.force)
        about: dict[str, Any] = jsonable(describe(explanation, explainer, command))
        text = json.dumps(about, indent=2, ensure_ascii=False, allow_nan=False)
        write_text(self.path / "explanation.json", text + "\n", overwrite=self.force)
        return about

    def _maps(self, explanation: Explanation) -> None:
        """Per method one array (targets, 1 or C, h, w), raw; and the method's details, such as occlusion's grid."""
        arrays: dict[str, Any] = {"targets": np.array([found.target.index for found in explanation.targets])}
        for method in explanation.targets[0].views:
            maps = [view for found in explanation.targets if isinstance(view := found.views[method], Attribution)]
            if len(maps) == len(explanation.targets):
                arrays[method] = torch.cat([view.values for view in maps]).cpu().numpy()
                for name in maps[0].details:
                    arrays[f"{method}.{name}"] = np.stack([view.details[name].cpu().numpy() for view in maps])
        with write_atomically(self.path / "maps.npz", overwrite=self.force) as file:
            write_arrays(file, arrays)


def figures(explanation: Explanation) -> dict[str, Explained]:
    """File name -> the class that it explains."""
    first, *others = explanation.targets
    return {"figure.png": first, **{f"figure-{found.target.index}.png": found for found in others}}


def write_png(path: Path, image: Image.Image, *, overwrite: bool) -> None:
    """Write a PNG, whole or not at all."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    with write_atomically(path, overwrite=overwrite) as file:
        file.write(buffer.getvalue())


def describe(explanation: Explanation, explainer: Explainer, command: str) -> dict[str, Any]:
    """Everything needed to make the explanation again, ready for JSON."""
    classifier, photo = explainer.classifier, explanation.photo
    return {
        "seewhy": __version__,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "photo": {
            "path": str(photo.path),
            "sha256": explanation.sha256,
            "size": list(photo.image.size),
            "notes": [*explanation.model_notes, *photo.notes],
        },
        "model": {"spec": classifier.name, "weights_sha256": classifier.weights_hash, **classifier.provenance},
        "probabilities": explanation.probabilities,
        "top5": [_ranked(entry) for entry in explanation.top],
        "targets": [_explained(found) for found in explanation.targets],
        "seconds": round(explanation.seconds, 3),
    }


def _ranked(entry: Ranked) -> dict[str, Any]:
    against = {"sign": entry.sign} if entry.sign < 0 else {}
    return {
        "index": entry.index, "name": entry.name, "score": entry.score, "probability": entry.probability, **against
    }  # fmt: skip


def _explained(found: Explained) -> dict[str, Any]:
    methods: dict[str, Any] = {name: _view(view) for name, view in found.views.items()}
    if (made := found.visualization) is not None:
        methods[CLASS_VISUALIZATION] = {
            "params": jsonable(made.params),
            "score": None if made.score is None else float(made.score[0]),
            "probability": None if made.probability is None else float(made.probability[0]),
            "history": [round(float(score), 4) for score in made.history[:, 0]],
        }
    return {**_ranked(found.target), "methods": methods, "forwards": found.forwards, "backwards": found.backwards}


def _view(view: Attribution | SeewhyError) -> dict[str, Any]:
    if isinstance(view, SeewhyError):
        return {"error": str(view)}
    return {
        "params": jsonable(view.params),
        "layer": view.layer,
        "overridden": view.overridden,
        "notes": dict(view.notes),
        "shape": list(view.values.shape[1:]),
        "min": float(view.values.min()),
        "max": float(view.values.max()),
    }
