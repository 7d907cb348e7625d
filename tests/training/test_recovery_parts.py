"""The parts of recovery, each against values worked out by hand."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from altiplano.recipe.schema import CheckpointConfig, GuardsConfig
from altiplano.records import CheckpointManifest, LedgerEvent, StepMetrics
from altiplano.training.accounting import ledger
from altiplano.training.accounting.goodput import against_formula, goodput, sessions
from altiplano.training.checkpoints.checkpoint import MANIFEST, is_trained
from altiplano.training.checkpoints.saving import prune
from altiplano.training.resilience.heartbeat import Heartbeat, Watchdog, attempt, stack_of, stalled
from altiplano.training.resilience.interruption import Interruption
from altiplano.training.resilience.rollback import RollBackSpikes
from altiplano.training.resilience.spikes import SpikeDetector
from altiplano.training.resilience.stragglers import SlowRanks
from altiplano.training.skips import Skips


def test_who_got_least_far_is_the_cause_of_a_hang(tmp_path: Path) -> None:
    for rank, (step, doing) in enumerate([(7, "compute"), (7, "data"), (8, "data")]):
        heartbeat = Heartbeat(tmp_path, rank, hang_seconds=10, init_seconds=100)
        heartbeat.step = step
        heartbeat.beat(doing)
    now = time.monotonic()  # nobody sets it, as they may time.time()
    assert stalled(tmp_path, now) == []
    found = stalled(tmp_path, now + 11)
    assert [rank.rank for rank in found] == [1, 0, 2]
    assert "rank 1 shows no progress (in data after step 7" in str(found[0])


def test_the_cause_may_have_been_heard_a_moment_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others wait for it: whose limit is over first is chance. One that is at work is nobody's cause."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    for rank, step, doing, at in [(0, 7, "compute", 0.0), (1, 7, "data", 0.5), (2, 6, "save", 9.0)]:
        now[0] = 1000 + at
        heartbeat = Heartbeat(tmp_path, rank, hang_seconds=10, init_seconds=100)
        heartbeat.step = step
        heartbeat.beat(doing)
    assert stalled(tmp_path, 1009.9) == []
    assert [rank.rank for rank in stalled(tmp_path, 1010.1)] == [1, 0]
    assert stalled(tmp_path, 1010.1, pids=()) == []


def test_the_cause_may_be_allowed_to_be_silent_for_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A save once took 50 s, so that the next may take 250: the one that waits for it is over its limit before."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    for rank, step in [(0, 6), (1, 7)]:
        heartbeat = Heartbeat(tmp_path, rank, hang_seconds=60, init_seconds=100)
        now[0] = 1000
        if rank == 0:
            heartbeat.beat("save")
        now[0] = 1050
        heartbeat.step = step
        heartbeat.beat("compute")
        if rank == 0:
            heartbeat.beat("save")
    assert stalled(tmp_path, 1109) == []
    assert [rank.rank for rank in stalled(tmp_path, 1111)] == [0, 1]


def test_the_note_of_a_rank_that_has_ended_is_no_hang(tmp_path: Path) -> None:
    for rank in range(2):
        pid = os.fork()
        if pid == 0:
            Heartbeat(tmp_path, rank, hang_seconds=10, init_seconds=100).beat("compute")
            os._exit(0)
        if Path("/proc").exists():  # tells one that nobody has waited for yet
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            assert stalled(tmp_path, time.monotonic() + 11) == []
        os.waitpid(pid, 0)
        assert stalled(tmp_path, time.monotonic() + 11) == []


STUCK = """
import sys, time
from contextlib import nullcontext
from pathlib import Path
from altiplano.training.resilience.heartbeat import Heartbeat, stack_shown_when_asked

def waits_for_nobody():
    Heartbeat(Path(sys.argv[1]), 3, 0.01, 0.01).beat("compute")
    time.sleep(60)

with stack_shown_when_asked(Path(sys.argv[1]), 3) if sys.argv[2] == "shows" else nullcontext():
    waits_for_nobody()
