"""The pass: a row is what the model says of its photo alone; nothing written is lost; nothing bad stops the rest."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import time

import numpy as np
import planted
import pytest
import torch
from PIL import Image
from torch import nn

import seewhy
from seewhy.auditing.passing.collection import collection_of
from seewhy.auditing.passing.facts import border_of, facts_of, jpeg_of
from seewhy.auditing.passing.hashes import distance, hash_of, near_pairs
from seewhy.auditing.passing.one_pass import rows_of
from seewhy.auditing.passing.rows import UNKNOWN
from seewhy.auditing.passing.shards import read_rows
from seewhy.errors import InputError, OutputError, TargetError


@pytest.fixture(scope="module")
def clf():
    return planted.trained(each=20, epochs=1)


@pytest.fixture
def place(tmp_path):
    pixels, kinds = planted.pictures(12, 1)
    return planted.folder(tmp_path / "photos", pixels, kinds)


def test_a_row_is_what_the_model_says_of_its_photo(place, clf, tmp_path):
    rows, unreadable = rows_of(collection_of(place, clf), clf, tmp_path / "rows", shard=20, batch_size=7)
    assert not unreadable
    assert len(rows) == 48
    assert list(rows.paths) == sorted(path.relative_to(place).as_posix() for path in place.rglob("*.png"))
    for number in range(0, 48, 5):
        path = place / rows.paths[number]
        said = clf.predict(path, top=4)
        assert rows.predicted[number] == said.top[0].index
        assert rows.top_classes[number].tolist() == [entry.index for entry in said.top]
        expected = [entry.probability for entry in said.top]
        assert np.allclose(rows.top_probabilities[number], expected, atol=1e-5)
        truth = planted.LABELS.index(path.parent.name)
        assert rows.truth[number] == truth
        cam = seewhy.attribute(clf, clf.preprocess(Image.open(path)), "cam", target=truth)
        assert np.allclose(rows.maps[number], cam.values[0, 0], atol=2e-3)  # float16
        of_said = seewhy.attribute(clf, clf.preprocess(Image.open(path)), "cam", target=int(rows.predicted[number]))
        assert np.allclose(rows.predicted_maps[number], of_said.values[0, 0], atol=2e-3)
        with torch.no_grad():
            logits = clf.model(clf.preprocess(Image.open(path)))[0]
        others = np.delete(logits.numpy(), truth)
        assert rows.margin[number] == pytest.approx(logits[truth].item() - others.max(), abs=1e-5)
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(truth)).item()
        assert rows.loss[number] == pytest.approx(loss, abs=1e-5)
        logit = (torch.from_numpy(rows.features[number].astype(np.float32)) * clf.model.head.weight[truth]).sum()
        assert abs((logit + clf.model.head.bias[truth] - cam.score[0]).item()) < 5e-3


class Flattens(nn.Module):
    """No global pooling: CAM does not apply."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, 4)
        self.head = nn.Linear(5 * 8 * 8, 3)

    def forward(self, x):
        return self.head(self.conv(x).relu().flatten(1))


def test_where_cam_does_not_apply_it_is_grad_cam(place, tmp_path):
    torch.manual_seed(0)
    clf = seewhy.classifier(Flattens(), labels=["rings", "stripes", "checks"], size=32)
    collection = collection_of(place, clf)
    assert any("blobs" in note for note in collection.notes)
    rows, _ = rows_of(collection, clf, tmp_path / "rows", batch_size=9)
    assert (rows.truth == UNKNOWN).sum() == 12
    for values in (rows.truth_probability, rows.loss, rows.margin):
        assert (np.isnan(values) == (rows.truth == UNKNOWN)).all()
    wrong = np.flatnonzero((rows.truth != UNKNOWN) & ~rows.right)
    for number in (0, 13, 40, *wrong[::5]):
        x = clf.preprocess(Image.open(place / rows.paths[number]))
        target = int(rows.truth[number]) if rows.truth[number] != UNKNOWN else None
        expected = seewhy.attribute(clf, x, seewhy.methods.GradCAM(relu=False), target=target).values[0, 0]
        assert np.allclose(rows.maps[number], expected, atol=1e-3)
        expected = seewhy.attribute(clf, x, seewhy.methods.GradCAM(relu=False)).values[0, 0]
        assert np.allclose(rows.predicted_maps[number], expected, atol=1e-3)


