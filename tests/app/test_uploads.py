"""Photos come in whole or not at all, and stay within bounds."""

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from pages import entered, listening, opened, picture, png, upload
from PIL import Image

from seewhy.app import photos as kept_photos


def test_a_photo_is_taken_and_shown(client, live):
    answer = upload(client, png(size=(900, 600)), name="a%20cat.png")
    assert answer.status_code == 201
    told = answer.json()
    assert told == {
        "id": told["id"],
        "name": "a cat.png",
        "size": [900, 600],
        "truth": None,
        "folder": False,
        "notes": [],
    }
    sizes = {"small": (448, 299), "thumb": (96, 64)}
    for kind, size in sizes.items():
        drawn = client.get(f"/photos/{told['id']}/{kind}")
        assert drawn.headers["content-type"] == "image/webp"
        assert Image.open(io.BytesIO(drawn.content)).size == size


def test_the_crop_is_exactly_what_the_model_sees(client, live):
    id = upload(client, png(3)).json()["id"]
    crop = Image.open(io.BytesIO(client.get(f"/photos/{id}/crop/0").content))
    assert np.array_equal(np.array(crop), np.array(live.models[0].classifier.crop(picture(3))))
    for other in ("1", "-1", "0x0", "९", "00000000"):
        assert client.get(f"/photos/{id}/crop/{other}").status_code == 404


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"<svg xmlns='http://www.w3.org/2000/svg'/>", png()[:60], b"\0" * 5000]
)
def test_what_is_no_picture_is_refused_in_a_sentence(client, live, content):
    answer = upload(client, content, name="x.png")
    assert answer.status_code == 415
    said = answer.json()["error"]
    assert said
    assert str(live.photos._place.name) not in said, "where it lay is nobody's business"
    assert not list(Path(live.photos._place.name).iterdir())


def test_too_many_bytes_are_refused_before_they_are_all_read(live):
    with entered(live, most_bytes=10_000) as client:
        answer = upload(client, (b"x" * 1000 for _ in range(100_000)))
        assert answer.status_code == 413
        assert not list(Path(live.photos._place.name).iterdir())
        assert upload(client, png()).status_code == 201


def test_too_many_pixels_are_refused_before_they_are_decoded(client, monkeypatch):
    monkeypatch.setattr(kept_photos, "MOST_PIXELS", 2000)
    answer = upload(client)
    assert answer.status_code == 413
    assert "megapixels" in answer.json()["error"]


@pytest.mark.parametrize(("name", "shown"), [
    ("../../etc/passwd", "passwd"), ("C:\\temp\\cat.png", "cat.png"), ("%0A%1B[31mred", "\\n\\x1b[31mred"),
    ("", "photo"),
    ("%00", "\\x00"), ("%FF%FE", "��"), ("a" * 500, None), ("%E2%80%AEgnp.tac", "\\u202egnp.tac"), ("/", "photo"),
])  # fmt: skip
def test_names_are_only_shown(client, live, name, shown):
    told = upload(client, name=name).json()
    assert told["name"] == shown if shown is not None else len(told["name"]) <= kept_photos.MOST_NAME + 1
    (file,) = Path(live.photos._place.name).iterdir()
    assert file.name.startswith("upload-")


@pytest.mark.parametrize("id", ["p0", "p999999", "../p1", "p1%2F..", "p१", "P1", "p-1", "p1 ", "p" + "1" * 40, "%00"])
def test_ids_that_were_never_given_show_nothing(client, id):
    assert client.get(f"/photos/{id}/thumb").status_code == 404


def test_the_oldest_upload_goes_first_and_the_folder_stays(client, live, monkeypatch):
    monkeypatch.setattr(kept_photos, "MOST_UPLOADS", 3)
    ids = [upload(client, png(number)).json()["id"] for number in range(3)]
    assert client.get(f"/photos/{ids[0]}/thumb").status_code == 200  # used: now the second is the oldest
    last = upload(client).json()["id"]
    there = {id: client.get(f"/photos/{id}/small").status_code for id in (*ids, last, "p1", "p2")}
    assert there == {ids[0]: 200, ids[1]: 404, ids[2]: 200, last: 200, "p1": 200, "p2": 200}
    assert len(list(Path(live.photos._place.name).iterdir())) == 3


def test_bytes_of_uploads_are_bounded(client, live, monkeypatch):
    monkeypatch.setattr(kept_photos, "MOST_UPLOADED", 2 * len(png()) + 100)
    for _ in range(5):
        assert upload(client).status_code == 201
    assert sum(file.stat().st_size for file in Path(live.photos._place.name).iterdir()) <= 2 * len(png()) + 100


def test_photos_are_told_to_the_next_page(client):
    id = upload(client).json()["id"]
    with opened(client) as page:
        told = {photo["id"]: photo for photo in page.hello["photos"]}
    assert [photo["folder"] for photo in told.values()] == [True, True, True, False]
    assert told["p1"]["truth"] == "red"
    assert told[id]["size"] == [60, 48]


def test_a_photo_of_the_folder_that_changes_is_read_again(client, live, folder):
    before = client.get("/photos/p1/crop/0").content
    Path(folder[0].path).write_bytes(png(7, size=(50, 50)))
    after = client.get("/photos/p1/crop/0").content
    assert before != after
    Path(folder[0].path).unlink()
    assert client.get("/photos/p1/crop/0").status_code == 404


def test_uploads_are_gone_with_the_server(folder):
    from pages import classifier

    from seewhy.app.live import Live

    live = Live([classifier()], folder)
    with entered(live) as client:
        upload(client)
    place = Path(live.photos._place.name)
    assert place.exists()
    assert live.close(20)
    assert not place.exists()


def test_fifty_at_once(live):
    with listening(live) as running:
        answers = []

        def one(number):
            content = png(number) if number % 5 else b"garbage" * number
            answers.append((number % 5, running.client.post("/photos", content=content, headers={"x-name": "a"})))

        threads = [threading.Thread(target=one, args=(number,)) for number in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 50
        for good, answer in answers:
            assert answer.status_code == (201 if good else 415), answer.text
        ids = {answer.json()["id"] for good, answer in answers if good}
        assert len(ids) == 40


def test_more_than_can_wait_are_told_to_come_again(live, monkeypatch):
    from seewhy.app import uploads

    monkeypatch.setattr(uploads, "MOST_WAITING", 0)
    with entered(live) as client:
        assert upload(client).status_code == 429
