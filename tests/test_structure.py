"""The house is as the plan says: imports only downward, the public names, and no torch before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import seewhy

SOURCE = Path(seewhy.__file__).parent
FLOORS = [
    {"legible", "interrupts"},
    {"errors", "bibliography", "settings", "events", "pace"},
    {"files"},
    {"pictures"},
    {"viewer"},
    {"core"},
    {"incremental"},
    {"methods", "synthesis", "metrics", "models"},
    {"own_methods", "patch"},
    {"api", "layer_table", "exemplars", "patched", "strongest"},
    {"results"},
    {"checks", "report", "request"},
    {"explaining"},
    {"session"},
    {"asking"},
    {"gallery"},
    {"auditing"},
    {"app"},
    {"cli"},
    {"__main__"},
]
"""From the ground up. A file imports from its own room and from lower floors only."""


def _floor(path):
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    return next(level for level, rooms in enumerate(FLOORS) if room in rooms), room


def _imports(path):
    package = ["seewhy", *path.relative_to(SOURCE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ([*base, *name.split(".")] for name in names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("seewhy"):
            yield node.module.split(".")


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_downward(path):
    if path == SOURCE / "__init__.py":
        return
    level, room = _floor(path)
    for target in _imports(path):
        if len(target) > 1 and target[1] != "__version__":
            other = next(i for i, rooms in enumerate(FLOORS) if target[1] in rooms)
            assert other < level or target[1] == room, f"{path.name} imports {'.'.join(target)} from above"


def test_the_public_names():
    assert set(seewhy.__all__) == {
        "Attribution", "Audit", "Channels", "Classifier", "Comparison", "Explanation", "Method", "Patch", "Record",
        "SeewhyError", "Session", "Versus", "Visualization", "WhatIf", "attribute", "audit", "channels", "checks",
        "classifier", "compare", "errors", "events", "explain", "incremental", "load", "methods", "models", "record",
        "results", "synthesis", "visualize", "what_if",
    }  # fmt: skip
    for name in seewhy.__all__:
        assert getattr(seewhy, name) is not None
        assert name in dir(seewhy)
    assert set(dir(seewhy)) == {*seewhy.__all__, "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'atribute'"):
        seewhy.atribute  # noqa: B018


@pytest.mark.parametrize("code", ["import seewhy", "import seewhy.cli", "from seewhy import errors"])
def test_torch_is_not_imported_before_it_is_needed(code):
    program = f"import sys; {code}; print([m for m in ('torch', 'numpy', 'PIL', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_are_short_enough_to_read():
    for path in SOURCE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 350, path
