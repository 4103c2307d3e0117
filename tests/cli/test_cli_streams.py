"""What becomes of stdout and stderr loses no result, and nothing but the command's own gets into stdout."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TINY = ["--input-size", "32", "-M", "cam"]
NETS = r"""
import atexit, ctypes, os, subprocess, sys, threading
from torch import nn
from nets.tiny import make

print("{at import}")
atexit.register(print, "{at exit}")

class Loud(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = make()
        self.body[0].register_forward_hook(lambda *_: print("{hook}"))

    def forward(self, x):
        print("{printed}")
        os.write(1, b"{written}")
        ctypes.CDLL(None).printf(b"{native}")
        subprocess.run([sys.executable, "-S", "-c", "print('{child}')"])
        threading.Timer(0.3, print, args=["{thread}"]).start()
        sys.__stdout__.write("{around}")
        return self.body(x)

class Patient(Loud):
    def forward(self, x):
        out = super().forward(x)
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.join()
        return out

def loud():
    os.write(1, b"{factory}")
    return Loud()
"""
SLOW = r"""
from torch import nn
from nets.tiny import make

class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.seen = make(), 0

    def forward(self, x):
        import time
        if x.std() > 0:  # a photo
            self.seen += 1
            if self.seen > 1:
                open("waiting", "w").close()
                time.sleep(60)
        return self.body(x)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "loud_nets.py").write_text(NETS)
    (tmp_path / "slow_nets.py").write_text(SLOW)
    for name in ("a.png", "b.png"):
        pixels = np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


SERVER = r"""
import json, os, sys
import seewhy.cli.explain, seewhy.cli.layers, seewhy.cli.methods, nets.tiny  # what takes seconds, once
from seewhy.cli import main

for line in sys.stdin:
    asked = json.loads(line)
    if "wait" in asked:
        print(os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1]), flush=True)
        continue
    child = os.fork()
    if child:
        print(child, flush=True)
        continue
    os.chdir(asked["cwd"])
    os.environ.update(asked["env"])
    streams = []
    for number, where in enumerate(asked["streams"]):
        if where is None:
            os.close(number)
            streams.append(None)
            continue
        file = os.open(where, os.O_RDONLY if where == "/dev/null" or not number else os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
        mode, encoding = "w" if number else "r", asked["env"].get("PYTHONIOENCODING")
        streams.append(open(number, mode, encoding=encoding, closefd=False))
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__ = streams
    sys.argv = ["seewhy", *asked["arguments"]]
    main()
"""