class OfPixels(nn.Module):
    """No maps at all."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3 * 32 * 32, 4)

    def forward(self, x):
        return self.head(x.flatten(1))


def test_a_network_without_maps_has_rows_all_the_same(place, tmp_path):
    torch.manual_seed(0)
    clf = seewhy.classifier(OfPixels(), labels=list(planted.LABELS), size=32)
    rows, _ = rows_of(collection_of(place, clf), clf, tmp_path / "rows", batch_size=9)
    assert rows.maps.shape == rows.predicted_maps.shape == (48, 1, 1)
    assert not rows.maps.any()
    with torch.no_grad():
        logits = clf.model(clf.preprocess(Image.open(place / rows.paths[5])))[0]
    assert np.allclose(rows.features[5], logits, atol=2e-3)  # float16
    assert rows.predicted[5] == logits.argmax()


class FailsOnSome(nn.Module):
    """Of bright photos it gives NaN; of dark ones it raises."""

    def __init__(self):
        super().__init__()
        self.net = planted.Net()

    def forward(self, x):
        light = x.mean((1, 2, 3))
        if (light < -0.25).any():
            raise RuntimeError("too dark")
        return torch.where(light[:, None] > 0.25, torch.nan, self.net(x))


def test_photos_that_the_network_fails_on_cost_their_own_rows_alone(place, tmp_path):
    clf = seewhy.classifier(
        FailsOnSome(), labels=list(planted.LABELS), mean=planted.MEAN, std=planted.STD, size=planted.SIDE
    )
    light = {path: clf.preprocess(Image.open(path)).mean().item() for path in place.rglob("*.png")}
    bad = {path.relative_to(place).as_posix(): value for path, value in light.items() if abs(value) > 0.25}
    assert {value > 0 for value in bad.values()} == {True, False}
    rows, unreadable = rows_of(collection_of(place, clf), clf, tmp_path / "rows", batch_size=11)
    assert len(rows) == 48 - len(bad)
    assert {path for path, _ in unreadable} == set(bad)
    for path, why in unreadable:
        assert ("is nan" if bad[path] > 0 else "RuntimeError: too dark") in why
    whole = seewhy.classifier(
        clf.model.net, labels=list(planted.LABELS), mean=planted.MEAN, std=planted.STD, size=planted.SIDE
    )
    others, _ = rows_of(collection_of(place, whole), whole, tmp_path / "others")
    there = np.isin(others.paths, rows.paths)
    assert np.allclose(rows.truth_probability, others.truth_probability[there], atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_weights_of_any_precision_are_audited(place, dtype):
    clf = seewhy.classifier(
        planted.Net().to(dtype), labels=list(planted.LABELS), mean=planted.MEAN, std=planted.STD, size=planted.SIDE
    )
    found = seewhy.audit(place, clf, sources=["sensitivity", "preprocessing"])
    assert {each.kind for each in found.findings} == {"sensitivity", "preprocessing"}


def test_a_photo_that_cannot_be_read_costs_its_own_row_alone(place, clf, tmp_path):
    (place / "rings" / "broken.jpg").write_bytes(b"\xff\xd8 nothing more")
    (place / "rings" / "text.png").write_text("hello")
    rows, unreadable = rows_of(collection_of(place, clf), clf, tmp_path / "rows", batch_size=5)
    assert len(rows) == 48
    assert [path for path, _ in unreadable] == ["rings/broken.jpg", "rings/text.png"]
    assert all(why for _, why in unreadable)
    again, same = rows_of(collection_of(place, clf), clf, tmp_path / "rows", batch_size=5)
    assert (again.paths, same) == (rows.paths, unreadable)


def test_the_folder_of_another_pass_is_refused(place, clf, tmp_path):
    rows_of(collection_of(place, clf), clf, tmp_path / "rows")
    with pytest.raises(OutputError, match="weights"):
        rows_of(collection_of(place, clf), planted.trained(seed=3, each=5, epochs=1), tmp_path / "rows")
    (place / "rings" / "0000.png").unlink()
    with pytest.raises(OutputError, match="photos"):
        rows_of(collection_of(place, clf), clf, tmp_path / "rows")


def test_a_photo_that_was_changed_is_another_photo(place, clf, tmp_path):
    rows_of(collection_of(place, clf), clf, tmp_path / "rows")
    Image.new("RGB", (32, 32)).save(place / "rings" / "0000.png")
    with pytest.raises(OutputError, match="photos"):
        rows_of(collection_of(place, clf), clf, tmp_path / "rows")


def columns(rows):
    named = {**vars(rows), **rows.facts}
    return {name: np.asarray(value) for name, value in named.items() if name != "facts"}


def same(one, other):
    one, other = columns(one), columns(other)
    assert one.keys() == other.keys()
    for name, column in one.items():
        assert column.dtype == other[name].dtype, name
        assert column.tobytes() == other[name].tobytes() if column.dtype != object else column == other[name], name


def test_the_same_rows_again_bit_for_bit(place, clf, tmp_path):
    (place / "rings" / "broken.jpg").write_bytes(b"\xff\xd8")
    collection = collection_of(place, clf)
    rows, unreadable = rows_of(collection, clf, tmp_path / "rows", shard=20, batch_size=8)
    again, _ = rows_of(collection, clf, tmp_path / "other", shard=20, batch_size=8)
    same(rows, again)
    (tmp_path / "rows" / "000001.parquet").unlink()
    with pytest.raises(InputError, match="missing"):
        read_rows(tmp_path / "rows")
    gone_on, also = rows_of(collection, clf, tmp_path / "rows", shard=20, batch_size=8)
    same(rows, gone_on)
    assert also == unreadable
    same(rows, read_rows(tmp_path / "rows"))
    with pytest.raises(InputError, match="no rows"):
        read_rows(place)


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes, and pipes")
def test_strange_names_pipes_and_narrow_photos_cost_no_other_row(place, clf, tmp_path):
    odd = os.fsencode(place / "rings") + b"/\xff\xfe.png"
    os.replace(place / "rings" / "0000.png", odd)
    os.mkfifo(place / "rings" / "pipe.jpg")
    Image.new("RGB", (1, 9000)).save(place / "rings" / "narrow.png")
    rows, unreadable = rows_of(collection_of(place, clf), clf, tmp_path / "rows")
    assert "rings/\udcff\udcfe.png" in rows.paths
    assert "rings/pipe.jpg" in [path for path, _ in unreadable]
    assert len(rows) + len(unreadable) == 50
    assert rows.digests[rows.paths.index("rings/0001.png")] == hashlib.sha256(
        (place / "rings" / "0001.png").read_bytes()
    ).hexdigest()  # fmt: skip


def test_a_label_beyond_the_outputs_is_no_class(place, tmp_path):
    torch.manual_seed(0)
    nameless = seewhy.classifier(planted.Net().eval(), mean=planted.MEAN, std=planted.STD, size=32)
    (tmp_path / "truth.csv").write_text(f"path,label\n{place.absolute()}/rings/0000.png,4\n")
    collection = collection_of(place, nameless, tmp_path / "truth.csv")
    assert collection.truth.max() == 4
    with pytest.raises(TargetError, match="0 to 3"):
        rows_of(collection, nameless, tmp_path / "rows")


def test_a_damaged_shard_is_named(place, clf, tmp_path):
    rows_of(collection_of(place, clf), clf, tmp_path / "rows", shard=20)
    (tmp_path / "rows" / "000001.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"000001\.parquet is damaged"):
        rows_of(collection_of(place, clf), clf, tmp_path / "rows", shard=20)


PASS = """
import sys, time
import torch
import planted, seewhy
from seewhy.auditing.passing import one_pass as passing
from seewhy.auditing.passing.collection import collection_of
place, rows, slow = sys.argv[1:]
torch.manual_seed(0)
clf = seewhy.classifier(planted.Net().eval(), labels=list(planted.LABELS), mean=planted.MEAN, std=planted.STD, size=32)
looks = 0
before = passing.Look.__call__
def look(self, *given):
    global looks
    looks += 1
    time.sleep(float(slow))
    return before(self, *given)
