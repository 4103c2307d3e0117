"""A page runs its own script and no other, and the script is all of its modules, unchanged but for what nobody runs."""

import base64
import hashlib
import json
import re
import subprocess

import numpy as np
import pytest

from node import JS, in_node, needs_node
from seewhy.pictures import colormaps
from seewhy.pictures.overlay import blended
from seewhy.viewer.page import MODULES, as_json, assemble, colours, joined, policy, stylesheet
from taken_apart import Page

FILES = {path.stem: path.read_text("utf-8") for path in sorted(JS.glob("*.js"))}
STARTS = [name for name in FILES if name.startswith("start_")]
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([a-z_]+)\.js";$', re.M)
TOP = re.compile(r"^(?:export )?(?:async )?(?:function\*?|class|const|let|var) +([\w$]+)", re.M)
EXPORTED = re.compile(r"^export (?:async )?(?:function\*?|class|const|let) +([\w$]+)", re.M)

TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*[\s\S]*?\*/)
      | (?P<text>"(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | `(?:\\.|[^`\\])*`)
      | (?P<pattern>(?<=[(,=:\[!&|?{};])\ */(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*)
      | (?P<word>[\w$]+)
      | (?P<sign>[^\s\w$])""",
    re.X,
)


def tokens(script):
    """What JavaScript reads: words, signs, texts and patterns, without comments and white space.

    Templates are taken as one text each; none here holds another template with a brace in it that would end it.
    """
    return [match[0].strip() for match in TOKEN.finditer(script) if match.lastgroup != "comment"]


def without_modules(script):
    """The same module, written into one script."""
    return re.sub(r"^export ", "", IMPORT.sub("", script), flags=re.M)


def test_every_file_is_in_the_page():
    assert set(MODULES) <= set(FILES)
    assert all(name in MODULES or name in STARTS or any(f'"./{name}.js"' in FILES[s] for s in STARTS) for name in FILES)


@pytest.mark.parametrize("start", ["start_report", "start_notebook"])
def test_the_script_is_its_modules_token_by_token(start):
    """Only imports, the word export, comments and white space at the beginnings of lines are left out."""
    wanted = [token for name in (*MODULES, start) for token in tokens(without_modules(FILES[name]))]
    assert len(wanted) > 8000
    assert tokens(joined(start)) == wanted


def test_every_text_of_a_module_is_in_the_script():
    script = joined("start_report")
    modules = (without_modules(FILES[name]) for name in MODULES)
    found = [match for module in modules for match in TOKEN.finditer(module) if match.lastgroup == "text"]
    assert len(found) > 400
    for match in found:
        assert match[0] in script, match[0]


@pytest.mark.parametrize("start", ["start_report", "start_notebook"])
def test_nothing_is_imported_or_exported_any_more(start):
    script = joined(start)
    assert not re.search(r"^\s*(import|export)\b", script, re.M)
    assert not re.search(r"\bimport\s*\(", script), "and nothing is loaded later"


def test_no_name_is_there_twice():
    for start in STARTS:
        names = [name for module in (*MODULES, start) for name in TOP.findall(FILES[module])]
        assert sorted(set(names)) == sorted(names), {name for name in names if names.count(name) > 1}


@pytest.mark.parametrize("name", MODULES)
def test_every_import_is_of_an_earlier_module_and_is_there(name):
    assert len(re.findall(r"^import\b", FILES[name], re.M)) == len(IMPORT.findall(FILES[name])), "in the one form"
    for given, other in IMPORT.findall(FILES[name]):
        assert other in MODULES[: MODULES.index(name)], other
        wanted = {part.strip() for part in given.split(",") if part.strip()}
        assert wanted <= set(EXPORTED.findall(FILES[other])), other
        own = without_modules(FILES[name])
        assert all(re.search(rf"\b{each}\b", own) for each in wanted), "and is used"
        assert not any(" as " in each for each in wanted), "a name is the same in the joined script"


@pytest.mark.parametrize("name", list(FILES))
def test_text_never_becomes_markup_or_code(name):
    """Elements are made of nodes; no string is parsed as HTML or run."""
    spoken = " ".join(tokens(FILES[name]))
    for wrong in (
        "innerHTML", "outerHTML", "insertAdjacentHTML", "document . write", "eval (", "Function (", "setHTML", "srcdoc",
        "DOMParser", "createContextualFragment", "javascript:", 'setTimeout ( "', "localStorage",
    ):  # fmt: skip
        assert wrong not in spoken, wrong


def sha256(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@pytest.mark.parametrize("connect", [False, True])
@pytest.mark.parametrize("start", ["start_report", "start_notebook"])
def test_the_policy_is_of_this_script_and_this_style(start, connect):
    html = assemble("A <title>", "<p>body</p>", start=start, styles=("viewer", "report"), connect=connect)
    page = Page(html)
    assert page.policy["script-src"] == [sha256(page.script)]
    assert page.policy["style-src"] == [sha256(page.style)]
    assert page.policy["default-src"] == page.policy["base-uri"] == page.policy["form-action"] == ["'none'"]
    assert "unsafe" not in str(page.policy)
    assert "*" not in str(page.policy)
    assert not any(source.startswith(("http", "//", "data:")) for source in page.policy["script-src"])
    assert page.policy.get("connect-src") == (["'self'"] if connect else None)
    assert "A <title>" in page.text
    assert not any("style" in attributes for _, attributes in page.tags), "which the policy would not let in"
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_another_script_has_another_hash():
    assert policy("a", "b") != policy("a ", "b")
    assert policy("a", "b") != policy("a", "b ")


def test_further_modules_are_part_of_the_script():
    more = 'import { h } from "./dom.js";\n/** What it is. */\nexport function more() {\n  return h("p");\n}\n'
    page = Page(assemble("t", "", start="start_report", modules=[more]))
    assert 'function more() {\nreturn h("p");\n}\n' in page.script
    assert page.script.index("function more()") < page.script.rindex("new SeewhyReport()"), (
        "before what starts the page"
    )
    assert page.policy["script-src"] == [sha256(page.script)]


@pytest.mark.parametrize("start", ["start_report", "start_notebook"])
def test_what_every_page_has_is_small(start):
    html = assemble("t", "", start=start, styles=("viewer", "report"))
    assert len(html.encode()) <= 80_000


HOSTILE = [
    "</script>",
    "<!--",
    "<script>",
    "]]>",
    "\u2028\u2029",
    '"\\',
    "\x00\x1f\x7f",
    "猫",
    "\\u003c",
    "<\\/script>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_json_ends_no_script_and_is_read_back(text):
    page = Page(assemble("t", "", start="start_report", blocks=[("a", {text: [text]}), ("b", 1)]))
    assert page.blocks["a"] == {text: [text]}
    assert page.blocks["b"] == 1
    assert not set("<\u2028\u2029") & set(as_json(text))


def test_what_json_does_not_have_is_refused():
    for wrong in (float("nan"), float("inf"), {1, 2}):
        with pytest.raises((ValueError, TypeError)):
            as_json({"a": wrong})


def test_the_style_sheets_without_comments_are_whole():
    for name in ("viewer", "report", "notebook"):
        sheet = stylesheet(name)
        assert "/*" not in sheet
        assert sheet.count("{") == sheet.count("}")
        for fetched in ("url(", "@import", "http:", "https:", "expression("):
            assert fetched not in sheet


@needs_node
def test_every_script_is_read_without_an_error(tmp_path):
    for start in ("start_report", "start_notebook"):
        path = tmp_path / f"{start}.mjs"
        path.write_text(joined(start), "utf-8")
        done = subprocess.run(["node", "--check", path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@needs_node
def test_colours_on_the_page_are_those_of_the_figure():
    """Every colour of every map on every lightness, at several opacities."""
    wanted = [(name, kind, fine, opacity) for name in colormaps.COLORMAPS for kind in ("sequential", "diverging")
              for fine in (False, True) for opacity in (1.0, 0.35, 0.0)]  # fmt: skip
    program = f"""
    import {{ tableOf, useColours }} from {json.dumps((JS / "colours.js").as_uri())};
    useColours(given.colours);
    console.log(JSON.stringify(given.wanted.map(([name, kind, fine, opacity]) => {{
      const {{ pixels }} = tableOf(name, kind === "diverging", fine, opacity);
      return Buffer.from(new Uint8Array(pixels.buffer)).toString("base64");
    }})));
    """
    found = in_node(program, {"colours": colours(), "wanted": wanted})
    for (name, kind, fine, opacity), shown in zip(wanted, found, strict=True):
        table = np.frombuffer(base64.b64decode(shown), np.uint8).reshape(256, -1, 4)
        assert (table[..., 3] == 255).all()
        off = np.abs(table[..., :3].astype(int) - blended(kind, fine, name, opacity))
        assert off.max() <= 1, (name, kind, fine, opacity)
        assert (off > 0).mean() < 0.03, "of those that lie between two, such as 0.21 a + 0.79 b"
