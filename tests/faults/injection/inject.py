"""``make fault-injection``: every call of a run on files and collectives fails once, in every way that it can.

    python tests/faults/injection/inject.py [--only SCENARIO] [--share 1/8] [--match TEXT] [--log FILE] [--keep FOLDER]

First each scenario runs undisturbed and its calls are recorded by class: calls are equal when the same operation comes
from the same lines of the package, the whole stack, on the same kind of path (and in as many ranks). Then for each
class that no scenario before had, and each fault, a child of this process, which has imported and computed all before,
runs the same command with the fault. It must end with the undisturbed hashes, or stop with one line; nothing sound may
be gone; and the same command without the fault must then end with the undisturbed hashes. Errors hit the first call of
a class, a torn write the middle one, death the last; EIO and ENOSPC come every time, and if they came more than once,
also once. Cases come in an order drawn at random, so that a part of them is an even sample; with ``--log`` each outcome
is appended to a file, and a later call goes on with those that are not in it. Prints what was tried and each failure;
exits 1 if there is any.
"""

import argparse
import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import altiplano
from faults.injection.recorded import FAULTS, STAGES, Class, Injector, Recorder, install
from faults.injection.shim import compile_shim, run_preloaded

WORKERS = 2
STAYS = ("EIO", "ENOSPC")
"""Faults that also come every time: a retry would hide them."""
SECONDS = 600.0


@dataclass(frozen=True)
class Ended:
    """How a forked command ended."""

    code: int
    output: str
    seconds: float

    @property
    def hangs(self) -> bool:
        return self.code == -signal.SIGALRM


