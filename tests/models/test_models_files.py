"""A file of weights, a network or labels may be anything: it is read, or one line says what it is, in bounded time."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hostile import rewritten
from safetensors.torch import save_file
from test_models_bad_input import refused

from seewhy.errors import InputError, ModelError
from seewhy.models import load, pickles, weights
from seewhy.models.labels import read_labels

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_time():
    start = time.perf_counter()
    yield
    assert time.perf_counter() - start < 20


def weights_refused(path, **options) -> str:
    said = refused(ModelError, "mine:network", weights=path, **options)
    assert said.isprintable()
    return said


# -- things in the place of a file -----------------------------------------------------------------------------


@pytest.fixture
def places(project):
    """Name without an ending -> what it is, and is told to be."""

    def make(name: str, ending: str) -> str:
        path = project / f"{name}{ending}"
        if name == "pipe":
            os.mkfifo(path)
        elif name == "folder":
            path.mkdir()
        elif name == "zero":
            path.symlink_to("/dev/zero")
        elif name == "loop":
            path.symlink_to(path.name)
        elif name == "nothing":
            path.touch()
        return str(path.name)

    return make


@pytest.mark.parametrize(
    ("name", "said"),
    [("pipe", "got a pipe"), ("folder", "got a folder"), ("zero", "got a device"), ("loop", "got too many levels"),
     ("gone", "no such"), ("nothing", "empty"), ("a\0b", "null byte"), ("a" * 5000, "got file name too long"),
     ("a\nb\x1b[2J", "no such")],
)  # fmt: skip
def test_places_that_are_no_file(name, said, places):
    for ending in (".th", ".safetensors", ".bin"):
        assert said in weights_refused(places(name, ending))
    for ending in (".pt", ".pt2", ".pth"):
        text = refused(ModelError, places(name, ending))
        assert said in text
        assert text.isprintable()
    for ending in (".txt", ".json"):
        text = refused(InputError, "mine:network", labels=places(name, ending))
        assert said in text or name == "nothing"
        assert text.isprintable()


def test_a_file_that_nobody_may_read(project, small):
    torch.save(small.state_dict(), "w.pth")
    (project / "l.txt").write_text("a\n")
    for name in ("w.pth", "l.txt"):
        os.chmod(name, 0)
    os.chmod(project, 0o755)
    program = (
        "import os, sys; sys.path[:0] = sys.argv[1:3]\n"
        "from seewhy.models import load\nfrom seewhy.errors import SeewhyError\n"
        "import torch\n"
        "if os.getuid() == 0: os.setuid(65534)  # the name of the directory above may be closed to it\n"
        "for options in ({'weights': 'w.pth'}, {'labels': 'l.txt'}):\n"
        "    try: load(**options)\n"
        "    except SeewhyError as error: print(error)\n"
        "try: load('w.pth')\n"
        "except SeewhyError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT / "src"), str(ROOT / "tests")],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "setuid" in done.stderr:
        pytest.skip("no other user can be had")
    assert done.stdout.splitlines() == [
        "no such weights file: w.pth; got permission denied",
        "the labels l.txt cannot be read; got permission denied",
        "no such model file: w.pth; got permission denied",
    ]


# -- what is in a file of weights ------------------------------------------------------------------------------


def test_a_checkpoint_that_contains_itself(project, small):
    for key in ("state_dict", "model", "other"):
        state = {"epoch": 3}
        state[key] = state
        torch.save(state, "self.pth")
        assert "self.pth holds something else than weights" in weights_refused("self.pth")
    loop = [1]
    loop.append(loop)
    torch.save(loop, "list.pth")
    assert "list.pth holds no weights; expected tensors by name; got list" in weights_refused("list.pth")
    state = dict(small.state_dict())
    state["more"] = state
    torch.save(state, "both.pth")
    assert "holds something else than weights" in weights_refused("both.pth")


@pytest.mark.parametrize("wrapper", ["state_dict", "x"])
def test_a_checkpoint_nested_deep(wrapper, project):
    """Written by hand: pickle itself would give up."""
    depth = 10_000
    key = b"X" + struct.pack("<I", len(wrapper)) + wrapper.encode()
    content = b"\x80\x02" + (b"}" + key) * depth + b"}" + b"s" * depth + b"."
    torch.save({}, "empty.pth")
    rewritten("empty.pth", "deep.pth", lambda name, old: content if name.endswith("data.pkl") else old)
    assert "deep.pth holds something else than weights" in weights_refused("deep.pth")
    lists = b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."
    rewritten("empty.pth", "lists.pth", lambda name, old: lists if name.endswith("data.pkl") else old)
    assert "lists.pth holds no weights" in weights_refused("lists.pth")


CALLS = {
    "bytearray": b"cbuiltins\nbytearray\n",
    "tensor": b"ctorch\nTensor\n",
    "floats": b"ctorch\nFloatTensor\n",
    "an old name": b"c__builtin__\nbytearray\n",
}


def test_memory_that_a_pickle_asks_for(project):
    """torch's reader of tensors calls these, and takes 20 GB."""
    torch.save({}, "empty.pth")
    program = []
    for call, name in CALLS.items():
        content = b"\x80\x02" + name + b"\x8a\x05" + (20 * 10**9).to_bytes(5, "little") + b"\x85R."
        Path(f"{call}.th").write_bytes(content)

        def calling(member, old, content=content):
            return content if member.endswith("data.pkl") else old

        rewritten("empty.pth", f"{call}.pth", calling)
        program += [READ.format(f"{call}.th"), READ.format(f"{call}.pth")]
    said, memory = child("\n".join(program), project, 30)
    assert said.count("is a pickle with more than weights in it") == 2 * len(CALLS)
    assert memory < 50