passing.Look.__call__ = look
found, _ = passing.rows_of(collection_of(place, clf), clf, rows, shard=8, batch_size=4)
print(looks, [found.features.sum().item(), found.maps.astype(float).sum(), len(found)])
"""


def test_killed_at_any_moment_it_loses_the_open_shard_at_most(place, tmp_path):
    """kill -9, and the pass that goes on gives the rows of one that was never ended."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PASS, str(place), str(tmp_path / "rows")]
    running = subprocess.Popen([*command, "0.2"], env=environment, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "rows").glob("*.parquet"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    there = len(list((tmp_path / "rows").glob("*.parquet")))
    assert 2 <= there < 6
    went_on = subprocess.run([*command, "0"], env=environment, capture_output=True, text=True, check=True).stdout
    command[-1] = str(tmp_path / "other")
    whole = subprocess.run([*command, "0"], env=environment, capture_output=True, text=True, check=True).stdout
    assert went_on.split(maxsplit=1)[0] == str(12 - 2 * there)
    assert whole.split(maxsplit=1)[0] == "12"
    assert went_on.split(maxsplit=1)[1] == whole.split(maxsplit=1)[1]


def test_truth_from_a_csv(place, clf, tmp_path):
    lines = [
        "path,label",
        "rings/0000.png,stripes",
        "rings/0001.png,2",
        "nowhere.png,rings",
        "rings/0002.png,squares",
        "rings/0001.png,rings",
    ]
    (tmp_path / "truth.csv").write_text("\n".join(lines))
    found = collection_of(place, clf, tmp_path / "truth.csv")
    truth = dict(zip(found.paths, found.truth.tolist(), strict=True))
    assert truth["rings/0000.png"] == 1
    assert truth["rings/0001.png"] == 2
    assert truth["rings/0002.png"] == UNKNOWN
    assert any("squares" in note for note in found.notes)
    assert any("nowhere.png" in note for note in found.notes)
    assert any("1 photos have two labels" in note for note in found.notes)
    for text in ("", "a,b\n1,2", "path,label\nx"):
        (tmp_path / "truth.csv").write_text(text)
        with pytest.raises(InputError):
            collection_of(place, clf, tmp_path / "truth.csv")
    with pytest.raises(InputError, match="folders, or a CSV"):
        collection_of(place, clf, tmp_path / "missing.csv")


def test_facts_in_closed_form():
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 40:] = (255, 0, 0)
    facts = facts_of(Image.fromarray(pixels))
    assert (facts["width"], facts["height"], facts["aspect"]) == (80, 40, 2)
    assert facts["brightness"] == pytest.approx(1 / 6, abs=1e-6)
    assert facts["contrast"] == pytest.approx(1 / 6, abs=1e-6)
    assert facts["saturation"] == pytest.approx(0.5, abs=1e-6)
    assert facts["red"] == pytest.approx(0.5 - 1 / 6, abs=1e-6)
    assert facts["green"] == facts["blue"] == pytest.approx(-1 / 6, abs=1e-6)
    edges = 40 * (1 / 3)  # one edge of a third of grey in each row
    assert facts["sharpness"] == pytest.approx(edges / (39 * 80 + 40 * 79), rel=1e-5)


