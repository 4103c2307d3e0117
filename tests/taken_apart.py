"""A page that holds everything it needs, taken apart: its tags, its visible text, its blocks of JSON, its script."""

import base64
import io
import json
import re
from html.parser import HTMLParser

from PIL import Image

from seewhy.pictures.overlay import upsample
from seewhy.viewer.planes import values_of


class Page(HTMLParser):
    """What a browser finds in a page before its script runs.

    Attributes:
        tags: (name, attributes) of each element.
        text: what is visible where scripts may not run.
        blocks: id -> what its script element of JSON holds.
        script, style: the text of the one script that runs, and of the one style sheet.
        policy: directive -> sources of its Content-Security-Policy.
    """

    def __init__(self, html):
        super().__init__()
        self.tags, self.blocks, self._words, self._raw, self._open = [], {}, [], {"script": [], "style": []}, []
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self._words).split())
        (self.script,), (self.style,) = self._raw["script"], self._raw["style"]
        (meta,) = (m for m in self.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
        directives = (part.split() for part in meta["content"].split(";"))
        self.policy = {name: sources for name, *sources in directives}

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        tag, attributes = self._open[-1] if self._open else ("", {})
        if tag == "script" and attributes.get("type") == "application/json":
            assert attributes["id"] not in self.blocks, "an id comes twice"
            self.blocks[attributes["id"]] = json.loads(data, parse_constant=_no_number)
        elif tag in self._raw:
            self._raw[tag].append(data)
        else:
            self._words.append(data)

    def all(self, *names):
        """The attributes of the elements of these names."""
        return [attributes for tag, attributes in self.tags if tag in names]

    @property
    def run(self):
        """What the report is of."""
        return self.blocks["seewhy-run"]

    @property
    def photos(self):
        """Number -> what the viewer is given of a photo."""
        found = ((re.fullmatch(r"photo-(\d+)", id), value) for id, value in self.blocks.items())
        return {int(match[1]): value for match, value in found if match}

    @property
    def rows(self):
        """The lines of the index, in their order."""
        return self.run["rows"]


def texts(value):
    """Every text in what JSON holds, names of members among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


def _no_number(constant):
    raise AssertionError(f"{constant} is not JSON")


def maps_of(views):
    """Id -> the map (h, w) as the viewer has it, of the views of one target."""
    found = {}
    for view in views:
        if view["kind"] == "map" and view["plane"]["kind"] != "product":
            found[view["id"]] = values_of(view["plane"])
    for view in views:
        if view["kind"] == "map" and view["plane"]["kind"] == "product":
            coarse, fine = (found[id] for id in view["plane"]["of"])
            found[view["id"]] = upsample(coarse, (fine.shape[1], fine.shape[0])) * fine
    return found


def picture_of(uri):
    """A picture that stands in a page."""
    kind, data = uri.removeprefix("data:").split(";base64,")
    assert kind in ("image/webp", "image/jpeg")
    return Image.open(io.BytesIO(base64.b64decode(data)))
