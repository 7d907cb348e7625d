"""How fast we curate beside datatrove 0.10: the same input, stage by stage, the two taking turns.

    python benchmarks/curation.py --corpus FOLDER                     every stage
    python benchmarks/curation.py --corpus FOLDER --stages extraction
    python benchmarks/curation.py --corpus FOLDER --rounds 5

datatrove lives in a virtual environment of its own that the first run installs under ``benchmarks/.cache``. Every way
of doing a stage runs once per round, each time in a new process that says how many seconds processors worked for it
(user + system) and how many passed; loading libraries and models is not counted. Ratios are of the same round, and
their median is compared with the demand. Ends with one JSON line; exit status 1 when a demand is missed.
"""

import argparse
import importlib
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from curation.peer import PACKAGES, interpreter

WORKER = Path(__file__).parent / "curation" / "worker.py"
THEIRS = "datatrove"


def stages() -> list[str]:
    """Every stage that has two sides, in the order of a corpus's way."""
    order = ("extraction", "filtering", "dedup", "tokens", "chain")
    return [name for name in order if (WORKER.parent / f"{name}_{THEIRS}.py").exists()]


def run(name: str, way: str, given: Path, output: Path) -> dict[str, float]:
    python = str(interpreter()) if way == THEIRS else sys.executable
    command = [python, str(WORKER), name, way, str(given), str(output)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{name}, {way}: exit status {result.returncode}\n{result.stderr[-4000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def measure(name: str, corpus: Path, rounds: int) -> dict[str, Any]:
    """All ways of one stage, in turns; seconds are medians over the rounds, ratios medians of ratios."""
    stage = importlib.import_module(f"curation.{name}")
    with tempfile.TemporaryDirectory(prefix="altiplano-") as temporary:
        folder = Path(temporary)
        given = stage.prepare(corpus, folder)
        seen: dict[str, list[dict[str, float]]] = {way: [] for way in (*stage.WAYS, THEIRS)}
        outputs = {way: folder / f"{way}.jsonl" for way in seen}
        for _ in range(rounds):
            for way, runs in seen.items():
                runs.append(run(name, way, given, outputs[way]))
        extras = stage.judge(outputs) if hasattr(stage, "judge") else {}

    def median(way: str, key: str) -> float:
        return statistics.median(once[key] for once in seen[way])

    def ratio(way: str, key: str) -> float:
        return statistics.median(b[key] / a[key] for a, b in zip(seen[way], seen[THEIRS], strict=True))

    ways = {
        way: {
            "mb": round(median(way, "size") / 1e6, 1),
            "cpu": round(median(way, "cpu"), 3),
            "wall": round(median(way, "wall"), 3),
            "ratio": round(ratio(way, "cpu"), 2),
            "wall_ratio": round(ratio(way, "wall"), 2),
            "demanded": demanded,
        }
        for way, demanded in stage.WAYS.items()
    }
    return {
        "title": stage.TITLE,
        "limit": stage.LIMIT,
        "ways": ways,
        "datatrove": {"cpu": round(median(THEIRS, "cpu"), 3), "wall": round(median(THEIRS, "wall"), 3)},
        "passed": all(way["ratio"] >= way["demanded"] for way in ways.values()) and extras.get("passed", True),
        **{key: value for key, value in extras.items() if key != "passed"},
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    head = ("stage", "MB", "ours, CPU s", "theirs", "ratio", "demanded", "wall ratio", "our MB/CPU s", "our limit")
    rows = [head]
    for result in results.values():
        for name, way in result["ways"].items():
            rows.append((
                f"{result['title']}, {name}" if len(result["ways"]) > 1 else result["title"],
                f"{way['mb']:,.1f}", f"{way['cpu']:.2f}", f"{result['datatrove']['cpu']:.2f}",
                f"{way['ratio']:.2f}", f"{way['demanded']:g}" if way["demanded"] else "-", f"{way['wall_ratio']:.2f}",
                f"{way['mb'] / way['cpu']:.1f}", result["limit"],
            ))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder with web/, academic/, reference/ and code/")
    parser.add_argument("--stages", default="all", help=f"some of {','.join(stages())}")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    chosen = stages() if arguments.stages == "all" else arguments.stages.split(",")
    if unknown := set(chosen) - set(stages()):
        parser.error(f"--stages: no stage {', '.join(sorted(unknown))}; there are {', '.join(stages())}")
    if not arguments.corpus.is_dir():
        parser.error(f"--corpus: no folder {arguments.corpus}")
    results = {name: measure(name, arguments.corpus, arguments.rounds) for name in chosen}
    print(table(results))
    for result in results.values():
        print(f"{result['title']}: {'met' if result['passed'] else 'MISSED'}", end="")
        print(
            "".join(f", {key} {value}" for key, value in result.items() if key.startswith("hybrid") or key == "pages")
        )
    machine = {"machine": platform.processor() or platform.machine(), "python": platform.python_version()}
    print(json.dumps({"benchmark": "curation", "peer": PACKAGES[0], "rounds": arguments.rounds, **machine, **results}))
    sys.exit(0 if all(result["passed"] for result in results.values()) else 1)


if __name__ == "__main__":
    main()
