"""The tutorial runs, shows a picture in every cell, and is what its source says."""

import base64
import importlib.util
import io
import os
from pathlib import Path

import nbformat
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
MOST_BYTES = 3_000_000
"""What GitHub still shows without being asked."""


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("make_tutorial", ROOT / "scripts" / "make_tutorial.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(EXAMPLES / "tutorial.ipynb", as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures(cell):
    """What a cell's outputs show, decoded."""
    found = []
    for output in cell.outputs:
        assert output.output_type != "error", "\n".join(output.get("traceback", []))
        data = output.get("data", {})
        kind = next((kind for kind in ("image/png", "image/jpeg") if kind in data), None)
        if kind is not None:
            found.append(Image.open(io.BytesIO(base64.b64decode(data[kind]))))
    return found


def test_it_runs_and_every_cell_shows_a_picture(maker, tmp_path, monkeypatch):
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    (tmp_path / "photos").symlink_to(EXAMPLES / "photos")
    ran = maker.run(maker.notebook((EXAMPLES / "tutorial.py").read_text(encoding="utf-8")), tmp_path)
    for cell in code(ran):
        assert pictures(cell), cell.source
    assert [path.name for path in tmp_path.iterdir()] == ["photos"], "a tutorial leaves nothing behind"


def test_the_committed_one_is_the_source_with_pictures(maker, committed):
    source = maker.notebook((EXAMPLES / "tutorial.py").read_text(encoding="utf-8"))
    assert [(cell.cell_type, cell.source) for cell in committed.cells] == [
        (cell.cell_type, cell.source) for cell in source.cells
    ], "run scripts/make_tutorial.py"
    for cell in code(committed):
        (picture,) = pictures(cell)
        assert max(picture.size) > 200
        assert picture.convert("L").entropy() > 2, "an empty picture"
    assert (EXAMPLES / "tutorial.ipynb").stat().st_size <= MOST_BYTES


def test_every_technique_has_its_words_and_its_picture(committed):
    """What it is, the formula, what to see, how it misleads, and the paper; then a picture."""
    titles = ["Saliency", "Occlusion", "Deconvnet", "Guided backprop", "CAM", "Grad-CAM", "Guided Grad-CAM",
              "Class visualization"]  # fmt: skip
    for number, title in enumerate(titles, 1):
        (place,) = [i for i, cell in enumerate(committed.cells) if cell.source.startswith(f"## {number} · {title}")]
        text, below = committed.cells[place], committed.cells[place + 1]
        for part in ("**What it is.**", "$$", "**What to see here.**", "**How it misleads.**", "*"):
            assert part in text.source, (title, part)
        assert below.cell_type == "code"


def test_the_sanity_check_shows_what_it_claims(committed):
    """Random upper layers change Grad-CAM, and hardly guided backprop (Adebayo 2018)."""
    (said,) = [
        output.text
        for cell in code(committed)
        for output in cell.outputs
        if output.output_type == "stream" and "rank correlation" in output.text
    ]
    of = {line.split()[0]: float(line.split()[-1]) for line in said.splitlines()}
    assert abs(of["grad_cam"]) < 0.3
    assert of["guided_backprop"] > 0.9
