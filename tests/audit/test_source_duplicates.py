"""A photo saved again is the same photo; two that look alike are not; what another folder holds is said."""

import io

import numpy as np
import planted
import pytest
from PIL import Image

import seewhy
from seewhy.auditing.likeness import Likeness, linked
from seewhy.errors import InputError


@pytest.fixture(scope="module")
def clf():
    return planted.trained(each=10, epochs=1)


def photo(seed, size=(96, 80)):
    """A picture of large soft shapes."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (7, 8, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)


def copies():
    """Of one photo: compressed, resized, as another format."""
    file = io.BytesIO()
    photo(1).save(file, "JPEG", quality=60)
    return [Image.open(file).convert("RGB"), photo(1).resize((64, 53)), photo(1).resize((150, 125)).convert("RGB")]


def saved(folder, **photos):
    for name, picture in photos.items():
        path = folder / name.replace("__", "/")
        path = path.with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    return folder


def test_a_photo_saved_again_is_found_with_its_other_label(tmp_path, clf):
    first, second, third = copies()
    others = {f"rings__o{seed}": photo(seed) for seed in range(10, 30)}
    saved(tmp_path, rings__a=photo(1), stripes__b=first, rings__c=second, blobs__d=photo(2), **others)
    found = {each.id: each for each in seewhy.audit(tmp_path, clf, sources=["duplicates"]).findings}
    assert set(found) == {"duplicate-near-labels"}
    assert set(found["duplicate-near-labels"].carriers) == {"rings/a.png", "stripes/b.png", "rings/c.png"}
    assert found["duplicate-near-labels"].state == "not_proven"
    saved(tmp_path, rings__e=third)
    (tmp_path / "rings" / "f.png").write_bytes((tmp_path / "blobs" / "d.png").read_bytes())
    found = {each.id: each for each in seewhy.audit(tmp_path, clf, sources=["duplicates"]).findings}
    assert set(found) == {"duplicate-near-labels", "duplicate-exact-labels"}
    assert set(found["duplicate-exact-labels"].carriers) == {"blobs/d.png", "rings/f.png"}
    assert found["duplicate-exact-labels"].state == "proven"


def test_what_another_folder_holds_is_said(tmp_path, clf):
    first, second, _ = copies()
    saved(tmp_path / "test", rings__a=photo(1), rings__b=photo(2), rings__c=photo(3), stripes__d=photo(4))
    saved(tmp_path / "train", x=first, y=photo(50), z=photo(51))
    (tmp_path / "train" / "same.png").write_bytes((tmp_path / "test" / "stripes" / "d.png").read_bytes())
    (tmp_path / "train" / "broken.png").write_text("no photo")
    given = {"sources": ["duplicates"]}
    (found,) = seewhy.audit(tmp_path / "test", clf, other=tmp_path / "train", **given).findings
    assert found.id == "duplicate-leak"
    assert found.detail["pairs"] == [["rings/a.png", "x.png"], ["stripes/d.png", "same.png"]]
    assert found.state == "proven"
    assert "2 of 4 photos" in found.sentence
    assert "1 of them byte for byte" in found.sentence
    assert seewhy.audit(tmp_path / "test", clf, other=saved(tmp_path / "far", y=photo(50)), **given).findings == ()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no photo"):
        seewhy.audit(tmp_path / "test", clf, other=tmp_path / "empty", **given)
    assert second.size == (64, 53)


def test_pictures_that_look_alike_are_not_one(tmp_path, clf):
    """Noise with a faint pattern: equal hashes by chance are no copies."""
    pixels, kinds = planted.pictures(60, 7)
    audit = seewhy.audit(planted.folder(tmp_path, pixels, kinds), clf, sources=["duplicates"])
    assert not audit.findings


def test_likeness_in_closed_form():
    flat, half = (Image.new("RGB", (40, 40), (100, 100, 100)) for _ in range(2))
    half.paste((200, 200, 200), (0, 0, 40, 20))
    alike = Likeness()
    read = {"flat": lambda: flat, "half": lambda: half, "brighter": lambda: half.point(lambda v: v + 40)}
    assert alike(("half", read["half"]), ("brighter", read["brighter"]))  # its mean does not count
    assert not alike(("half", read["half"]), ("flat", read["flat"]))

    def broken():
        raise seewhy.errors.PhotoError("gone")

    assert not alike(("broken", broken), ("half", read["half"]))


def test_groups_are_linked_through_others():
    pairs = [(0, 3), (3, 5), (1, 2), (4, 6)]
    assert linked(7, pairs, lambda a, b: (a, b) != (4, 6)) == [[0, 3, 5], [1, 2]]
