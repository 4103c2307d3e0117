"""seewhy as its users get it: built, and installed where no checkout is near.

Usually the environment borrows what seewhy needs from the one that runs the tests, which takes a second and no network.
With SEEWHY_CLEAN_INSTALL=1 (`make wheel`, which CI runs) pip installs everything anew, by the wheel's own metadata and
constraints.txt: only this shows that nothing is missing there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import seewhy

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "examples" / "photos" / "chelsea.png"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
"""An environment in which nothing leads an interpreter back to the checkout."""
INSTALL = ["install", "--disable-pip-version-check", "--quiet"]

pytestmark = pytest.mark.packaging


def run(*command, cwd, **environment):
    """The command's output; where it fails, all that it said."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=CLEAN | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(source, kind, folder):
    """By hatchling as it is installed here, so nothing is downloaded."""
    here = os.pathsep.join(path for path in sys.path if path)
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=source, PYTHONPATH=here)
    (built,) = folder.iterdir()
    return built


def content(wheel):
    """The bytes of all its files, but for those about the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def commands(wheel, tmp_path_factory):
    """The folder with python and seewhy of a new environment: seewhy is the wheel's, all else is installed or lent.

    Python reads no ``.pth`` file in a folder that another ``.pth`` file names: an editable seewhy is not lent.
    """
    home = tmp_path_factory.mktemp("environment")
    if os.environ.get("SEEWHY_CLEAN_INSTALL"):
        run(sys.executable, "-m", "venv", home, cwd=home)
        scripts = Path(sysconfig.get_path("scripts", "venv", {"base": str(home)}))
        run(scripts / "python", "-m", "pip", *INSTALL, "--constraint", ROOT / "constraints.txt", wheel, cwd=home)
        return scripts
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    places = sysconfig.get_paths(sysconfig.get_preferred_scheme("prefix"), {"base": str(home), "platbase": str(home)})
    lent = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    Path(places["purelib"], "lent.pth").write_text("\n".join(lent))
    python = shutil.which("python", path=places["scripts"])
    offline = ["--no-deps", "--no-index", "--ignore-installed"]
    run(sys.executable, "-m", "pip", "--python", python, *INSTALL, *offline, wheel, cwd=home)
    return Path(places["scripts"])


def test_the_wheel_is_the_source(wheel):
    """Every file, with the tables, the template and py.typed, and none that is not the source's."""
    source = ROOT / "src"
    paths = [path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert content(wheel) == {path.relative_to(source).as_posix(): path.read_bytes() for path in paths}


def test_the_wheel_says_what_it_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        about = Parser().parsestr(archive.read(name).decode())
        assert name.replace("METADATA", "licenses/LICENSE") in archive.namelist()
        (commands,) = [archive.read(name).decode() for name in archive.namelist() if name.endswith("entry_points.txt")]
    assert "seewhy = seewhy.cli:main" in commands
    assert about["Version"] == seewhy.__version__
    assert about["Requires-Python"] == ">=3.10"
    urls = [line.partition(", ") for line in about.get_all("Project-URL")]
    assert {name for name, _, _ in urls} == {"Homepage", "Documentation", "Issues", "Changelog"}
    for _, _, url in urls:
        assert url.startswith("https://github.com/seewhy-dev/seewhy")
        place = re.sub(r".*/seewhy/?((blob|tree)/main/)?", "", url)
        assert place == "issues" or (ROOT / place).exists(), url
    always = [line for line in about.get_all("Requires-Dist") if "extra ==" not in line]
    assert "torch>=2.6" in always
    assert not any(line.startswith(("torchvision", "timm", "transformers", "pytest")) for line in always)


def test_the_wheel_of_the_sdist_is_the_same(wheel, tmp_path):
    """The sdist lacks nothing that the wheel needs; pip builds from it where it takes no wheel."""
    (tmp_path / "sdist").mkdir()
    (tmp_path / "wheel").mkdir()
    with tarfile.open(build(ROOT, "sdist", tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert content(build(unpacked, "wheel", tmp_path / "wheel")) == content(wheel)


def test_import(commands, tmp_path):
    program = (
        "import seewhy; print(seewhy.__file__); import importlib.metadata as m; print(m.version('seewhy'));"
        "[getattr(seewhy, name) for name in seewhy.__all__]"
    )
    file, version = run(commands / "python", "-c", program, cwd=tmp_path).split()
    assert Path(file).is_relative_to(commands.parent), "not the checkout's"
    assert version == seewhy.__version__
    run(commands / "python", "-m", "seewhy", "--help", cwd=tmp_path)


def test_the_command(commands, tmp_path):
    assert "explain" in run(commands / "seewhy", "--help", cwd=tmp_path)
    assert "Grad-CAM" in run(commands / "seewhy", "methods", cwd=tmp_path)


def test_a_real_explanation(commands, tmp_path):
    """With the embedded model, its labels, and the report's template; and a picture from the natural spectrum."""
    methods = [word for name in ("saliency", "grad_cam", "cam", "occlusion") for word in ("-M", name)]
    said = run(commands / "seewhy", "explain", PHOTO, *methods, "--output-dir", "out", "--json", cwd=tmp_path)
    (photo,) = json.loads(said)["photos"]
    assert photo["top5"][0]["name"] == "tiger cat"
    assert photo["targets"][0]["methods"]["occlusion"]["notes"]["engine"] == "incremental"
    assert "tiger cat" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    run(commands / "seewhy", "visualize", "--target", "volcano", "--steps", 2, "--output-dir", "seen", cwd=tmp_path)
    assert list((tmp_path / "seen").rglob("*.png"))