class Commands:
    """Commands in processes of their own, which are forks of one that has imported everything."""

    def __init__(self, folder):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        given = [sys.executable, "-c", SERVER]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.server = subprocess.Popen(given, env=environment, cwd=folder, text=True, **pipes)
        self.folder, self.count = folder, 0

    def _ask(self, **asked):
        self.server.stdin.write(json.dumps(asked) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def start(self, *arguments, streams=("/dev/null", "out", "err"), env=()):
        self.count += 1
        paths = {name: str(self.folder / f"{name}{self.count}") for name in ("out", "err")}
        self.out, self.err = map(Path, paths.values())
        return self._ask(arguments=[str(each) for each in arguments], cwd=os.getcwd(), env=dict(env),
                         streams=[paths.get(where, where) for where in streams])  # fmt: skip

    def wait(self, process):
        """The exit code, and what is on stdout and stderr."""
        code = self._ask(wait=process)
        out, err = (path.read_bytes() if path.exists() else b"" for path in (self.out, self.err))
        assert b"Traceback" not in err
        assert b"Exception ignored" not in err
        return code, out, err.decode(errors="replace")

    def __call__(self, *arguments, **options):
        return self.wait(self.start(*arguments, **options))


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    if not hasattr(os, "fork"):
        pytest.skip("no forks here")
    commands = Commands(tmp_path_factory.mktemp("streams"))
    yield commands
    commands.server.stdin.close()
    commands.server.wait(10)


def test_json_is_all_that_a_loud_model_leaves_on_stdout(place, command):
    code, said, err = command("explain", "a.png", "--model", "loud_nets:loud", *TINY, "--json")
    assert code == 0
    assert [each["photo"]["path"] for each in json.loads(said)["photos"]] == ["a.png"]
    ways = "printed", "written", "native", "around", "hook", "factory", "child", "thread", "at import", "at exit"
    assert [way for way in ways if f"{{{way}}}" not in err] == []


@pytest.mark.parametrize("capture", ["capfd", "capsys"])
def test_also_where_the_command_is_called_in_a_process_of_others(place, request, capture):
    from seewhy.cli import main

    captured = request.getfixturevalue(capture)
    os.write(1, b"before ")
    with pytest.raises(SystemExit) as done:  # of Loud, threads would print after the command, into the caller's stdout
        main(["explain", "a.png", "--model", "loud_nets:Patient", *TINY, "--json"])
    assert done.value.code == 0
    os.write(1, b"after")
    out = captured.readouterr().out
    if capture == "capfd":
        assert out.startswith("before ")
        assert out.endswith("after")
        out = out.removeprefix("before ").removesuffix("after")
    assert json.loads(out)["photos"][0]["photo"]["path"] == "a.png"


CLOSED = {
    "stdout closed": (("/dev/null", None, "err"), 1),
    "stderr closed": (("/dev/null", "out", None), 0),
    "both closed": (("/dev/null", None, None), 1),
    "all closed": ((None, None, None), 1),
    "stdout full": (("/dev/null", "/dev/full", "err"), 1),
    "stderr full": (("/dev/null", "out", "/dev/full"), 0),
    "stdout to be read only": (("/dev/null", "/dev/null", "err"), 1),
}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
@pytest.mark.parametrize("how", CLOSED)
def test_what_cannot_be_printed_loses_no_result(place, command, how):
    streams, expected = CLOSED[how]
    code, _, err = command("explain", "a.png", "b.png", "--model", "nets.tiny:make", *TINY, streams=streams)
    assert code == expected
    for name in ("a/figure.png", "b/explanation.json", "report.html"):
        assert (place / "seewhy-out" / name).stat().st_size > 1000
    if expected and streams[2] is not None:
        assert len([line for line in err.splitlines() if "stdout cannot be written" in line]) == 1
    assert all(line.startswith(("seewhy: ", "note: ")) for line in err.splitlines())


def test_a_reader_that_goes_away_loses_no_result(place, command):
    os.mkfifo(place / "pipe")
    reader = os.open(place / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    process = command.start(
        "explain", "a.png", "b.png", "--model", "nets.tiny:make", *TINY, streams=("/dev/null", "pipe", "err")
    )
    while not (place / "seewhy-out").exists():
        time.sleep(0.01)
    os.close(reader)
    code, _, err = command.wait(process)
    assert code == 1
    assert all(line.startswith("note: ") for line in err.splitlines())
    assert (place / "seewhy-out" / "b" / "explanation.json").exists()
    assert (place / "seewhy-out" / "report.html").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
@pytest.mark.parametrize("arguments", [["--help"], ["methods"], ["methods", "--json"], ["--version"], ["--nothing"]])
def test_every_subcommand_says_in_one_line_that_it_cannot_print(command, arguments):
    code, _, err = command(*arguments, streams=("/dev/null", "/dev/full", "err"))
    assert code == (2 if arguments == ["--nothing"] else 1)
    assert len([line for line in err.splitlines() if "rror" in line]) == 1


@pytest.mark.parametrize("columns", ["0", "1", "-5", "abc", "10000000000", "٣", " "])
def test_any_width_of_a_terminal(place, seewhy, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", columns)
    calls = [["methods"], ["layers", "--model", "nets.tiny:make"], ["--help"], ["explain", "--help"],
             ["explain", "a.png", "--model", "nets.tiny:make", *TINY, "-o", f"o{len(columns)}"]]  # fmt: skip
    for arguments in calls:
        code, said, _ = seewhy(*arguments)
        assert code == 0
        assert 0 < len(said) < 20_000


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_any_encoding(place, command, encoding):
    os.rename("a.png", "größe 猫.png")
    given = ["explain", "größe 猫.png", "missing 猫.png", "--model", "nets.tiny:make", *TINY]
    code, said, _ = command(*given, env={"PYTHONIOENCODING": encoding})
    assert code == 2
    assert "report.html" in said.decode(encoding)
    assert (place / "seewhy-out" / "report.html").exists()


def test_a_system_without_any_language(place):
    """LANG=C, and Python is not to help itself."""
    name = os.fsencode("größe 猫.png")
    os.rename("a.png", name)
    setting = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    given = [sys.executable, "-m", "seewhy", "explain", name, "--model", "nets.tiny:make", *TINY]
    done = subprocess.run(given, env={**os.environ, **setting}, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0
    assert b"report.html" in done.stdout
    assert (place / "seewhy-out" / os.fsdecode(name[:-4]) / "figure.png").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_what_is_done(place, command, number):
    process = command.start("explain", "a.png", "b.png", "--model", "slow_nets:Slow", *TINY, "--json")
    deadline = time.monotonic() + 30
    while not (place / "waiting").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process, number)
    os.kill(process, number)
    code, _, err = command.wait(process)
    assert code == 1
    assert [line for line in err.splitlines() if line and not line.startswith("note:")] == ["seewhy: interrupted"]
    assert (place / "seewhy-out" / "a" / "figure.png").exists()
    assert "a.png" in (place / "seewhy-out" / "report.html").read_text()
    assert not (place / "seewhy-out" / "b").exists()
    assert not list(place.rglob("*.part"))
    assert not list(place.rglob(".seewhy*"))


def test_what_is_being_written_is_finished_first(place, seewhy, monkeypatch):
    """Ctrl-C in the middle of a photo's files, and again while the report is written."""
    from seewhy.cli import explain as module
    from seewhy.results import saved

    write_picture, report_of = saved.write_picture, module.report_of

    def told(*given, **options):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        write_picture(*given, **options)

    def told_again(*given, **options):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        return report_of(*given, **options)

    monkeypatch.setattr(saved, "write_picture", told)
    monkeypatch.setattr(module, "report_of", told_again)
    code, _, err = seewhy("explain", "a.png", "b.png", "--model", "nets.tiny:make", *TINY)
    assert code == 1
    assert "seewhy: interrupted" in err
    out = place / "seewhy-out"
    assert {path.name for path in (out / "a").iterdir()} == {
        "figure.png", "maps.npz", "crop.png", "whole.webp", "explanation.json",
    }  # fmt: skip
    assert not (out / "b").exists()
    assert "a.png" in (out / "report.html").read_text()
    assert not list(place.rglob("*.part"))
