"""The viewer's modules, run by node."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import seewhy

JS = Path(seewhy.__file__).parent / "viewer" / "js"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def module(name):
    """The address of a module of the viewer, as a string of JavaScript."""
    return json.dumps((JS / f"{name}.js").as_uri())


def in_node(program, given):
    """What a module prints as JSON; in it, ``given`` is the value of ``given``."""
    start = "import { readFileSync } from 'node:fs';\nconst given = JSON.parse(readFileSync(0, 'utf8'));\n"
    command = ["node", "--input-type=module", "-e", start + program]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
