"""Files of results: written whole, with the permissions that are expected, on any disk; read back from hostile ones."""

import errno
import io
import json
import os
import stat
import threading
import zipfile

import numpy as np
import pytest
import torch

from seewhy import Attribution
from seewhy.errors import InputError, OutputError
from seewhy.files import make_folder, write_atomically, write_text


def made():
    values = torch.arange(12, dtype=torch.float32).reshape(1, 1, 3, 4)
    return Attribution(values, "grad_cam", {}, torch.tensor([1]), torch.tensor([0.5]), (6, 8), layer="features")


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path, umask):
    write_text(tmp_path / "a", "x")
    assert mode(tmp_path / "a") == 0o666 & ~umask


def test_the_umask_of_the_process_is_never_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was set"))
    write_text(tmp_path / "a", "x")
    write_text(tmp_path / "a", "y", overwrite=True)
    make_folder(tmp_path / "b" / "c")
    made().save(tmp_path / "c.npz")


@pytest.mark.parametrize("permissions", [0o600, 0o640, 0o604, 0o444])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path, permissions):
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(permissions)
    write_text(path, "new", overwrite=True)
    assert path.read_text() == "new"
    assert mode(path) == permissions


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real.npz", tmp_path / "link.npz"
    real.write_bytes(b"old")
    link.symlink_to(real)
    made().save(link, overwrite=True)
    assert link.is_symlink()
    assert Attribution.load(real).layer == "features"
    assert os.listdir(tmp_path / "there") == ["real.npz"]


def test_a_dangling_link_is_no_free_name(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="exists"):
        write_text(tmp_path / "link", "x")
    write_text(tmp_path / "link", "x", overwrite=True)
    assert (tmp_path / "nowhere").read_text() == "x"


def fifo(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def loop(path):
    path.symlink_to(path)


@pytest.mark.parametrize("make", [fifo, folder, loop])
def test_what_is_no_file_is_not_replaced(tmp_path, make):
    make(tmp_path / "a")
    before = os.lstat(tmp_path / "a").st_mode
    with pytest.raises(OutputError):
        write_text(tmp_path / "a", "x", overwrite=True)
    assert os.lstat(tmp_path / "a").st_mode == before
    assert os.listdir(tmp_path) == ["a"]


def test_a_device_is_not_replaced():
    with pytest.raises(OutputError, match="no regular file"):
        made().save("/dev/null", overwrite=True)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("name", ["n" * 255, "ä" * 127, "界" * 85, "a" * 251 + ".npz"])
def test_the_longest_names_can_be_written(tmp_path, name):
    write_text(tmp_path / name, "x")
    write_text(tmp_path / name, "y", overwrite=True)
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["n" * 256, "nul\0", "no/such/folder"])
def test_a_name_that_cannot_be_written_is_one_line(tmp_path, name):
    with pytest.raises(OutputError) as caught:
        write_text(tmp_path / name, "x")
    assert "\n" not in str(caught.value)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def test_a_disk_without_hard_links_can_be_written(tmp_path, monkeypatch, code):
    def no_links(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", no_links)
    write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"
    with pytest.raises(OutputError, match="exists"):
        write_text(tmp_path / "a", "y")
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_taken_meanwhile_is_not_replaced(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))

    def write():
        with write_atomically(tmp_path / "a") as file:
            file.write(b"mine")
            (tmp_path / "a").write_text("theirs")

    with pytest.raises(OutputError):
        write()
    assert (tmp_path / "a").read_text() == "theirs"
    assert os.listdir(tmp_path) == ["a"]


def test_threads_that_write_side_by_side_leave_whole_files(tmp_path):
    def write(number):
        for _ in range(30):
            write_text(tmp_path / "a", str(number) * 20_000, overwrite=True)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set((tmp_path / "a").read_text())) == 1
    assert os.listdir(tmp_path) == ["a"]


# ---------------------------------------------------------------------------------------------------------------------
# saved results that somebody else made


def saved(tmp_path):
    path = tmp_path / "good.npz"
    made().save(path)
    with zipfile.ZipFile(path) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


def packed(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def header(shape, descr="<f4"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def about(text):
    file = io.BytesIO()
    np.save(file, np.array(text))
    return file.getvalue()


def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path):
    members = saved(tmp_path)
    zeros = header((1, 1, 1 << 14, 1 << 16)) + bytes(64 << 20)
    path = packed(tmp_path / "bomb.npz", {**members, "values.npy": zeros, "details.a.npy": zeros}.items())
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match="unpacks to too much"):
        Attribution.load(path)


def test_a_header_that_promises_more_than_there_is_takes_no_memory(tmp_path):
    members = saved(tmp_path)
    path = packed(tmp_path / "a.npz", {**members, "values.npy": header((1, 1, 1 << 15, 1 << 15)) + bytes(48)}.items())
    with pytest.raises(InputError, match="is not what its header says"):
        Attribution.load(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_packings_are_refused(tmp_path, method):
    with pytest.raises(InputError, match="not packed as numpy packs"):
        Attribution.load(packed(tmp_path / "a.npz", saved(tmp_path).items(), method))


HOSTILE = {
    "no json": about("{"),
    "nested": about("[" * 100_000),
    "a list": about("[]"),
    "another format": about(json.dumps({"format": 99})),
    "a format of another type": about(json.dumps({"format": True})),
    "no format": about("{}"),
    "objects": header((1,), "|O") + b"cos\nsystem\n(S'true'\ntR.",
    "empty": b"",
    "too long": about("x" * (5 << 20)),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_whatever_a_file_says_about_itself(tmp_path, name):
    path = packed(tmp_path / "a.npz", {**saved(tmp_path), "about.npy": HOSTILE[name]}.items())
    with pytest.raises(InputError) as caught:
        Attribution.load(path)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_two_arrays_of_one_name_are_refused(tmp_path):
    members = [*saved(tmp_path).items()]
    with pytest.warns(UserWarning, match="Duplicate"):
        packed(tmp_path / "a.npz", [*members, members[0]])
    with pytest.raises(InputError, match="of the same name"):
        Attribution.load(tmp_path / "a.npz")


@pytest.mark.parametrize("make", [fifo, folder, loop])
def test_what_is_no_file_is_not_waited_for(tmp_path, make):
    make(tmp_path / "a.npz")
    with pytest.raises(InputError):
        Attribution.load(tmp_path / "a.npz")


def test_an_honest_map_of_nothing_is_read(tmp_path):
    values = torch.zeros(4, 3, 224, 224)  # packs a thousandfold
    Attribution(values, "saliency", {}, None, torch.zeros(4), (224, 224)).save(tmp_path / "a.npz")
    assert torch.equal(Attribution.load(tmp_path / "a.npz").values, values)
