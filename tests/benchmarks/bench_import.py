"""How long `import trio_h2` takes: altogether, and beyond what Trio itself takes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.benchmarks._result import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks._options import Options, Version

_PROGRAM = """
import json, sys, time
times = [time.process_time()]
import trio
times.append(time.process_time())
import trio_h2
times.append(time.process_time())
json.dump({"total": times[2] - times[0], "beyond": times[2] - times[1]}, sys.stdout)
"""


def rows(options: Options) -> Iterator[Row]:
    """Imports in new processes; the smallest CPU time of alternating rounds counts."""
    found: dict[str, list[dict[str, float]]] = {version.who: [] for version in options.versions}
    for _ in range(4 if options.quick else 12):
        for version in options.versions:
            found[version.who].append(once(version))
    for key, group in (("total", "import trio_h2"), ("beyond", "import trio_h2, beyond Trio")):
        for who, numbers in found.items():
            yield Row(group, who, min(one[key] for one in numbers) * 1000, "CPU ms", "lower")


def once(version: Version) -> dict[str, float]:
    """Returns the CPU seconds of one import in a new process."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _PROGRAM], env=version.env, capture_output=True, text=True, check=True
    )
    numbers: dict[str, float] = json.loads(done.stdout)
    return numbers
