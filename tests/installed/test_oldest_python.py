"""What is promised of Python is what is checked: the sources are of that age, whichever Python runs the tests."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = (ROOT / "pyproject.toml").read_text()
OLDEST = tuple(map(int, re.search(r'requires-python = ">=(\d+)\.(\d+)"', PROJECT).groups()))
COMPILE = """
import pathlib, sys
for path in pathlib.Path(sys.argv[1]).rglob("*.py"):
    compile(path.read_bytes(), str(path), "exec")
"""


def interpreter():
    """One of the oldest version, on the path or among pyenv's; a name on the path may refuse to run."""
    name = "python{}.{}".format(*OLDEST)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for found in [shutil.which(name), *pyenv.glob("{}.{}.*/bin/python".format(*OLDEST)), sys.executable]:
        if found is not None:
            said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
            if said.startswith("Python {}.{}.".format(*OLDEST)):
                return found
    pytest.skip(f"no {name} is here")


def test_the_tools_check_what_is_promised():
    """mypy knows which names of the standard library, and which grammar, each version has; ruff rewrites for one."""
    assert f'python_version = "{OLDEST[0]}.{OLDEST[1]}"' in PROJECT
    assert f'target-version = "py{OLDEST[0]}{OLDEST[1]}"' in PROJECT
    assert 'Programming Language :: Python :: {}.{}"'.format(*OLDEST) in PROJECT


def test_the_grammar_is_that_old():
    for path in sorted((ROOT / "src").rglob("*.py")):
        ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=OLDEST)


def test_an_interpreter_of_that_age_compiles_all_and_runs_the_command(tmp_path):
    """torch and numpy are built for this Python and are not lent; what help needs is pure Python."""
    paths = os.pathsep.join([str(ROOT / "src"), sysconfig.get_path("purelib")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    python = interpreter()
    for command in (
        ["-c", COMPILE, str(ROOT / "src")],
        ["-m", "seewhy", "--help"],
        ["-c", "import seewhy, seewhy.cli"],
    ):
        done = subprocess.run(
            [python, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