def test_a_key_that_is_hashed_for_days(project):
    twice = b"".join(b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(60))
    content = b"\x80\x02}K\x01\x85q\0" + twice + b"K\x01s."
    torch.save({}, "empty.pth")
    rewritten("empty.pth", "w.pth", lambda name, old: content if name.endswith("data.pkl") else old)
    assert "w.pth holds a tuple of too much" in weights_refused("w.pth")


def test_what_a_program_told_torch_that_it_trusts(project, small):
    import numpy

    state = {"state_dict": small.state_dict(), "best": numpy.float64(0.5)}
    torch.save(state, "w.pth")
    assert "is a pickle with more than weights in it (numpy" in weights_refused("w.pth")
    scalar = numpy.float64(0.5).__reduce__()[0]
    with torch.serialization.safe_globals([scalar, numpy.dtype, type(numpy.dtype(float))]):
        try:
            torch.load("w.pth", weights_only=True)
        except pickle.UnpicklingError:
            pytest.skip("this torch asks for more")
        assert load("mine:network", weights="w.pth").notes == ()


def test_checkpoints_with_more_than_weights_that_are_harmless(project, small):
    optimizer = torch.optim.SGD(small.parameters(), lr=0.1, momentum=0.9)
    small(torch.rand(2, 3, 16, 16)).sum().backward()
    optimizer.step()
    small.fc.weight.note = "an attribute"
    more = {"optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), "set": {1}, "bytes": b"x"}
    more |= {"size": small.fc.weight.shape, "kind": torch.bfloat16, "on": torch.device("cpu"), "p": small.fc.weight}
    for new in (True, False):
        torch.save({"state_dict": small.state_dict(), **more}, "w.pth", _use_new_zipfile_serialization=new)
        assert torch.equal(load("mine:network", weights="w.pth").model.fc.weight, small.fc.weight)


def test_wrappers_as_people_have_them(project, small):
    state = dict(small.state_dict())
    for _ in range(5):
        state = {"state_dict": state, "epoch": 1}
    torch.save(state, "wrapped.pth")
    assert torch.equal(load("mine:network", weights="wrapped.pth").model.fc.weight, small.fc.weight)


def test_too_many_tensors(project, monkeypatch):
    for module in (weights, pickles):
        monkeypatch.setattr(module, "MOST_TENSORS", 1000)
    monkeypatch.setattr(pickles, "MOST_OPERATIONS", 100_000)
    one = torch.zeros(1)
    torch.save({f"k{i}": one for i in range(1001)}, "keys.pth")
    torch.save({f"k{i}": one[:] for i in range(1001)}, "tensors.pth")
    save_file({f"k{i}": one.clone() for i in range(1001)}, "many.safetensors")
    torch.save({"k": one, "more": list(range(110_000))}, "more.pth")
    torch.save({"k": one, "more": list(range(110_000))}, "old.pth", _use_new_zipfile_serialization=False)
    for name in ("keys.pth", "tensors.pth", "many.safetensors"):
        assert f"{name} holds too many tensors" in weights_refused(name)
    for name in ("more.pth", "old.pth"):
        assert f"{name} holds too much beside its tensors" in weights_refused(name)
    torch.save({f"k{i}": one for i in range(1000)}, "less.pth")
    assert "10 missing" in weights_refused("less.pth")


@pytest.mark.filterwarnings("ignore")
def test_tensors_that_are_no_weights(project, small):
    state = small.state_dict()
    weight = state["fc.weight"]
    for value, said in {
        "sparse": weight.to_sparse(), "csr": weight.to_sparse_csr(), "meta": weight.to("meta"),
        "quantized": torch.quantize_per_tensor(weight, 1.0, 0, torch.qint8), "complex": weight.to(torch.complex64),
        "bool": weight > 0, "int": weight.to(torch.int8), "nan": weight * torch.nan, "inf": weight / 0,
        "expanded": torch.zeros(1).expand(10**9, 6), "empty": torch.zeros(0), "many axes": weight.view(5, 6, *[1] * 60),
    }.items():  # fmt: skip
        torch.save(state | {"fc.weight": said}, "w.pth")
        text = weights_refused("w.pth")
        expected = {"csr": "sparse", "complex": "complex64 instead of torch.float32", "bool": "torch.bool instead of",
                    "int": "torch.int8 instead of", "nan": "not finite", "inf": "not finite"}  # fmt: skip
        assert expected.get(value, "other shape" if value in ("expanded", "empty", "many axes") else value) in text
    for kind in (torch.float16, torch.bfloat16, torch.float64):  # what people do save
        torch.save(state | {"fc.weight": weight.to(kind)}, "w.pth")
        assert load("mine:network", weights="w.pth").model.fc.weight.dtype == torch.float32


@pytest.mark.parametrize("spec", ["efficientnet_lite0", "timm:resnet10t", "torchvision:resnet18"])
def test_no_head_is_built_for_a_shape_that_has_no_memory(spec, project):
    """A head of 10**9 classes is declared over a single number."""
    state = load(spec, weights="random").model.state_dict()
    for name in [name for name in state if name.startswith(("fc.", "classifier."))]:
        state[name] = torch.zeros(1).expand(10**9, *state[name].shape[1:])
    torch.save(dict(state), "w.pth")
    assert "of another shape" in refused(ModelError, spec, weights="w.pth")


def test_names_that_are_no_names(project, small):
    state = small.state_dict()
    for key in (0, 1.5, b"fc.weight", None, ("fc", "weight"), True):
        torch.save(dict(state) | {key: torch.zeros(1)}, "w.pth")
        assert "w.pth holds weights under names that are no text" in weights_refused("w.pth")
    for key in ("a\nb", "a\x1b[31mb", "a\0b", "\u202egnp", "\udc80", "x" * 10**6, "", "." * 1000, "%s{0}[red]"):
        torch.save(dict(state) | {key: torch.zeros(1)}, "w.pth")
        assert "1 unexpected" in weights_refused("w.pth")
        torch.save(dict(state) | {key: 3}, "w.pth")
        assert "something else than weights" in weights_refused("w.pth")


# -- safetensors ------------------------------------------------------------------------------------------------


def tensors(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


FLOATS = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        tensors({}),
        tensors({"a": FLOATS}, b""),
        tensors({"a": FLOATS}, bytes(4)),
        tensors({"a": FLOATS}, bytes(12)),
        tensors({"a": FLOATS, "b": FLOATS}, bytes(8)),
        tensors({"a": FLOATS, "b": FLOATS | {"data_offsets": [4, 12]}}, bytes(12)),
        tensors(b'{"a": %s, "a": %s}' % ((json.dumps(FLOATS).encode(),) * 2), bytes(8)),
        tensors({"a": FLOATS | {"shape": [10**18, 10**18]}}, bytes(8)),
        tensors({"a": FLOATS | {"shape": [-1]}}, bytes(8)),
        tensors({"a": FLOATS | {"data_offsets": [8, 0]}}, bytes(8)),
        tensors({"a": FLOATS | {"dtype": "F99"}}, bytes(8)),
        tensors({"a": FLOATS}, bytes(8), length=2**63),
        tensors({"a": FLOATS}, bytes(8), length=2**31),
        tensors(b'{"a":' * 100_000, bytes(8)),
        tensors(b'{"' + b"[" * 100_000, bytes(8)),
        tensors(b'{"\xff": 1}'),
        tensors({"a\x1b[2J\n": FLOATS}, bytes(8)),
        tensors({"__metadata__": {"a": "b" * 10**6}}),
        tensors({"a": None}),
        tensors({"x" * 10**6: FLOATS}, bytes(8)),
    ],
)
def test_safetensors(content, project):
    (project / "w.safetensors").write_bytes(content)
    weights_refused("w.safetensors")
    (project / "w.pth").write_bytes(content)
    weights_refused("w.pth")


