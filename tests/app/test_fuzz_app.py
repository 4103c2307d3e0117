"""Whatever a page sends, there is no 500, no traceback, and the next page is served."""

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages import BASE, classifier, entered, opened, png

from seewhy.app.live import Live
from seewhy.app.messages import METHOD_IDS, Malformed, parsed

# Network code sets the recursion limit for a while, which hypothesis warns of.
pytestmark = pytest.mark.filterwarnings("ignore:The recursion limit")

MORE = settings(
    max_examples=int(os.environ.get("SEEWHY_FUZZ_EXAMPLES", 60)), deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip

VALID = [
    {"type": "explain", "photo": "p1", "model": 0, "methods": ["grad_cam", "cam"], "targets": [1], "versus": [2],
     "layers": ["2"]},
    {"type": "explain", "photo": "p2", "model": 0, "methods": ["saliency"], "targets": [], "versus": [], "layers": []},
    {"type": "cancel"},
    {"type": "predict", "photos": ["p1", "p3"], "model": 0},
    {"type": "what_if", "photo": "p1", "model": 0, "box": [1, 2, 8, 8], "shape": "disc", "fill": "blur", "sigma": 3.5,
     "colour": [1, 2, 3], "source": {"photo": "p2", "top": 0, "left": 0}, "classes": [0, 1]},
    {"type": "channels", "photo": "p1", "model": 0, "layer": "2", "target": 1, "at": [3, 4], "count": 3},
    {"type": "exemplars", "model": 0, "layer": "2", "channel": 3, "count": 2},
    {"type": "ascend", "model": 0, "target": 1, "layer": None, "channel": None, "preset": "simonyan", "steps": 2,
     "l2": 0.1, "seed": 1},
    {"type": "pause", "job": 1}, {"type": "resume", "job": 1}, {"type": "stop", "job": 1},
]  # fmt: skip

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 5), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["p1", "p2", "p3", "p99", "../p1", "2", "\ud800", "a\x00", "grad_cam", "os:system", 10**400, -0.0]),
    st.lists(st.integers(-2, 50), max_size=5), st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
    st.recursive(st.none(), lambda inner: st.lists(inner, max_size=2), max_leaves=4),
)  # fmt: skip


@st.composite
def mutated(draw):
    """A message that is nearly one."""
    message = dict(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from([*message, "id", "model", "type"]))
        if draw(st.booleans()):
            message[name] = draw(ODD)
        else:
            message.pop(name, None)
    return message


@given(mutated(), st.integers(1, 3))
@MORE
def test_messages_are_checked_whatever_they_hold(message, models):
    message.setdefault("id", 5)
    asked = None
    try:
        asked = parsed(json.dumps(message), models)
    except Malformed as malformed:
        said = str(malformed)
    if asked is None:
        assert said.isprintable()
        return
    assert asked.id == message["id"]
    assert 0 <= getattr(asked, "model", 0) < models
    assert set(getattr(asked, "methods", None) or ()) <= set(METHOD_IDS)


@given(st.text(max_size=60) | st.sampled_from(["[" * 50_000, "9" * 5000, '{"id": 1e999}', '{"id": NaN}', "{}", "null"]))
@MORE
def test_what_is_no_message_is_malformed(text):
    with pytest.raises(Malformed):
        parsed(text, 1)


@given(st.lists(mutated(), min_size=1, max_size=6))
@MORE
def test_the_page_is_served_after_any_messages(shared, messages):
    with opened(shared) as page:
        for number, message in enumerate(messages):
            page.socket.send_text(json.dumps({"id": 100 + number, **message}))
        page.send(type="channels", id=7777, photo="p1", model=0)
        found = []
        while not found or found[-1].get("id") != 7777 or found[-1]["type"] not in ("done", "error", "cancelled"):
            text = page.socket.receive_text()
            assert "Traceback" not in text
            found.append(json.loads(text))
        assert all(message["kind"] for message in found if message["type"] == "error")
        assert found[-1]["type"] in ("done", "cancelled")


@given(st.binary(max_size=200) | st.text(max_size=200))
@MORE
def test_frames_of_any_kind_are_survived(shared, content):
    with opened(shared) as page:
        if isinstance(content, bytes):
            page.socket.send_bytes(content)
        else:
            page.socket.send_text(content)
        page.send(type="nothing", id=3)
        assert page.until(3)[-1]["type"] == "error"


PATHS = st.sampled_from(["/", "/photos", "/live", "/photos/p1/small", "/photos/p1/crop/0", "/ascents/a1/film.gif"])
PIECES = st.sampled_from(["/", "..", "%2e%2e", "p1", "p2", "p3", "photos", "crop", "small", "0", "a1", "image.png",
                          "%00", "%ff", "?", "token=x", "é", "\\", "//", ";", "&"])  # fmt: skip


@given(PATHS | st.lists(PIECES, max_size=7).map(lambda parts: "/" + "/".join(parts)),
       st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "X"]),
       st.binary(max_size=80) | st.just(png()),
       st.dictionaries(st.sampled_from(["x-name", "content-length-x", "range", "accept-encoding", "content-type"]),
                       st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
                       max_size=2))  # fmt: skip
@MORE
def test_no_request_gives_a_500(shared, path, method, content, headers):
    answer = shared.request(method, BASE + path, content=content, headers=headers, follow_redirects=False)
    assert answer.status_code in (200, 201, 400, 403, 404, 405, 413, 415)
    assert b"Traceback" not in answer.content
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One server for all examples; the folder's third photo is none."""
    from seewhy.app.photos import FolderPhoto

    folder = tmp_path_factory.mktemp("photos")
    for number in (1, 2):
        (folder / f"{number}.png").write_bytes(png(number))
    (folder / "3.png").write_bytes(b"")
    live = Live([classifier()], [FolderPhoto(str(path), path.name) for path in sorted(folder.iterdir())])
    with entered(live) as client:
        yield client
        assert client.get("/photos/p1/thumb").status_code == 200
    assert live.close(20)