"""


@pytest.mark.parametrize("how", ["shows", "says nothing"])
def test_a_rank_that_hangs_says_where_and_lives_on(how: str, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", STUCK, str(tmp_path), how])
    try:
        while not (found := stalled(tmp_path, time.monotonic() + 1)):
            assert process.poll() is None
            time.sleep(0.05)
        stack = stack_of(tmp_path, found[0])
        assert ("waits_for_nobody" in stack) is (how == "shows")
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("device", "size"), [("cpu", 384), ("cuda", 4096)])
def test_the_probe_for_slow_ranks_is_work_and_not_its_launch(
    device: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, Any] = {}
    monkeypatch.setattr("torch.randn", lambda *shape, **how: made.update(how, shape=shape))
    ranks = SlowRanks(torch.device(device), 1.5)
    assert made["shape"] == (size, size)
    flops, launches = 2 * size**3 * ranks.products, ranks.products
    peak, launch = (989e12, 10e-6) if device == "cuda" else (0.1e12, 10e-6)
    assert flops / peak > 10 * launches * launch


def test_a_rank_may_take_several_times_what_it_took_until_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of hours, or an evaluation, is no hang where the ones before took as long; nor is a long start."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    heartbeat = Heartbeat(tmp_path, 0, hang_seconds=10, init_seconds=100)
    heartbeat.beat("init")
    assert stalled(tmp_path, now[0] + 99) == []
    assert [rank.doing for rank in stalled(tmp_path, now[0] + 101)] == ["init"]
    now[0] += 99
    for _ in range(3):  # three micro-batches of eight seconds
        heartbeat.beat("compute")
        now[0] += 8
    heartbeat.beat("validation")
    assert stalled(tmp_path, now[0] + 11)  # of this nothing is known yet, least of all how long starting took
    heartbeat.beat("compute")
    assert stalled(tmp_path, now[0] + 39) == []
    assert stalled(tmp_path, now[0] + 41)
    # torchrun started all again because a node came: the note is not of this rank any more, though nobody counted.
    this = attempt()
    assert stalled(tmp_path, now[0] + 41, this)
    monkeypatch.setenv("MASTER_PORT", "12345")
    assert stalled(tmp_path, now[0] + 41, attempt()) == []


_BEGUN = (("start", 0), ("resume", 0), ("step", 1), ("published", 1), ("fault", 0), ("start", 0))
LIFE = (*_BEGUN, ("resume", 1), ("step", 2), ("published", 2), ("step", 3), ("end", 3))


@given(st.lists(st.floats(-1e6, 1e6), min_size=len(LIFE), max_size=len(LIFE)))
def test_no_clock_keeps_a_run_from_its_record(times: list[float]) -> None:
    """Somebody may set it, or the ledger's first lines may be lost: it was the end of a training that could not end."""
    events = [
        LedgerEvent(event=kind, time=at, step=step, seconds={"init": 5.0, "compute": 1.0}, what="kill", written=1.0)
        for (kind, step), at in zip(LIFE, times, strict=True)
    ]
    found = against_formula(events)
    assert found is None or (0 <= found.expected <= 1 and math.isfinite(found.forward))
    assert sessions(events)


@pytest.mark.parametrize(("said", "goes_back"), [(2, True), (None, False)])
def test_a_checkpoint_says_how_many_spikes_it_ends_with(said: int | None, goes_back: bool) -> None:
    """The lines of metrics.jsonl that were not on the disk yet are lost with the power: here that of the second."""
    guards = GuardsConfig(spike_window=16, spike_zscore=8, spike_patience=3)
    past = [*((2.0 + 0.01 * (step % 5), 1.0, False) for step in range(16)), (9.0, 1.0, True)]
    job = SimpleNamespace(recipe=SimpleNamespace(guards=guards))
    run: Any = SimpleNamespace(job=job, trainer=SimpleNamespace(spikes=said), should_roll_back=False)
    writer: Any = SimpleNamespace(past=lambda steps: past)
    judged = RollBackSpikes(writer)
    judged.on_train_begin(run)
    third = StepMetrics(step=19, tokens=1, loss=9.0, gradient_norm=1.0, learning_rate=0.1, skipped=False)
    judged.on_step_end(run, third)
    assert third.spike and run.should_roll_back == goes_back


def test_spikes_are_far_above_the_median_and_not_remembered() -> None:
    detector = SpikeDetector(GuardsConfig(spike_window=16, spike_zscore=8, spike_patience=3))
    wiggle = [0.00, 0.03, -0.02, 0.05, -0.04, 0.01, 0.02, -0.03, 0.04, -0.01]
    assert not any(detector.judge(4 + w, 1.0 + w) for w in wiggle)
    assert not detector.judge(4.2, 1.0)  # 0.6745 · 0.2 / max(MAD, 1 % of 4) is 3.4
    assert detector.judge(5.0, 1.0)  # 16.9
    assert detector.judge(4.0, 30.0)  # of the gradient's logarithm
    assert detector.in_a_row == 2
    assert not detector.judge(3.0, 1.0)  # a loss that falls is no spike
    assert detector.in_a_row == 0
    past = [(4 + w, 1.0, False) for w in wiggle]
    assert SpikeDetector(GuardsConfig(spike_window=16, spike_zscore=8), [*past, (9.0, 1.0, True)]).in_a_row == 1


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=5), st.integers(1, 4))
def test_skipped_samples_are_never_taken_and_all_others_once(ranges: list[tuple[int, int]], size: int) -> None:
    skips = Skips()
    for start, length in ranges:
        skips.skip_samples((start, start + length))
    taken = [sample for step in range(60) for sample in skips.kept(range(step * size, (step + 1) * size))]
    left_out = {sample for start, stop in skips.samples for sample in range(start, stop)}
    assert taken == [sample for sample in range(taken[-1] + 1) if sample not in left_out]


