"""Makes examples/tutorial.ipynb of examples/tutorial.py and runs it, so that its pictures stand in it.

The source is plain Python: ``# %%`` begins a cell, ``# %% [markdown]`` one of text. Needs the ``test`` extra.
"""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode, v4
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"
SOURCE, NOTEBOOK = EXAMPLES / "tutorial.py", EXAMPLES / "tutorial.ipynb"
WIDEST = 1200
"""Pixels of a picture: what GitHub shows, and no more."""
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
          "language_info": {"name": "python"}}  # fmt: skip


def notebook(source: str) -> NotebookNode:
    """The notebook of a source, without outputs."""
    cells = []
    for number, part in enumerate(re.split(r"^# %%", source, flags=re.M)[1:]):
        mark, _, text = part.partition("\n")
        if mark.strip() == "[markdown]":
            lines = [line.removeprefix("#").removeprefix(" ") for line in text.strip().splitlines()]
            cells.append(v4.new_markdown_cell("\n".join(lines), id=f"cell-{number}"))
        else:
            cells.append(v4.new_code_cell(text.strip(), id=f"cell-{number}"))
    return v4.new_notebook(cells=cells, metadata=KERNEL)


def run(made: NotebookNode, folder: Path) -> NotebookNode:
    """Run all cells in a folder, in which they find ``photos/``.

    Raises:
        CellExecutionError: one failed.
    """
    return NotebookClient(made, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()


def slim(made: NotebookNode) -> NotebookNode:
    """With pictures as modest JPEGs, one per output; without times and the like."""
    for cell in made.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            kind = next((kind for kind in ("image/png", "image/jpeg") if kind in data), None)
            if kind is not None:
                picture = Image.open(io.BytesIO(base64.b64decode(data[kind]))).convert("RGB")
                picture.thumbnail((WIDEST, 10 * WIDEST), Image.Resampling.LANCZOS)
                buffer = io.BytesIO()
                picture.save(buffer, "JPEG", quality=85, optimize=True)
                output["data"] = {"image/jpeg": base64.b64encode(buffer.getvalue()).decode()}
    return made


def main() -> None:
    made = slim(run(notebook(SOURCE.read_text(encoding="utf-8")), EXAMPLES))
    nbformat.write(made, NOTEBOOK)
    print(f"{NOTEBOOK.name}: {NOTEBOOK.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
