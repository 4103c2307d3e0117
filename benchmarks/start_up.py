"""How long it takes to import seewhy, and to show the command's help."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from paired import median, paired


def start_up(quick: bool) -> Iterator[list[str]]:
    """Rows: what, ms, ms beyond starting Python."""
    programs = {
        "python": "pass",
        "import seewhy": "import seewhy",
        "seewhy --help": "from seewhy.cli import seewhy; seewhy.main(['--help'], standalone_mode=False)",
        "import torch": "import torch",
    }
    contenders = {
        name: lambda code=code: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        for name, code in programs.items()
    }
    seconds = paired(contenders, repeats=3 if quick else 9)
    for name in programs:
        beyond = median(seconds, name) - median(seconds, "python")
        yield [name, f"{median(seconds, name) * 1e3:.0f} ms", f"{beyond * 1e3:.0f} ms"]


START_UP_COLUMNS = ["program", "time", "beyond starting Python"]