def test_skips_survive_on_disk(tmp_path: Path) -> None:
    Skips({3, 1}, [(4, 8)]).write(tmp_path)
    assert Skips.read(tmp_path) == Skips({1, 3}, [(4, 8)])


def event(kind: str, time: float, **facts: Any) -> LedgerEvent:
    return LedgerEvent(event=kind, time=time, **facts)


def test_goodput_of_a_run_with_a_fault_a_rollback_and_a_pause() -> None:
    events = [
        event("start", 0.0, layout="dp1"),
        event("resume", 10.0, step=0, seconds={"init": 10.0}),
        event("step", 20.0, step=1, seconds={"data": 1.0, "compute": 9.0}),
        event("published", 29.0, step=1, written=8.0),  # beside training: books nothing
        event("step", 30.0, step=2, seconds={"compute": 10.0}),
        event("published", 33.0, step=2, written=2.0),
        event("fault", 35.0, what="SIGKILL"),  # five seconds of a third step
        event("start", 36.0, layout="dp1"),
        event("resume", 40.0, step=1, seconds={"init": 4.0}),  # the second step is lost
        event("step", 50.0, step=2, seconds={"compute": 9.0, "save": 1.0}),
        event("rollback", 53.0, step=1, seconds={"compute": 1.0, "init": 2.0}),  # and lost again
        event("step", 63.0, step=2, seconds={"compute": 10.0}),
        event("end", 64.0, step=2, seconds={"save": 1.0}),
        event("start", 1000.0, layout="dp2"),  # on another day
        event("resume", 1002.0, step=2, seconds={"init": 2.0}),
        event("end", 1003.0, step=2, seconds={"save": 1.0}),
    ]
    total = goodput(events)
    assert total.wall == total.booked == 67.0
    assert total.seconds == {
        "init": 12.0,
        "data": 1.0,
        "compute": 19.0,
        "save": 2.0,
        "validation": 0.0,
        "lost": 25.0,  # 10 and 5, then 10
        "restart": 8.0,  # 1 and 4, then 3
    }
    assert total.share == pytest.approx(19 / 67)
    assert total.forward == pytest.approx(20 / 55)
    past = sessions(events)
    assert [one.how for one in past] == ["SIGKILL", "ended", "ended"]
    assert [one.layout for one in past] == ["dp1", "dp1", "dp2"]


def test_the_goodput_formula_beside_a_run() -> None:
    """Ten seconds of work a step, saved every two steps: a second's stall, four until it counts; a fault in 127 s."""
    events = [
        event("start", 0.0, layout="dp1"),
        event("resume", 10.0, step=0, seconds={"init": 10.0}),
    ]
    now = 10.0
    for step in range(1, 11):
        seconds = {"compute": 10.0, "save": 1.0 if step % 2 == 0 else 0.0}
        now += sum(seconds.values())
        events.append(event("step", now, step=step, seconds=seconds))
        if step % 2 == 0:
            events.append(event("published", now + 4, step=step, written=4.0))
    assert against_formula(events) is None  # without a fault there is nothing to compare
    events += [
        event("fault", now + 5, what="SIGKILL"),
        event("start", now + 6, layout="dp1"),
        event("resume", now + 12, step=10, seconds={"init": 6.0}),
        event("step", now + 22, step=11, seconds={"compute": 10.0}),
    ]
    found = against_formula(events)
    assert found is not None
    assert found.failure_seconds == pytest.approx(127)
    assert found.interval_seconds == pytest.approx(20)
    assert (found.save_seconds, found.write_seconds, found.restart_seconds) == pytest.approx((1, 4, 7))
    assert found.forward == pytest.approx(110 / 127)
    assert found.expected == pytest.approx(20 / (127 * math.exp(11 / 127) * math.expm1(21 / 127)))
    # A rollback is no restart; all killed and started again is, from the last sign of life.
    rolled = against_formula([*events, event("rollback", now + 52, step=10, seconds={"init": 30.0})])
    assert rolled is not None
    assert (rolled.faults, rolled.restart_seconds) == (1, pytest.approx(7))
    again = against_formula(
        [
            *events,
            event("start", now + 122, layout="dp1"),
            event("resume", now + 127, step=10, seconds={"init": 5.0}),
        ]
    )
    assert again is not None
    assert (again.faults, again.restart_seconds) == (2, pytest.approx((7 + 105) / 2))


