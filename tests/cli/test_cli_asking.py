"""seewhy what-if and seewhy channels print what the functions give."""

import json

import numpy as np
import pytest
from PIL import Image

import seewhy as package
from nets import tiny
from seewhy import Patch

TINY = ["--model", "nets.tiny:make", "--input-size", "32"]


@pytest.fixture
def photos(tmp_path):
    paths = tmp_path / "one.png", tmp_path / "two.png"
    for seed, path in enumerate(paths):
        Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 56, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def clf():
    return package.classifier(tiny.make(), size=32)


def test_what_if_says_what_the_function_says(seewhy, photos, clf, tmp_path):
    one, two = photos
    ways = [
        (["--box", "2,3,9,11"], Patch((2, 3, 9, 11))),
        (["--box", "2,3,9,11", "--shape", "disc", "--sigma", "2.5"], Patch((2, 3, 9, 11), "disc", sigma=2.5)),
        (["--box", "2,3,9,11", "--colour", "#0a6414"], Patch((2, 3, 9, 11), fill="colour", colour=(10, 100, 20))),
        (["--box", "2,3,9,11", "--fill", "colour"], Patch((2, 3, 9, 11), fill="colour")),
        (["--box", "2,3,9,11", "--source", two], Patch((2, 3, 9, 11), fill="patch", source=two)),
        (["--box", "2,3,9,11", "--source-corner", "20,1"], Patch((2, 3, 9, 11), fill="patch", source_corner=(20, 1))),
    ]
    for number, (options, patch) in enumerate(ways):
        picture = tmp_path / f"seen-{number}.png"
        code, out, err = seewhy("what-if", one, *TINY, *options, "-t", 2, "-t", 0, "-o", picture, "--json")
        assert code == 0, err
        said, expected = json.loads(out), package.what_if(one, patch, clf, [2, 0])
        (answer,) = said["answers"]
        assert [each["after"]["index"] for each in answer["classes"]] == [2, 0]
        for kind in ("classes", "top", "top_before", "patch"):
            assert answer[kind] == expected.describe()["answers"][0][kind], (options, kind)
        assert np.array_equal(np.asarray(Image.open(picture)), expected.answers[0].pixels)


def test_what_if_for_people(seewhy, photos, tmp_path):
    picture = tmp_path / "seen.png"
    arguments = ["what-if", photos[0], *TINY, "--box", "0,0,32,32", "--box", "4,5,6,7", "-o", picture]
    code, out, _ = seewhy(*arguments)
    assert code == 0
    assert out.count("class 0") == 2
    assert {path.name for path in tmp_path.glob("seen*")} == {"seen.png", "seen-2.png"}
    assert seewhy(*arguments)[0] == 2, "it replaces nothing"
    assert seewhy(*arguments, "--force")[0] == 0


@pytest.mark.parametrize(("options", "said"), [
    (["--box", "1,2,3"], "--box is 4 whole numbers; expected top,left,height,width"),
    (["--box", "1,2,3,x"], "--box is 4 whole numbers"),
    (["--box", "30,0,9,9"], "does not lie inside what the model sees"),
    (["--box", "0,0,9,9", "--colour", "greyish"], "this is no colour"),
    (["--box", "0,0,9,9", "--fill", "blur", "--colour", "red"], "colour belongs to another fill"),
    (["--box", "0,0,9,9", "-t", "lynx"], "have no names"),
    (["--box", "0,0,9,9", "-o", "a.jpg"], "PNG"),
    (["--box", "0,0,9,9", "--source", "nowhere.png"], "nowhere.png"),
    ([], "--box"),
])  # fmt: skip
def test_what_if_with_something_that_does_not_fit(seewhy, photos, options, said):
    code, out, err = seewhy("what-if", photos[0], *TINY, *options)
    assert (code, out) == (2, "")
    assert said in err


def test_channels_says_what_the_function_says(seewhy, photos, clf):
    for options, asked in [
        ([], {}),
        (
            ["--layer", "0", "-t", 1, "--at", "9,30", "--count", 3],
            {"layer": "0", "target": 1, "at": (9, 30), "count": 3},
        ),
        (["-t", 1, "--versus", 3], {"target": package.Versus(1, 3)}),
    ]:
        code, out, _ = seewhy("channels", photos[0], *TINY, *options, "--json")
        assert code == 0
        expected = package.channels(clf, photos[0], **asked).describe()
        assert json.loads(out) == {"photo": str(photos[0]), **expected}
        code, out, _ = seewhy("channels", photos[0], *TINY, *options)
        assert code == 0
        assert str(expected["channels"][0]["channel"]) in out


@pytest.mark.parametrize(("options", "said"), [
    (["--layer", "nothing"], "nothing"),
    (["--at", "32,0"], "no such place"),
    (["--at", "3"], "--at is 2 whole numbers; expected row,column"),
    (["-t", "9"], "0 to 3"),
    (["--count", "0"], "--count"),
])  # fmt: skip
def test_channels_with_something_that_does_not_fit(seewhy, photos, options, said):
    code, out, err = seewhy("channels", photos[0], *TINY, *options)
    assert (code, out) == (2, "")
    assert said in err
