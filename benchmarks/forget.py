"""Forgetting a document of a run, again and again: bit-equal to training without it, and at the price that was named?

    altiplano run quickstart --set checkpoint.retain_steps=80
    python benchmarks/forget.py runs/quickstart --documents 20

Each of DOCUMENTS training documents, drawn by a fixed seed, is forgotten in a copy of the run, which costs a part of a
training, and left out of a training from step 0, which costs a whole one. Prints a table and one line of JSON; exits 1
when weights differ or a price is wrong by more than a tenth, in seconds beside those that the same steps took in the
training from step 0 on this machine a moment later: both feel what else runs.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from pyarrow import parquet

from altiplano.recipe.load import load_cluster
from altiplano.records import StepMetrics
from altiplano.stages.forget import find_documents, prepare, price
from altiplano.stages.run import run_until
from altiplano.storage import digest

PRICE = 0.1


def copy(run: Path, to: Path, names: tuple[str, ...]) -> Path:
    """Hard links: nothing that is published ever changes."""
    to.mkdir(parents=True)
    shutil.copyfile(run / "recipe.toml", to / "recipe.toml")
    for name in names:
        shutil.copytree(run / name, to / name, copy_function=os.link, symlinks=True)
    return to


def weights(run: Path) -> str:
    return digest(run / "train" / "weights" / "model.safetensors")


def seconds(run: Path, after: int) -> float:
    """Of the steps after ``after``."""
    lines = StepMetrics.read_lines(run / "train" / "metrics.jsonl")
    return sum(sum(one.spent.values()) for one in lines if one.step > after)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--documents", type=int, default=20)
    options = parser.parse_args()
    cluster = load_cluster("laptop")
    table = parquet.read_table(options.run / "curate" / "documents", columns=["id", "split"]).to_pylist()
    ids = random.Random(0).sample([row["id"] for row in table if row["split"] == "train"], options.documents)
    print(f"{'document':34} samples  read at  back to  steps   price  took  from step 0  equal", flush=True)
    rows = []
    for one in ids:
        with tempfile.TemporaryDirectory() as folder:
            run = copy(options.run, Path(folder) / "run", ("curate", "tokenize", "train"))
            found = price(run, find_documents(run, [one]), cluster)
            (main,) = found.trainings
            recipe = prepare(run, found, main, cluster)
            begun = time.monotonic()
            run_until("train", recipe, cluster, cluster.layout, run)
            took = time.monotonic() - begun
            fresh = copy(options.run, Path(folder) / "fresh", ("curate", "tokenize"))
            run_until("train", recipe, cluster, cluster.layout, fresh)
            rows.append(
                {
                    "document": one,
                    "samples": main.samples,
                    "first_step": main.first_step,
                    "checkpoint": main.checkpoint,
                    "steps": found.steps,
                    "price": round(found.seconds, 2),
                    "seconds": round(seconds(run, main.checkpoint), 2),
                    "same_steps_from_0": round(seconds(fresh, main.checkpoint), 2),
                    "with_start": round(took, 2),
                    "equal": weights(run) == weights(fresh),
                    "changed": weights(run) != weights(options.run),
                }
            )
        row = rows[-1]
        print(
            f"{one:34} {row['samples']:7}  {row['first_step']!s:>7}  {row['checkpoint']:7}  {row['steps']:5}  "
            f"{row['price']:6.1f}  {row['seconds']:4.1f}  {row['same_steps_from_0']:11.1f}  {row['equal']}",
            flush=True,
        )
    share = sum(row["seconds"] for row in rows) / max(1e-9, sum(row["same_steps_from_0"] for row in rows))
    equal = sum(row["equal"] for row in rows)
    priced = sum(row["seconds"] for row in rows) / max(1e-9, sum(row["price"] for row in rows))
    print(
        f"{equal} of {len(rows)} bit-equal; took {priced:.2f} × the price, {share:.2f} × the same steps of the other "
        "training"
    )
    print(json.dumps({"benchmark": "forget", "equal": equal, "of": len(rows), "price_ratio": priced, "rows": rows}))
    return int(equal < len(rows) or abs(share - 1) > PRICE)


if __name__ == "__main__":
    sys.exit(main())