def test_both_tiers_of_checkpoints_are_kept(tmp_path: Path) -> None:
    for step in range(10, 110, 10):
        folder = tmp_path / f"step-{step:08d}"
        folder.mkdir()
        CheckpointManifest(step=step, tier="permanent" if step % 50 == 0 else "rolling").write(folder / MANIFEST)
    settings = CheckpointConfig(keep=2, keep_rolling=3)
    # Only what this session has verified permits to remove others.
    assert prune(tmp_path, tmp_path / "step-00000100", settings, {80, 100}) == {}
    assert sorted(int(path.name[5:]) for path in tmp_path.iterdir()) == [*range(10, 110, 10)]
    prune(tmp_path, tmp_path / "step-00000100", settings, {70, 80, 90, 50, 100})
    assert sorted(int(path.name[5:]) for path in tmp_path.iterdir()) == [50, 70, 80, 90, 100]


def test_a_checkpoint_whose_manifest_cannot_be_trusted_stays(tmp_path: Path) -> None:
    for step in range(10, 60, 10):
        folder = tmp_path / f"step-{step:08d}"
        folder.mkdir()
        CheckpointManifest(step=step, tier="permanent").write(folder / MANIFEST)
    manifest = tmp_path / "step-00000010" / "manifest.json"
    raw = bytearray(manifest.read_bytes())
    raw[raw.index(b"perm")] ^= 1
    manifest.write_bytes(raw)
    (tmp_path / "step-00000020" / "manifest.json").unlink()
    (tmp_path / "step-00000020" / "manifest.json").mkdir()  # cannot be read, by root either
    (tmp_path / "step-00000030 copy").mkdir()  # somebody else's, whatever it is
    skipped = prune(tmp_path, tmp_path / "step-00000050", CheckpointConfig(keep=1), {50})
    assert sorted(path.name for path in skipped) == ["step-00000010", "step-00000020"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("step-00000010", "step-00000020", "step-00000030 copy", "step-00000050")
    ]


def test_only_another_control_c_a_moment_later_stops_without_saving(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same one may come by several ways: from the terminal, the scheduler, the supervisor."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    interruption = Interruption()
    try:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
            assert interruption.asked
        now[0] += 2
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        interruption.restore()


def test_the_ledger_tells_which_checkpoint_should_be_there() -> None:
    published, rollback = event("published", 1.0, step=20), event("rollback", 2.0, step=10)
    assert ledger.newest_published([]) == 0
    assert ledger.newest_published([event("published", 0.0, step=10), published]) == 20
    assert ledger.newest_published([published, rollback]) == 10
    assert ledger.newest_published([published, event("resume", 2.0, step=0, seconds={})]) == 0


def test_every_ledger_line_is_json_but_one_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    ledger.note(file, "start")
    assert file.read_bytes().endswith(b"}\n")
    with file.open("a") as opened:
        opened.write('{"event": "st')  # killed in the middle of a line
    ledger.note(file, "resume", step=3)
    ledger.note(file, "end")
    assert [event.event for event in ledger.read(file)] == ["start", "resume", "end"]
    assert len(file.read_text().splitlines()) == 4


def test_restarts_count_only_as_long_as_nothing_is_published() -> None:
    def start(attempt: int) -> LedgerEvent:
        return LedgerEvent(event="start", time=0.0, attempt=attempt)

    published, step = LedgerEvent(event="published", time=0.0, step=3), LedgerEvent(event="step", time=0.0, step=4)
    assert ledger.restarts_without_progress([]) == 0
    assert ledger.restarts_without_progress([start(0), start(1), start(2)]) == 2
    assert ledger.restarts_without_progress([start(0), start(1), published, step, start(2)]) == 1
    assert ledger.restarts_without_progress([start(0), start(1), start(2), published]) == 0
    assert ledger.restarts_without_progress([start(0), start(1), start(0), start(1)]) == 1  # another command


def test_a_summary_that_cannot_be_read_is_not_taken_for_training_that_is_not_done(tmp_path: Path) -> None:
    assert not is_trained(tmp_path, 4)
    (tmp_path / "run.json").mkdir()  # what fails when it is read
    with pytest.raises(OSError):
        is_trained(tmp_path, 4)


def test_what_an_earlier_run_has_ended_delays_no_watchdog(tmp_path: Path) -> None:
    file = tmp_path / f"ending-{attempt()}"
    file.touch()
    os.utime(file, (time.time() - 60,) * 2)
    first, second = (Watchdog(tmp_path, tmp_path, 10.0) for _ in range(2))
    time.sleep(0.05)  # the kernel's clock of files goes in steps
    assert first._is_first_to_find() and not second._is_first_to_find()
