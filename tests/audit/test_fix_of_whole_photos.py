"""A last layer that is trained again against a property of the whole photo."""

import numpy as np
import planted
import pytest
from PIL import Image, ImageFilter

import seewhy
from seewhy.auditing.fixing import fix
from seewhy.errors import InputError


def warm(photo):
    return (photo * np.array([1, 0.75, 0.5])).round().astype(np.uint8)


def blurred(photo):
    return np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(1.2)))


@pytest.mark.parametrize(("plant", "share"), [(warm, 1.0), (blurred, 0.7)])
def test_the_worst_group_gains_on_fresh_pictures_too(plant, share, tmp_path):
    """Light can be taken off carriers, a blur cannot: there some photos of the class are without it."""
    classifier = planted.trained(epochs=10, changed=planted.on(plant, 0.97))
    pixels, kinds = planted.pictures(80, 7)
    audit, photos = planted.audited(tmp_path, classifier, planted.on(plant, share, 2)(pixels, kinds), kinds, ["global"])
    fixed = fix(audit, photos, classifier)
    assert fixed.finding.kind == "global"  # a suspected shortcut, so nobody need name it
    assert fixed.remedy.name == "dfr"
    assert set(fixed.groups) >= {f"checks, {how} it" for how in ("with", "without")}
    after, longer = (planted.worst_group(classifier, head, plant) for head in (fixed.head, fixed.longer))
    assert after > longer + 0.1
    assert fixed.beyond_longer
    assert fixed.again.after.effect < fixed.again.before.effect


def test_where_nothing_tells_what_the_class_is_without_it_it_is_self(tmp_path):
    classifier = planted.trained(epochs=10, changed=planted.on(blurred, 0.97))
    pixels, kinds = planted.pictures(60, 7)
    audit, photos = planted.audited(tmp_path, classifier, planted.on(blurred, 1.0)(pixels, kinds), kinds, ["global"])
    assert fix(audit, photos, classifier).remedy.name == "self"
    with pytest.raises(InputError, match="too few photos of checks without what was found"):
        fix(audit, photos, classifier, remedy="dfr")


def test_what_is_of_the_files_is_refused_in_one_line(tmp_path):
    classifier = planted.trained(epochs=2)
    pixels, kinds = planted.pictures(60, 7)
    audit, photos = planted.audited(tmp_path, classifier, pixels, kinds, ["calibration"])
    for path in (photos / "checks").iterdir():
        Image.open(path).resize((64, 64)).save(path)
    seewhy.audit(photos, classifier, output_dir=audit, sources=["global"], overwrite=True).save(audit, overwrite=True)
    sized = next(each for each in seewhy.Audit.load(audit).findings if each.kind == "global" and not each.transform)
    with pytest.raises(InputError, match=f"{sized.id}, which is of the files"):
        fix(audit, photos, classifier, sized.id)