def child(program: str, cwd, gigabytes: float) -> tuple[str, float]:
    """What a program prints in a process that may take so many addresses more than torch, and its own memory in MiB."""
    head = (
        "import resource, seewhy, torch\nfrom safetensors import torch as _\nfrom seewhy.errors import SeewhyError\n"
        "from seewhy.models.weights import read_state\nfrom seewhy.models.labels import read_labels\n"
        "pages = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (pages + {int(gigabytes * 2**30)},) * 2)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
    )
    tail = "\nprint((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)"
    paths = os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))
    done = subprocess.run(
        [sys.executable, "-c", head + program + tail], cwd=cwd, env={**os.environ, "PYTHONPATH": paths},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    *said, memory = done.stdout.splitlines()
    return "\n".join(said), float(memory)


READ = "try: print(len(read_state({!r})))\nexcept SeewhyError as error: print(error)"


def test_a_header_of_100_megabytes(project):
    with open("w.safetensors", "wb") as file:
        file.write(struct.pack("<Q", 99_000_000) + b'{"a":"')
        file.truncate(100 << 20)
    said, memory = child(READ.format("w.safetensors"), project, 2)
    assert "w.safetensors is not a readable checkpoint" in said
    assert memory < 1000


# -- archives ---------------------------------------------------------------------------------------------------


def test_a_bomb(project):
    """64 kB that unpack to 64 MB."""
    torch.save({"w": torch.zeros(1)}, "w.pth")
    zeros = bytes(64 << 20)
    for name in ("data/0", "data.pkl"):
        rewritten(
            "w.pth",
            "bomb.pth",
            lambda each, old, name=name: zeros if each.endswith(name) else old,
            zipfile.ZIP_DEFLATED,
        )
        assert os.path.getsize("bomb.pth") < 1 << 20
        said, memory = child(READ.format("bomb.pth"), project, 2)
        assert "an archive of which" in said
        assert "is compressed" in said
        assert memory < 30


def test_members_that_overlap(project):
    torch.save({f"w{i}": torch.zeros(1 << 20) for i in range(2)}, "w.pth")
    with zipfile.ZipFile("w.pth") as archive:
        names = archive.namelist()
    content = bytearray(Path("w.pth").read_bytes())
    place, first = content.find(b"PK\x01\x02"), None
    while place >= 0:  # every entry of the table leads to the first large member
        (length,) = struct.unpack_from("<H", content, place + 28)
        if content[place + 46 : place + 46 + length].endswith((b"/data/0", b"/data/1")):
            first = first or struct.unpack_from("<I", content, place + 42)
            struct.pack_into("<I", content, place + 42, *first)
            struct.pack_into("<2I", content, place + 20, 6 << 20, 6 << 20)
        place = content.find(b"PK\x01\x02", place + 4)
    Path("overlap.pth").write_bytes(content)
    assert len(names) > 4
    assert "larger than itself" in weights_refused("overlap.pth")


def test_a_table_of_contents_that_is_too_large(project):
    with zipfile.ZipFile("many.pth", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        archive.writestr("x" * 60_000, b"")
    content = Path("many.pth").read_bytes()
    for field, value in ((-10, 2**32 - 1), (-10, 40 << 20), (-6, 2**31), (-12, 60_000)):
        changed = bytearray(content)
        struct.pack_into("<I" if field != -12 else "<H", changed, len(content) + field, value)
        Path("changed.pth").write_bytes(changed)
        assert "an archive that is damaged, or not laid out as torch lays it out" in weights_refused("changed.pth")
    Path("longer.pth").write_bytes(content + b"PK\x05\x06")
    assert "not laid out" in weights_refused("longer.pth")


def test_an_archive_as_torch_and_python_write_it(project, small):
    torch.save(small.state_dict(), "w.pth")
    rewritten("w.pth", "python.pth", lambda name, content: content)
    with open("stream.pth", "wb") as file:
        torch.save(small.state_dict(), file)
    if hasattr(torch.serialization, "set_crc32_options"):
        torch.serialization.set_crc32_options(False)
    try:
        torch.save(small.state_dict(), "without sums.pth")
    finally:
        if hasattr(torch.serialization, "set_crc32_options"):
            torch.serialization.set_crc32_options(True)
    for name in ("w.pth", "python.pth", "stream.pth", "without sums.pth"):
        assert torch.equal(load("mine:network", weights=name).model.fc.weight, small.fc.weight)


def with_large_records(content: bytes) -> bytes:
    """The archive with the records that one of more than 4 GB has, as torch writes them."""
    *_, count, length, offset, _ = struct.unpack("<4s4H2IH", content[-22:])
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(content) - 22, 1)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return content[:-22] + end64 + locator + end


def test_an_archive_of_more_than_four_gigabytes(project, small):
    torch.save(small.state_dict(), "w.pth")
    rewritten("w.pth", "plain.pth", lambda name, content: content)
    content = with_large_records(Path("plain.pth").read_bytes())
    Path("large.pth").write_bytes(content)
    assert torch.equal(torch.load("large.pth", weights_only=True)["fc.weight"], small.fc.weight)
    assert torch.equal(load("mine:network", weights="large.pth").model.fc.weight, small.fc.weight)
    place = content.rindex(b"PK\x06\x07")
    for change in (
        content[: place + 8] + bytes(8) + content[place + 16 :],
        content[: place - 56] + b"x" + content[place - 56 :],
    ):
        Path("moved.pth").write_bytes(change)
        assert "not laid out as torch lays it out" in weights_refused("moved.pth")


def test_a_record_shorter_than_its_tensor(project):
    """Before torch 2.10 its memory was read beyond the end."""
    torch.save({"w": torch.zeros(1000)}, "w.pth")
    rewritten("w.pth", "short.pth", lambda name, old: old[:4] if name.endswith("data/0") else old)
    weights_refused("short.pth")


def test_old_checkpoints(project, small):
    torch.save(small.state_dict(), "old.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(load("mine:network", weights="old.pth").model.fc.weight, small.fc.weight)
    content = Path("old.pth").read_bytes()
    for cut in (10, 100, len(content) // 2, len(content) - 1):
        Path("torn.pth").write_bytes(content[:cut])
        weights_refused("torn.pth")
    huge = content.replace(b"K\x05", b"J\xff\xff\xff\x7f")  # numbers of elements, among others
    Path("huge.pth").write_bytes(huge)
    said, memory = child(READ.format("huge.pth"), project, 4)
    assert said.count("\n") == 0
    assert memory < 500


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02.",
        b"\x80\x02",
        b"\x80",
        b"\x80\x04\x95" + b"\xff" * 8,
        b"\x80\x02N.",
        b"\x80\x02(lp0\n.",
        b"(dp0\n.",
        b"\x80\x02X\xff\xff\xff\x7f",
        b"\x80\x02]q\xff\x68\xfe.",
        b"\x80\x02}r\xff\xff\xff\xff.",
        b"PK\x03\x04",
        b"PK\x03\x04" * 9,
        b"\x80\x02ctorch.serialization\nload\n.",
        pickle.dumps(OrderedDict(a=1)),
        b"\0" * 1000,
        b"\xff" * 1000,
    ],
)
def test_pickles_by_hand(content, project):
    (project / "w.pth").write_bytes(content)
    weights_refused("w.pth")


# -- labels ------------------------------------------------------------------------------------------------------


def labels_refused(path) -> str:
    said = refused(InputError, "mine:network", labels=str(path))
    assert said.isprintable()
    return said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a\nb\0\nc\nd\ne", "the name of class 1 holds what is no character"),
        (b"a\n\x9b31m\nc\nd\ne", "cannot be read"),
        (b"a\n" + b"b" * 10**6, "the name of class 1 is too long; expected at most 1000 characters; got 1,000,000"),
        (bytes(range(256)) * 100, "cannot be read"),
        (b"\xff\xfea\0\n\0", "cannot be read"),
        (b"\n".join([b"a"] * 100_001), "too many names; expected at most 100,000; got 100,001"),
        (b"\n" * 10**6, "no class names"),
        (b"", "no class names"),
    ],
)
def test_text(content, said, project):
    (project / "l.txt").write_bytes(content)
    assert said in labels_refused("l.txt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[" * 100_000, "cannot be read"),
        ('{"a":' * 100_000, "cannot be read"),
        ("[" * 100_000 + "]" * 100_000, "cannot be read"),
        ("5", "no class names"),
        ("null", "no class names"),
        ("true", "no class names"),
        ("1e999", "no class names"),
        ('"abcde"', "no class names"),
        ("[1, 2, 3, 4, 5]", "the name of class 0 is not text; got 1"),
        ("[[]]", "is not text"),
        ("[null]", "is not text; got None"),
        ("NaN", "no class names"),
        ("9" * 10_000, "cannot be read"),
        ('{"0": "a", "0": "b"}', "the key '0' comes twice"),
        ('{"0": "a", "00": "b"}', "an index comes twice"),
        ('{"a": 0, "b": 0}', "an index comes twice"),
        ('{"a": 0, "a": 1}', "the key 'a' comes twice"),
        ('{"0": {"0": "a"}}', "is not text"),
        ('{"0": []}', "is not text"),
        ('{"-1": "a"}', "class 0 has no name"),
        ('{"a": 1000000000000}', "class 0 has no name"),
        ('{"1e3": "a"}', "a key is not an index"),
        ('{"a": true}', "not an index"),
        ('{"' + "9" * 5000 + '": "a"}', "a key is not an index"),
        ('["\\ud800"]', "holds what is no character"),
        ('["\\u0000"]', "holds what is no character"),
        ('["' + "a" * 10**6 + '"]', "is too long"),
        ('{"\\n' + "k" * 10**6 + '": "a"}', "a key is not an index"),
        ("{}", "no class names"),
        ("", "cannot be read"),
    ],
)
def test_json(content, said, project):
    (project / "l.json").write_text(content, encoding="utf-8")
    assert said in labels_refused("l.json")


