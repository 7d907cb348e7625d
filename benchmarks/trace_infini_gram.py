"""infini-gram's index of a stream of bytes (u8) or tokens (u16), in its own environment (``benchmarks/trace.py``)."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

GIB = 8


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    given = json.loads((folder / "queries.json").read_text())
    command = [sys.executable, "-m", "infini_gram.indexing", "--data_dir", str(folder), "--save_dir", str(folder)]
    command += ["--token_dtype", kind, "--mem", str(GIB), "--cpus", str(len(os.sched_getaffinity(0)))]
    begun = time.perf_counter()
    subprocess.run([*command, "--ulimit", "4096"], check=True, stdout=subprocess.DEVNULL)
    built = time.perf_counter() - begun
    from infini_gram.engine import InfiniGramEngine

    vocabulary = 255 if kind == "u8" else 65535
    engine = InfiniGramEngine([str(folder)], eos_token_id=given["eos"], vocab_size=vocabulary, token_dtype=kind)
    counts, times = [], []
    for query in given["asked"]:
        begun = time.process_time()
        counts.append(engine.count(query)["count"])
        times.append(time.process_time() - begun)
    size = sum((folder / name).stat().st_size for name in ("tokenized.0", "offset.0", "table.0"))
    p95 = statistics.quantiles(times, n=20)[-1]
    print(json.dumps({"counts": counts, "p95": p95, "build_seconds": built, "index_bytes": size}))


if __name__ == "__main__":
    main()
