"""The documents say what is true: their Python runs, their structure is the source's, their links lead somewhere."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image

import seewhy
from seewhy.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
RECIPES = ROOT / "docs" / "recipes.md"
BLOCKS = [
    (page, block)
    for page in PAGES
    if page != RECIPES
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.S)
]
SECTIONS = [section for section in RECIPES.read_text().split("\n## ") if "```" in section]


def anchors(page):
    """Of a page's sections, as GitHub makes them."""
    headings = re.findall(r"^##+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder with the examples in it, as the current one."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=lambda value: getattr(value, "name", ""))
def test_python_blocks_run(page, block, place):
    exec(compile(block, str(page), "exec"), {"__name__": "block"})


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.partition("\n")[0])
def test_recipes_run(section, place, seewhy_command, monkeypatch):
    """Python and commands in their order; a block that begins with the name of a file is that file."""
    monkeypatch.setattr(Image.Image, "show", lambda *_: None)
    for language, block in re.findall(r"```(\w+)\n(.*?)```", section, re.S):
        if language == "python" and (name := re.match(r"# (\w+\.py)\n", block)):
            (place / name.group(1)).write_text(block)
        elif language == "python":
            exec(compile(block, section.partition("\n")[0], "exec"), {"__name__": "block"})
        elif language == "sh":
            for line in block.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "seewhy"
                code, _, err = seewhy_command(*arguments)
                assert code == 0, err


def _command(name):
    return import_module(f"seewhy.cli.{name.replace('-', '_')}").command


LINES = [
    (page, line)
    for page in PAGES
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.S)
    for line in block.splitlines()
    if re.match(r"(\.venv/bin/)?seewhy ", line)
]


@pytest.mark.parametrize(("page", "line"), LINES, ids=lambda value: getattr(value, "name", value))
def test_commands_have_the_options_that_documents_give_them(page, line):
    _, name, *arguments = shlex.split(line, comments=True)
    assert _command(name).make_context(name, arguments)


@pytest.mark.parametrize(
    "option", sorted({found for page in PAGES for found in re.findall(r"`(--[a-z-]+)", page.read_text())})
)
def test_options_in_the_text_exist(option):
    known = {"--help", "--version"}
    for name in COMMANDS:
        for parameter in _command(name).params:
            known |= {*parameter.opts, *parameter.secondary_opts}
    assert option in known


@pytest.mark.parametrize("page", [RECIPES, RECIPES.with_name("troubleshooting.md")], ids=lambda page: page.name)
def test_every_section_is_listed_above(page):
    """The list at the top names every section, by the anchor that GitHub gives it."""
    text = page.read_text()
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) == anchors(page)


def test_the_drawn_house_is_the_built_one():
    drawn = re.search(r"```\nsrc/seewhy/\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text(), re.S).group(1)
    rooms, inside = {}, [""]
    for line in drawn.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0].rstrip("/")
        del inside[depth:]
        rooms.setdefault("/".join(inside[1:]), set()).add(name)
        inside.append(name)
    assert {"core", "incremental", "auditing/passing"} <= set(rooms)
    source = Path(seewhy.__file__).parent
    hidden = {"__init__.py", "__main__.py", "__pycache__", "py.typed"}
    for room, names in rooms.items():
        assert names == {path.name for path in (source / room).iterdir()} - hidden, room


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link, anchor in re.findall(r"\]\(([^)#]*)(#[^)]+)?\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link
        if anchor and not link.startswith("https://"):
            assert anchor[1:] in anchors(page.parent / link if link else page), link + anchor
    for figure in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text()):
        assert len(figure[0]) > 20, "a figure needs a description"
        assert Image.open(page.parent / figure[1]).width > 1000


def test_methods_page_names_every_method_and_how_it_misleads():
    text = (ROOT / "docs" / "methods.md").read_text()
    for method in seewhy.methods.METHODS:
        assert f"## {method.title} " in text, method.title
    assert text.count("*Misleads:*") == len(seewhy.methods.METHODS) + 1


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = ROOT / "examples" / "why_this_cat.py"
    exec(compile(path.read_text(), str(path), "exec"), {"__name__": "__main__", "__file__": str(path)})
    assert "CAM's strongest argument" in capsys.readouterr().out
    found = seewhy.Explanation.load(tmp_path / "why-this-cat")
    assert found.targets[1].name == "tiger cat rather than Egyptian cat"
    assert Image.open(tmp_path / "why-this-cat" / "cam-on-the-photo.png").size == (451, 300), "on the whole photo"


def test_the_version_is_the_same_everywhere():
    citation = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert citation.group(1) == seewhy.__version__
    changes = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert changes[0] == "Unreleased"
    assert changes[1] == seewhy.__version__


def test_the_jobs_of_ci_are_told():
    jobs = set(re.findall(r"^(\w+)\(\)", (ROOT / ".ci" / "run").read_text(), re.M))
    assert jobs == set(re.findall(r"^\| `(\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.M))
