"""What a GPU does with Altiplano, in at most ten minutes: the tests in ``tests/gpu``, then speed.

    python benchmarks/gpu.py                        where there is a CUDA GPU; elsewhere it says so and exits with 0
    python benchmarks/gpu.py --only train           the measurements whose name has this in it, without the tests
    python benchmarks/gpu.py --json FILE            where the results go (default: gpu.json)

Speed is that of whole optimizer steps on rows of 8,192 tokens, of a model of Llama 3.2 1B's shape and of as many layers
of Llama 3.1 8B's as fit, beside a plain loop around transformers' LlamaForCausalLM. MFU is model FLOPs
(``planning/model_size.py``: forward and backward, causal attention) over the datasheet's peak, and over the best matrix
product measured here. What did not run is in the table with its reason; exit status 1 when anything failed.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
SECONDS = 570
LIBRARIES = ("torch", "triton", "transformers", "numpy")


def training(shape: str, contender: str, words: str = "", **more: Any) -> dict[str, Any]:
    """``words``: compile, recompute and hcN, as in a layout. Four rows a step, one in each micro-batch."""
    return {"kind": "train", "shape": shape, "contender": contender, "words": words, "rows": 4, "seconds": 5, **more}


def generation(precision: str, rows: int) -> dict[str, Any]:
    return {"kind": "generate", "shape": "1B", "precision": precision, "rows": rows}


CASES: dict[str, dict[str, Any]] = {
    "peak": {"kind": "peak"},
    "train 1B: altiplano, compiled, documents": training("1B", "altiplano", ".compile", documents=True, profile=True),
    "train 1B: altiplano, compiled": training("1B", "altiplano", ".compile", profile=True),
    "train 8B slice: altiplano, compiled": training("8B slice", "altiplano", ".compile", profile=True),
    "train 8B slice: altiplano, compiled, float8": training(
        "8B slice", "altiplano", ".compile", profile=True, set=['precision.matmul="float8-rowwise"']
    ),
    "train 8B slice: transformers": training("8B slice", "transformers"),
    "train 1B: altiplano": training("1B", "altiplano"),
    "train 1B: transformers, compiled": training("1B", "transformers", ".compile"),
    "train 1B: transformers": training("1B", "transformers"),
    "generate 1B: bfloat16, 1 row": generation("bfloat16", 1),
    "generate 1B: bfloat16, 64 rows": generation("bfloat16", 64),
    "train 8B slice: altiplano": training("8B slice", "altiplano"),
    "train 8B slice: transformers, compiled": training("8B slice", "transformers", ".compile"),
    "train 8B slice: altiplano, compiled, head in pieces": training("8B slice", "altiplano", ".compile.hc8"),
    "train 8B slice: altiplano, compiled, recompute-selective": training(
        "8B slice", "altiplano", ".compile.recompute-selective"
    ),
    "train 8B slice: altiplano, compiled, recompute-full": training("8B slice", "altiplano", ".compile.recompute-full"),
    "generate 1B: float32, 1 row": generation("float32", 1),
}


def run_tests(seconds: float) -> dict[str, Any]:
    begun = time.monotonic()
    options = "tests/gpu -q -rA --show-capture=stdout --durations=15 -p no:cacheprovider"
    command = [sys.executable, "-m", "pytest", *options.split()]
    if find_spec("xdist"):
        command += ["-n", "8", "--dist", "loadgroup"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
        output, code = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired as late:
        output, code = _text(late.stdout) + _text(late.stderr), -1
    closing = [line for line in output.splitlines() if re.search(r"\d+ (passed|failed|error|skipped)", line)]
    waits = re.findall(r"waits for the device: (.*)", output)
    return {
        "exit_status": code,
        "summary": closing[-1].strip("= ") if closing else "no result within the time",
        "failed": re.findall(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE),
        "waits_in_a_step": waits[0] if waits else "",
        "seconds": round(time.monotonic() - begun, 1),
        **({"output": output[-20_000:]} if code else {}),
    }


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def measure(case: dict[str, Any], seconds: float) -> dict[str, Any]:
    if seconds < 20:
        return {"skipped": "no time left: --only names it, --seconds gives more"}
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("gpu_cases.py")), json.dumps(case)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return {"skipped": f"not done within the last {seconds:.0f} s: --only names it, --seconds gives more"}
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return {"error": said[-1][:300], "output": done.stderr[-3000:]}
    return json.loads(done.stdout.splitlines()[-1])


def row(name: str, found: dict[str, Any], datasheet: float, measured: float) -> str:
    for reason in ("error", "skipped"):
        if reason in found:
            return f"{name:54} {reason}: {found[reason][:100]}"
    if "step_seconds" not in found:
        rates = {key: value for key, value in found.items() if key.endswith("per_second") or key.endswith("flops")}
        return f"{name:54} " + "  ".join(f"{key} {value:,.4g}" for key, value in rates.items())
    flops = found["model_flops_per_second"]
    shares = "  ".join(f"{flops / peak:6.1%}" if peak else "     –" for peak in (datasheet, measured))
    return (
        f"{name:54} {found['step_seconds'] * 1e3:9,.1f} ms {found['tokens_per_second']:9,.0f} tokens/s  {shares}"
        f"  {found['memory_bytes'] / 2**30:6.1f} GiB  start {found['start_seconds']:.0f} s"
    )


def _is_meant(name: str, word: str) -> bool:
    """A whole name means that measurement alone, though others' names begin with it."""
    return name == word if word in CASES else word in name


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("gpu.json"), metavar="FILE")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="measurements so called or with it in their name"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"for all of it (default: {SECONDS})")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"no CUDA GPU: torch {torch.__version__} sees none here; nothing was run")
        return 0
    end = time.monotonic() + options.seconds
    record: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": torch.cuda.get_device_name(),
        "memory_gib": round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1),
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES if find_spec(library)},
        "cases": {},
    }

    def write() -> None:
        options.json.write_text(json.dumps(record, indent=1) + "\n")

    print(", ".join(f"{key} {record[key]}" for key in record if key not in ("date", "cases")), flush=True)
    if not options.only:
        record["tests"] = run_tests(end - time.monotonic())
        print(f"tests/gpu: {record['tests']['summary']}", *record["tests"]["failed"], sep="\n  ", flush=True)
        print(f"waits for the device in a step: {record['tests']['waits_in_a_step']}", flush=True)
        write()
    datasheet = measured = 0.0
    print(f"{'':54} {'step':>12} {'':>18}  {'MFU':>6}  {'of it':>6}  (of the datasheet, of what was measured)")
    for name, case in CASES.items():
        if not options.only or name == "peak" or any(_is_meant(name, word) for word in options.only):
            found = record["cases"][name] = measure(case, end - time.monotonic())
            datasheet = found.get("datasheet_bf16_flops", datasheet)
            measured = found.get("measured_bf16_flops", measured)
            print(row(name, found, datasheet, measured), flush=True)
            write()
    failed = [name for name, found in record["cases"].items() if "error" in found]
    return 1 if failed or record.get("tests", {}).get("exit_status") else 0


if __name__ == "__main__":
    sys.exit(main())