class Child:
    """A forked process that runs ``work`` with its output in a file, in a process group of its own."""

    def __init__(self, work: Callable[[], int], output: Path):
        self.output, self.begun = output, time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            os.setpgid(0, 0)
            handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
            code = 99
            try:
                code = work()
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)

    def ended(self) -> Ended | None:
        """How it ended, if it did; one that takes too long is killed."""
        done, status = os.waitpid(self.pid, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if done else None
        seconds = time.monotonic() - self.begun
        if code is None and seconds < SECONDS:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # a killed command's ranks end by themselves, but not at once
        if code is None:
            os.waitpid(self.pid, 0)
            code = -signal.SIGALRM
        return Ended(code, self.output.read_text(errors="replace"), seconds)


def together(jobs: Iterator[Iterator[Child]], workers: int = WORKERS) -> None:
    """Each job is a generator of children, waits for each that it yields, and is sent how it ended."""
    running: list[tuple[Iterator[Child], Child]] = []
    more = True
    while more or running:
        while more and len(running) < workers:
            job = next(jobs, None)
            if job is None:
                more = False
            else:
                running.append((job, next(job)))
        for place in list(running):
            job, child = place
            if (ended := child.ended()) is not None:
                running.remove(place)
                with contextlib.suppress(StopIteration):
                    running.append((job, job.send(ended)))  # type: ignore[attr-defined]
        time.sleep(0.01)


def hashes(workspace: Path) -> dict[str, str]:
    """Hash of each published stage."""
    found = {stage: workspace / stage / "manifest.json" for stage in STAGES}
    return {stage: json.loads(file.read_text())["hash"] for stage, file in found.items() if file.exists()}


def checkpoints(workspace: Path) -> dict[int, Path]:
    """Sound checkpoints by step, also those of unfinished training, whatever they are called."""
    from altiplano.training.checkpoints import checkpoint

    places = [*workspace.glob(".work/train-*/checkpoints"), *workspace.glob("train/checkpoints")]
    found = [path for place in places for path in [*checkpoint.saved(place), *checkpoint.kept_aside(place)]]
    return {checkpoint.step_of(path): path for path in found if not checkpoint.check(path).problem}


def lost(before: Path, after: Path) -> str:
    """What was sound in ``before`` and has nothing sound in its place in ``after``."""
    there = hashes(after)
    if gone := [stage for stage in hashes(before) if stage not in there]:
        return f"{gone[0]} is gone"
    steps, now = checkpoints(before), checkpoints(after)
    if steps and max(now, default=0) < max(steps):
        return f"the sound checkpoint of step {max(steps)} is gone"
    return ""


def judge(ended: Ended, fault: str, workspace: Path, base: Path, wanted: dict[str, str]) -> str:
    """What is wrong with how a disturbed command ended; empty: nothing."""
    if ended.hangs:
        return "hang"
    if problem := lost(base, workspace):
        return f"lost: {problem}"
    if ended.code == 0:
        return "" if hashes(workspace) == wanted else "wrong result: other hashes and exit code 0"
    if fault in ("death", "torn and dead") and ended.code == -signal.SIGKILL:
        return ""
    if "Traceback" in ended.output or "Exception ignored" in ended.output or ended.code not in (1, 2, 70):
        return f"traceback (exit code {ended.code})"
    last = ended.output.splitlines()[-1:] or [""]
    return "" if last[0].startswith("altiplano: ") else f"no last line that says why (exit code {ended.code})"


class Campaign:
    """One scenario: recorded, then disturbed."""

    def __init__(self, scenario: Any, folder: Path, log: Path | None):
        self.scenario, self.folder, self.log = scenario, folder, log
        self.base = folder / "base"
        self.outcomes: list[dict[str, Any]] = []

    def begin(self) -> None:
        """Make what the command begins with, and let this process compute all that its forks would have to. Raises
        SystemExit when that fails."""
        from faults.injection.scenarios import run, warm

        self.base.mkdir(parents=True)
        for command in self.scenario.before:
            self.must_end(Child(lambda command=command: run(self.base, *command), self.folder / "before"))
        self.must_end(Child(self._modules, self.folder / "imported"))
        for module in (self.folder / "modules").read_text().split():  # so that no child has to
            if module not in sys.modules:
                with contextlib.suppress(Exception):
                    importlib.import_module(module)
        warm(self.scenario, self._copy("warm"))

    def record(self) -> Counter[Class]:
        """Calls of each class in an undisturbed run. Raises SystemExit when that fails."""
        clean, log = self._copy("clean"), self.folder / "calls"

        def recorded() -> int:
            install(Recorder(clean, log))
            return self.scenario.run(clean)

        self.must_end(Child(recorded, self.folder / "recorded"))
        self.wanted = hashes(clean)
        return Counter(Class(*line.split("\t")) for line in log.read_text().splitlines())

    def _copy(self, name: str) -> Path:
        return Path(shutil.copytree(self.base, self.folder / name / "run", symlinks=True))

    def _modules(self) -> int:
        code = self.scenario.run(self._copy("imports"))
        (self.folder / "modules").write_text("\n".join(sys.modules))
        return code

    def must_end(self, child: Child) -> None:
        while (ended := child.ended()) is None:
            time.sleep(0.01)
        if ended.code:
            raise SystemExit(f"{self.scenario.name} undisturbed: exit code {ended.code}\n{ended.output}")

    def disturb(self, where: Class, calls: int, fault: str, number: int) -> Iterator[Child]:
        """One fault in a class of so many calls."""
        at = {"death": calls, "torn and dead": (calls + 1) // 2}.get(fault, 1)
        for always in (True, False) if fault in STAYS else (False,):
            name = f"case-{number}{'-always' * always}"  # one that failed stays, and its folder with it
            injector = Injector(self._copy(name), where, fault, at, always=always)
            outcome = {"scenario": self.scenario.name, **asdict(where), "fault": fault, "always": always}
            yield from self._disturbed(injector, outcome)
            outcome["times"] = injector.counted[1]
            self.outcomes.append(outcome)
            if self.log is not None:
                with self.log.open("a") as file:
                    file.write(json.dumps(outcome) + "\n")
            if always and injector.counted[1] <= 1:
                break

    def _disturbed(self, injector: Injector, outcome: dict[str, Any]) -> Iterator[Child]:
        workspace, fault = injector.folder, injector.fault

        def disturbed() -> int:
            install(injector)
            return self.scenario.run(workspace)

        ended = yield Child(disturbed, workspace.parent / "first")
        problem = judge(ended, fault, workspace, self.base, self.wanted)  # type: ignore[arg-type]
        if not problem and ended.code:  # type: ignore[attr-defined]
            again = yield Child(lambda: self.scenario.run(workspace), workspace.parent / "again")
            if again.hangs:  # without a fault: if what it found on the disk is why, it hangs once more
                outcome["hung once"] = True
                again = yield Child(lambda: self.scenario.run(workspace), workspace.parent / "again")
            if again.hangs:  # type: ignore[attr-defined]
                problem = "hang of the command after it"
            elif again.code:  # type: ignore[attr-defined]
                problem = f"lost: the same command ends with {again.code} afterwards"  # type: ignore[attr-defined]
            elif hashes(workspace) != self.wanted:
                problem = "wrong result: other hashes afterwards"
        outcome["problem"] = problem
        if problem:
            when = "every time" if injector.always else f"in call {injector.at}"
            print(
                f"✗ {self.scenario.name}: {fault} {when} of {injector.wanted}: {problem}  [{workspace.parent}]",
                flush=True,
            )
        else:
            shutil.rmtree(workspace.parent)


def cases(found: Counter[Class], share: Fraction, match: str) -> list[tuple[Class, int, str]]:
    """Each class with how many calls it has, and each fault. An error that the package does not know by its name is
    to it what EIO is, and not tried."""
    source = "".join(file.read_text() for file in Path(altiplano.__file__).parent.rglob("*.py"))
    every = [
        (where, found[where], fault)
        for where in sorted(found)
        for fault in FAULTS[where.operation]
        if match in f"{fault} in {where}" and (fault != "ESTALE" or fault in source)
    ]
    random.Random(0).shuffle(every)
    return every[: int(len(every) * share)]


def whole(outcomes: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], set[tuple[str, ...]]]:
    """The outcomes of an earlier call, each once, of the cases that it finished, and these cases. A fault that came
    every time is to come once, too, if it came more than once: a case without that is tried again as a whole."""

    def case(one: dict[str, Any]) -> tuple[str, ...]:
        return one["stack"], one["operation"], one["kind"], one["fault"]

    done = {case(one) for one in outcomes if not one["always"] or one["times"] <= 1}
    return [*{(case(one), one["always"]): one for one in outcomes if case(one) in done}.values()], done


def table(found: Counter[Class], new: Counter[Class], outcomes: list[dict[str, Any]]) -> str:
    """What was recorded and tried, in a line."""
    faults = sorted(Counter(one["fault"] for one in outcomes).items())
    bad = Counter(one["problem"].partition(" ")[0].rstrip(":") for one in outcomes if one["problem"])
    return (
        f"{sum(found.values()):,} calls of {len(found):,} classes, {len(new):,} of them not tried before; "
        f"{len(outcomes):,} faults tried ({', '.join(f'{fault} {count}' for fault, count in faults)}), of which "
        f"{sum(not one['times'] for one in outcomes)} were not reached, "
        f"{sum(one['always'] and one['times'] == 1 for one in outcomes)} came once if they came every time, "
        f"{sum('hung once' in one for one in outcomes)} hung once without a fault and not again; lost {bad['lost']}, "
        f"hangs {bad['hang']}, wrong results {bad['wrong']}, unexplained {bad['traceback'] + bad['no']}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="a scenario by its name; it can be given again")
    parser.add_argument("--share", type=Fraction, default=Fraction(1), help="of all cases, evenly chosen")
    parser.add_argument("--match", default="", help="only cases whose description has this text")
    parser.add_argument("--log", type=Path, help="a JSON Lines file of outcomes to go on from")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave what failed")
    options = parser.parse_args()
    if "LD_PRELOAD" not in os.environ:
        folder = options.keep or Path(tempfile.mkdtemp(prefix="injection-", dir="/dev/shm"))
        folder.mkdir(parents=True, exist_ok=True)
        try:
            arguments = [__file__, *sys.argv[1:], *([] if options.keep else ["--keep", str(folder)])]
            return run_preloaded(compile_shim(folder), arguments)
        finally:
            if not options.keep:
                shutil.rmtree(folder, ignore_errors=True)
    from faults.injection.scenarios import SCENARIOS, prepare

    tried: list[dict[str, Any]] = []
    seen: set[Class] = set()
    before = [json.loads(line) for line in options.log.open()] if options.log and options.log.exists() else []
    names = [scenario.name for scenario in SCENARIOS]
    last = max(names.index(name) for name in options.only or names)
    for scenario in SCENARIOS[: last + 1]:  # those before say what is not new
        folder = options.keep / scenario.name.replace(" ", "-")
        shutil.rmtree(folder, ignore_errors=True)
        prepare(scenario)
        campaign = Campaign(scenario, folder, options.log)
        campaign.begin()
        found = campaign.record()
        new = found if scenario.apart else Counter({where: found[where] for where in found if where not in seen})
        seen |= found.keys()
        if options.only and scenario.name not in options.only:
            continue
        campaign.outcomes, done = whole([one for one in before if one["scenario"] == scenario.name])
        chosen = [
            case
            for case in cases(new, options.share, options.match)
            if (case[0].stack, case[0].operation, case[0].kind, case[2]) not in done
        ]
        together(campaign.disturb(*case, number) for number, case in enumerate(chosen))
        print(f"{scenario.name}: {table(found, new, campaign.outcomes)}", flush=True)
        tried += campaign.outcomes
    failed = Counter(one["problem"].partition(" ")[0].rstrip(":") for one in tried if one["problem"])
    print(json.dumps({"passed": not failed, "faults": len(tried), "failed": dict(failed)}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
