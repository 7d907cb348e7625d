"""Every stage on a real disk that is full when it has written a part of what it writes.

    python tests/faults/injection/full_disks.py [--only SCENARIO]

The disk is a tmpfs of a size, so this needs root. The command must say in its last line that the disk is full and what
to do, or go on without what it could not write and end with the undisturbed hashes; nothing sound may be gone; and when
there is room the same command must end with the undisturbed hashes. Prints a line for each stage; exits 1 if anything
failed.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from faults.injection.inject import Campaign, Child, Ended, hashes, lost
from faults.injection.scenarios import SCENARIOS, Scenario, prepare

SHARES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95)
"""Of the most that the stage has on the disk at a time, for which there is room."""
ROOM = "256m"


class Disk:
    def __init__(self, place: Path):
        self.place = place
        place.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", place], check=True)

    def resize(self, size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", self.place], check=True)

    def begin(self, base: Path) -> Path:
        """A workspace like ``base``, alone on the disk."""
        self.resize(ROOM)
        for old in self.place.iterdir():
            shutil.rmtree(old)
        return Path(shutil.copytree(base, self.place / "run", symlinks=True))

    def leave(self, room: int) -> None:
        self.resize(str(max(1, self.used() + room)))  # 0 is no limit

    def used(self) -> int:
        return shutil.disk_usage(self.place).used

    def remove(self) -> None:
        subprocess.run(["umount", self.place], check=True)


def awaited(child: Child) -> Ended:
    while (ended := child.ended()) is None:
        time.sleep(0.01)
    return ended


def undisturbed(scenario: Scenario, campaign: Campaign, disk: Disk) -> int:
    """The most bytes that the command has on the disk beside what was there; keeps the hashes that it ends with."""
    workspace = disk.begin(campaign.base)
    before = most = disk.used()
    child = Child(lambda: scenario.run(workspace), campaign.folder / "clean")
    while (ended := child.ended()) is None:
        most = max(most, disk.used())
        time.sleep(0.005)
    if ended.code:
        raise SystemExit(f"{scenario.name} undisturbed: exit code {ended.code}\n{ended.output}")
    campaign.wanted = hashes(workspace)
    return max(most, disk.used()) - before


def problem_of(scenario: Scenario, campaign: Campaign, disk: Disk, room: int) -> str:
    """What goes wrong with so many bytes left; empty: nothing."""
    workspace = disk.begin(campaign.base)
    disk.leave(room)
    first = awaited(Child(lambda: scenario.run(workspace), campaign.folder / "first"))
    last = (first.output.splitlines() or [""])[-1]
    if first.hangs or "Traceback" in first.output:
        return "hang" if first.hangs else f"traceback: {last}"
    if first.code and not (last.startswith("altiplano: ") and "the disk is full" in last):
        return f"exit code {first.code}: {last}"
    if gone := lost(campaign.base, workspace):
        return f"lost: {gone}"
    disk.resize(ROOM)
    again = awaited(Child(lambda: scenario.run(workspace), campaign.folder / "again"))
    if again.code:
        return f"the same command ends with {again.code} afterwards: {(again.output.splitlines() or [''])[-1]}"
    return "" if hashes(workspace) == campaign.wanted else "other hashes afterwards"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="a scenario by its name; it can be given again")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="full-disks-"))
    tried = Counter[str]()
    disk = Disk(folder / "disk")
    try:
        for scenario in SCENARIOS:
            if scenario.toy or (options.only and scenario.name not in options.only):
                continue
            prepare(scenario)
            campaign = Campaign(scenario, folder / scenario.name.replace(" ", "-"), None)
            campaign.begin()
            written = undisturbed(scenario, campaign, disk)
            problems = {share: problem_of(scenario, campaign, disk, int(share * written)) for share in SHARES}
            bad = {share: problem for share, problem in problems.items() if problem}
            print(f"{scenario.name}: writes {written:,} bytes; full {len(SHARES)} times; failed {len(bad)}", flush=True)
            for share, problem in bad.items():
                print(f"✗ {scenario.name} with room for {share:.0%}: {problem}", flush=True)
            tried.update({"tried": len(SHARES), "failed": len(bad)})
    finally:
        disk.remove()
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"passed": not tried["failed"], **tried}))
    return 1 if tried["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