def test_a_gigabyte_of_labels(project):
    with open("l.txt", "wb") as file:
        file.truncate(1 << 30)
    assert "too large; expected at most 16,777,216 bytes" in labels_refused("l.txt")
    program = "try: read_labels('l.txt')\nexcept SeewhyError as error: print(error)"
    assert child(program, project, 1)[1] < 60


def test_labels_in_memory(project):
    class Odd(list):
        def __repr__(self):
            raise RuntimeError("no")

    loop: list[object] = []
    loop.append(loop)
    texts = [b"abcde", "abcde.", ["a\x1bb"], ["a" * 2000], [b"a"], {"0": ["n", "\x1b"]}]
    numbers = [[10**5000], {10**5000: "a"}, {0.5: "a", 0: "b"}, {float("inf"): "a"}, {None: "a"}, {"a": True}, range(5)]
    for labels in (loop, [Odd()], object(), *texts, *numbers):
        assert refused(InputError, "mine:network", labels=labels).isprintable()


def test_names_as_people_have_them(project):
    names = [
        "tench, Tinca tinca",
        "d\u00e9j\u00e0 vu",
        "\u732b",
        "\u0645\u06cc\u200c\u062e\u0648",
        "\U0001f468\u200d\U0001f467",
    ]
    (project / "l.txt").write_text("\n".join(names), encoding="utf-8")
    assert read_labels("l.txt") == tuple(names)
    assert read_labels(["a\tb", " c  d ", "e\u00a0f"]) == ("a b", "c d", "e f")
    assert load("mine:network", labels="l.txt").index("\u732b") == 2
    save_file({"a": torch.zeros(1)}, "a.safetensors")


def test_names_that_act_on_a_terminal_are_names():
    """They are escaped where they are shown."""
    names = ("a\x1b[31mred", "\u202egnp.exe", "\x9b31m", "a\x7f", "plain")
    assert read_labels(list(names)) == names