@pytest.mark.parametrize(("quality", "sampling", "chroma"), [
    (30, "4:2:0", 0.25), (50, "4:2:2", 0.5), (75, "4:4:4", 1), (90, "4:2:0", 0.25), (95, "4:4:4", 1),
])  # fmt: skip
def test_quality_and_subsampling_of_a_jpeg_are_read_from_its_header(quality, sampling, chroma, tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.jpg", quality=quality, subsampling=sampling)
    found = jpeg_of(tmp_path / "a.jpg")
    assert found.quality == pytest.approx(quality, abs=1.5)
    assert found.subsampling == chroma
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:40])
    for none in (jpeg_of(tmp_path / "a.png"), jpeg_of(tmp_path / "b.jpg"), jpeg_of(tmp_path / "missing")):
        assert np.isnan([none.quality, none.subsampling]).all()


def test_a_border_is_the_share_of_a_frame_of_one_colour():
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    assert border_of(pixels) == 0
    framed = pixels.copy()
    framed[:2] = framed[-3:] = framed[:, :4] = framed[:, -1:] = 7
    assert border_of(framed) == pytest.approx(1 - 15 * 25 / 600)
    bars = pixels.copy()
    bars[:5] = 250
    assert border_of(bars) == pytest.approx(5 / 20)
    assert border_of(np.full((6, 7, 3), 90, np.uint8)) == 1


def test_near_pairs_are_those_of_all_pairs():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 1 << 63, 900, dtype=np.uint64)
    hashes[:700] &= np.uint64(0xFFF0000000000)  # crowded: bands with more members than a chunk
    for number in range(60):  # some near ones
        flips = rng.choice(64, rng.integers(1, 8), replace=False)
        hashes[899 - number] = hashes[number + 650] ^ np.uint64(sum(1 << int(bit) for bit in flips))
    hashes = np.unique(hashes)
    rng.shuffle(hashes)
    count = len(hashes)
    expected = [
        (i, j)
        for i in range(count)
        for j in range(i + 1, count)
        if bin(int(hashes[i]) ^ int(hashes[j])).count("1") <= 4
    ]
    assert near_pairs(hashes) == expected
    assert len(expected) >= 20
    assert near_pairs(np.append(hashes[[5, 5, 5]], hashes[[5]]), 0) == [(0, 1), (0, 2), (0, 3)]
    with pytest.raises(InputError):
        near_pairs(hashes, 5)


def test_a_saved_again_photo_has_nearly_the_same_hash():
    rng = np.random.default_rng(1)
    photo = Image.fromarray(rng.integers(0, 255, (12, 12, 3), np.uint8)).resize((200, 160), Image.Resampling.BICUBIC)
    other = Image.fromarray(rng.integers(0, 255, (12, 12, 3), np.uint8)).resize((200, 160), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    photo.resize((150, 120)).save(file, "JPEG", quality=70)
    hashes = np.array([hash_of(photo), hash_of(Image.open(file)), hash_of(other)], np.uint64)
    assert distance(hashes[:1], hashes[1:2])[0] <= 4
    assert distance(hashes[:1], hashes[2:])[0] > 12
