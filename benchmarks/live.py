"""How quick the live page's server is: a photo to its first map, and a dragged mask to its scores.

A real server in a process of its own, and a client over real sockets, as a browser would be:

    python benchmarks/live.py [--photos N] [--moves N] [--rounds N] [--memory N]

prints medians and 95th percentiles in milliseconds, as JSON with --json. Photos alternate, so that nothing of one is
used for the next, and masks are dragged at 60 moves a second, alone and while the same photo is being explained.
--memory also uploads and explains so many photos, and tells the server's memory on the way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httpx
import websockets

ROOT = Path(__file__).parents[1]
PHOTOS = [ROOT / "examples" / "photos" / name for name in ("chelsea.png", "coffee.png")]


class Client:
    """A page without a screen."""

    def __init__(self, base: str, http: httpx.AsyncClient, socket: websockets.ClientConnection):
        self._base, self._http, self._socket = base, http, socket
        self._number = 0

    async def send(self, **message: object) -> int:
        """A message under a new number."""
        self._number += 1
        await self._socket.send(json.dumps({"id": self._number, "model": 0, **message}))
        return self._number

    async def receive(self) -> dict:
        """The next message.

        Raises:
            RuntimeError: it tells of an error.
        """
        message = json.loads(await self._socket.recv())
        if message["type"] == "error":
            raise RuntimeError(message["message"])
        return message

    async def until(self, id: int, *kinds: str) -> dict:
        """The first message of a job that is of one of these kinds."""
        while True:
            message = await self.receive()
            if message.get("id") == id and message["type"] in kinds:
                return message

    async def upload(self, path: Path) -> str:
        """The id of a photo that was taken."""
        answer = await self._http.post("/photos", content=path.read_bytes(), headers={"x-name": path.name})
        return answer.raise_for_status().json()["id"]

    async def first_map(self, path: Path) -> float:
        """Seconds from the first byte of a photo to its Grad-CAM."""
        begun = time.perf_counter()
        photo = await self.upload(path)
        id = await self.send(type="explain", photo=photo, methods=["grad_cam"])
        await self.until(id, "explained")
        seconds = time.perf_counter() - begun
        await self.until(id, "done")
        return seconds

    async def drag(self, photo: str, moves: int, *, explaining: bool) -> tuple[list[float], bool, float]:
        """Seconds to the answer of each move that had one; whether the last had; and how long the last took."""
        if explaining:
            await self.send(type="explain", photo=photo)
            while (await self.receive())["type"] != "explained":
                pass
        sent: dict[int, float] = {}
        taken: dict[int, float] = {}
        last = self._number + moves

        async def listen() -> None:
            while last not in taken:
                message = await self.receive()
                if message["type"] == "scores":
                    taken[message["id"]] = time.perf_counter() - sent[message["id"]]

        listening = asyncio.create_task(listen())
        for move in range(moves):
            begun = time.perf_counter()
            sent[self._number + 1] = begun
            box = [10 + 3 * move % 150, 20 + 3 * move % 140, 56, 56]
            await self.send(type="what_if", photo=photo, box=box, shape="disc", fill="blur", sigma=12, classes=[])
            await asyncio.sleep(max(0.0, 1 / 60 - (time.perf_counter() - begun)))
        await asyncio.wait_for(listening, 30)
        return list(taken.values()), last in taken, taken[last]


async def measured(base: str, url: str, given: argparse.Namespace, pid: int) -> dict:
    """Every number, in milliseconds."""
    photos, moves, rounds = given.photos, given.moves, given.rounds
    async with httpx.AsyncClient(base_url=base, headers={"origin": base}, follow_redirects=True, timeout=60) as http:
        (await http.get(url)).raise_for_status()
        cookie = "; ".join(f"{name}={value}" for name, value in http.cookies.items())
        address = base.replace("http", "ws") + "/live"
        async with websockets.connect(
            address, origin=base, additional_headers={"cookie": cookie}, max_size=None
        ) as socket:
            client = Client(base, http, socket)
            await client.receive()
            first = [await client.first_map(PHOTOS[number % len(PHOTOS)]) for number in range(photos)]
            found = {"first_map": _about(first)}
            for explaining in (False, True):
                answered, last, lasts = [], 0, []
                for number in range(rounds):
                    photo = await client.upload(PHOTOS[number % len(PHOTOS)])
                    # As the page does: a photo is explained when it comes, and its network followed.
                    await client.until(await client.send(type="explain", photo=photo, methods=["grad_cam"]), "done")
                    taken, was_last, seconds = await client.drag(photo, moves, explaining=explaining)
                    answered += taken
                    last += was_last
                    lasts.append(seconds)
                name = "drag_while_explaining" if explaining else "drag"
                found[name] = {
                    **_about(answered), "answers_per_drag": round(len(answered) / rounds, 1), "moves": moves,
                    "last_answered": f"{last} of {rounds}", "last": _about(lasts),
                }  # fmt: skip
            if given.memory:
                found["memory_mb"] = {}
                for number in range(1, given.memory + 1):
                    await client.first_map(PHOTOS[number % len(PHOTOS)])
                    if number % max(1, given.memory // 10) == 0:
                        found["memory_mb"][number] = _resident(pid)
            return found


def _about(seconds: list[float]) -> dict:
    ordered = sorted(seconds)
    return {
        "median": round(1e3 * statistics.median(ordered), 1),
        "p95": round(1e3 * ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1),
        "worst": round(1e3 * ordered[-1], 1), "of": len(ordered),
    }  # fmt: skip


def main() -> None:
    """Start a server, measure, end it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    command = [sys.executable, "-m", "seewhy", "app", "--no-browser", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        base = url.partition("/?")[0]
        found = asyncio.run(measured(base, url, given, server.pid))
        before = _used(server.pid)
        time.sleep(5)
        found["idle"] = {"processor_ms_in_5_s": round(1e3 * (_used(server.pid) - before), 1)}
    finally:
        server.terminate()
        server.wait(30)
    print(json.dumps(found, indent=None if given.json else 2))


def _resident(pid: int) -> int:
    """Megabytes of memory of a process, on Linux; else nothing is known, and 0."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def _used(pid: int) -> float:
    """Seconds of processor time of a process, on Linux; else nothing is known, and 0."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
