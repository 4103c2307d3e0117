"""seewhy visualize as a person uses it."""

import json

import numpy as np
import pytest
from PIL import Image

TINY = ["visualize", "--model", "nets.tiny:make", "--input-size", "32", "--steps", "4"]


@pytest.fixture
def photos(tmp_path):
    """Two photos of each class, in folders named after them."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog", "<b>owl"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(2):
            array = random.integers(0, 255, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(array).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("cat\ndog\n<b>owl\nsea lion\n")
    return path


def test_channels_and_classes_with_a_sheet_and_a_film(seewhy, tmp_path, labels):
    out = tmp_path / "out"
    arguments = [*TINY, "--labels", labels, "-t", "cat", "-t", 2, "--layer", "2", "--channel", 4, "--channel", 7,
                 "--grid", "--video", out / "film.gif", "-o", out]  # fmt: skip
    code, said, err = seewhy(*arguments)
    assert code == 0, err
    assert {path.name for path in out.iterdir()} == {
        *(f"{stem}.{ending}" for stem in ("class-0", "class-2", "2-4", "2-7", "grid") for ending in ("png", "json")),
        "film.gif", "film.gif.json",
    }  # fmt: skip
    assert "The network gives it" in said
    about = json.loads((out / "class-2.json").read_text())
    assert about["target"] == {"index": 2, "name": "<b>owl"}
    assert about["receipt"]["own"]["probability"] == pytest.approx(about["probability"])
    assert about["receipt"]["other"] is None
    assert about["params"]["preset"] == "default"
    assert json.loads((out / "2-7.json").read_text())["target"] == {"layer": "2", "channel": 7}
    with Image.open(out / "film.gif") as film:
        assert film.n_frames == 5
        assert film.size == (68, 68)
    film = json.loads((out / "film.gif.json").read_text())
    assert [each["target"].get("channel") for each in film["pictures"]] == [None, None, 4, 7]
    code, _, err = seewhy(*arguments)
    assert code == 2
    assert "--force" in err
    assert seewhy(*arguments, "--force")[0] == 0


def test_photos_of_a_unit_and_a_second_network(seewhy, tmp_path, labels, photos):
    out = tmp_path / "out"
    code, said, _ = seewhy(*TINY, "--labels", labels, "-t", "dog", "--layer", "3", "--channel", 1, "--photos", photos,
                           "--second", "efficientnet_lite0", "-o", out, "--json")  # fmt: skip
    assert code == 0
    dog, channel = json.loads(said)
    assert dog["photos"]["looked"] == channel["photos"]["looked"] == 6
    assert len(dog["photos"]["top"]) == 5
    values = [each["value"] for each in channel["photos"]["top"]]
    assert values == sorted(values, reverse=True)
    assert (out / "class-1-photos.png").exists()
    assert [step["layer"] for step in dog["receipt"]["path"]] == ["0", "1", "2", "3"]
    assert dog["receipt"]["other"] is None  # to ImageNet there are only breeds of dogs
    assert "efficientnet_lite0, has no class of this name" in dog["receipt"]["in_words"]


def test_an_earlier_result_goes_on_where_it_was(seewhy, tmp_path, photos):
    assert seewhy(*TINY, "-t", 1, "-o", tmp_path / "a")[0] == 0
    arguments = [*TINY, "-t", 1, "--learning-rate", 1e-6, "--steps", 1]
    code, _, _ = seewhy(*arguments, "--start", tmp_path / "a" / "class-1.png", "-o", tmp_path / "b")
    assert code == 0
    a, b = (np.asarray(Image.open(tmp_path / name / "class-1.png")).astype(int) for name in "ab")
    assert np.abs(a - b).max() <= 2
    photo = photos / "cat" / "0.png"
    code, _, _ = seewhy(*arguments, "--layer", "0", "--start", photo, "--size", 20, "--alpha", 1, "-o", tmp_path / "c")
    assert code == 0
    with Image.open(tmp_path / "c" / "0.png") as image:
        assert (image.mode, image.size) == ("RGBA", (20, 20))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ([], "nothing to visualize"),
        (["--channel", 3], "--layer"),
        (["--layer", "2", "--channel", 99], "no such channel"),
        (["--layer", "two", "--channel", 1], "no layer 'two'"),
        (["-t", 1, "--video", "film.avi"], ".gif or .mp4"),
        (["-t", 1, "--preset", "olha"], "did you mean olah"),
        (["-t", 1, "--photos", "missing"], "no folder"),
        (["-t", 1, "--second", "nowhere:x"], "nowhere"),
        (["-t", 1, "--size", 0], "--size"),
        (["-t", 1, "--alpha", -1], "--alpha"),
    ],
)
def test_users_errors_are_one_line_and_exit_2(seewhy, tmp_path, arguments, match):
    code, _, err = seewhy(*TINY, *arguments, "-o", tmp_path / "out")
    assert code == 2
    assert match in err
    assert len([line for line in err.splitlines() if "rror" in line]) == 1


def test_ctrl_c_keeps_the_picture_so_far(seewhy, tmp_path, monkeypatch):
    from seewhy.gallery import folder

    make = folder.make

    def interrupted(classifier, wanted, **options):
        def stop(step, score, x):
            if step == 1:
                raise KeyboardInterrupt

        return make(classifier, wanted, callback=stop, **options)

    monkeypatch.setattr(folder, "make", interrupted)
    code, _, err = seewhy(*TINY, "-t", 1, "-t", 2, "--batch-size", 1, "--grid", "-o", tmp_path)
    assert code == 1
    assert "interrupted" in err
    about = json.loads((tmp_path / "class-1.json").read_text())
    assert about["interrupted"]
    assert len(about["history"]) == 2
    assert (tmp_path / "grid.png").exists()
    assert not (tmp_path / "class-2.png").exists()
