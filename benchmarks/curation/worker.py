"""One way of one stage in a process of its own: runs it once and prints its seconds as one JSON line.

Seconds are user + system time of this process and of the children that it waited for. Only the standard library is
imported here, because both interpreters run this file.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path


def main() -> None:
    stage, way, given, output = sys.argv[1:]
    sys.path[0] = str(Path(__file__).parents[1])  # not this folder: its names would hide packages
    module = importlib.import_module(f"curation.{stage}_datatrove" if way == "datatrove" else f"curation.{stage}")
    work = module.load(way)
    before, begin = os.times(), time.perf_counter()
    size = work(Path(given), Path(output))
    wall, after = time.perf_counter() - begin, os.times()
    print(json.dumps({"cpu": sum(after[:4]) - sum(before[:4]), "wall": wall, "size": size}))


if __name__ == "__main__":
    main()
