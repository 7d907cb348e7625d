"""Failures, checkpoints, and the share of time that is productive (expected training-time ratio, ETTR).

Failures come at a constant rate. A segment is ``interval`` seconds of work and a save that training waits for; a
failure costs what was done since the last save, and a restart, which may fail, too. The exact renewal formula is
Daly's (2006, section 3); a simulation of the same process checks it. A checkpoint that is written beside training
counts only when it is published. Between two publications a failure also costs the work done during the first's
writing: in the expectation of the renewal, writing adds to the restart, exactly.
"""

import math
import random
from dataclasses import dataclass

DAY = 86400.0


@dataclass(frozen=True)
class Reliability:
    """``failure_seconds``: mean time between failures of the whole job; a save that training waits for; a restart;
    writing beside training, at most as long as a segment, until a save counts."""

    failure_seconds: float
    save_seconds: float
    restart_seconds: float
    write_seconds: float = 0.0

    @property
    def repair_seconds(self) -> float:
        """What each failure costs whenever it comes."""
        return self.restart_seconds + self.write_seconds


def job_failure_seconds(devices: int, failures_per_device_day: float) -> float:
    """Mean time between failures of a job on so many devices; infinite without failures."""
    return DAY / (devices * failures_per_device_day) if failures_per_device_day > 0 else math.inf


def ettr(interval: float, reliability: Reliability) -> float:
    """Share of the wall-clock that is work which is kept, for a save every ``interval`` seconds of work.

    interval / (M e^((R + W)/M) (e^((interval + C)/M) - 1)), with M, C, R, W the mean time between failures, the save's,
    the restart's and the writing's seconds.
    """
    mean, save, restart = reliability.failure_seconds, reliability.save_seconds, reliability.repair_seconds
    if math.isinf(mean):
        return interval / (interval + save)
    exponent = (restart + interval + save) / mean
    if exponent > 700:
        return 0.0
    return interval / (mean * math.exp(restart / mean) * math.expm1((interval + save) / mean))


def best_interval(reliability: Reliability) -> float:
    """Seconds of work between saves that make ``ettr`` largest; infinite without failures, by ternary search."""
    if math.isinf(reliability.failure_seconds):
        return math.inf
    # The formula's maximum lies below the mean time between failures, on a logarithmic scale (it is unimodal there).
    low, high = math.log(1e-3), math.log(5 * reliability.failure_seconds)
    for _ in range(100):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if ettr(math.exp(left), reliability) < ettr(math.exp(right), reliability):
            low = left
        else:
            high = right
    return math.exp((low + high) / 2)


def young(reliability: Reliability) -> float:
    """Young's (1974) interval, the first order of the best one."""
    return math.sqrt(2 * reliability.save_seconds * reliability.failure_seconds)


def window_survives(interval: float, reliability: Reliability) -> float:
    """Probability that a segment ends without a failure."""
    return math.exp(-(interval + reliability.save_seconds) / reliability.failure_seconds)


def simulate(interval: float, reliability: Reliability, work: float, seed: int = 0) -> float:
    """ETTR of one simulated run of ``work`` seconds of training."""
    rng, mean = random.Random(seed), reliability.failure_seconds
    clock = done = kept = written = published_at = 0.0
    failure = rng.expovariate(1 / mean)
    while done < work:
        segment = min(interval, work - done)
        if clock + segment + reliability.save_seconds <= failure:
            clock += segment + reliability.save_seconds
            done += segment
            kept, written, published_at = written, done, clock + reliability.write_seconds
            continue
        done = kept = written = written if published_at <= failure else kept
        clock = failure
        failure = clock + rng.expovariate(1 / mean)
        while clock + reliability.restart_seconds > failure:
            clock = failure
            failure = clock + rng.expovariate(1 / mean)
        clock += reliability.restart_seconds
    return work / clock


@dataclass(frozen=True)
class Tier:
    """Checkpoints every ``interval`` seconds of work; a share ``covers`` of failures leaves them usable."""

    interval: float
    save_seconds: float
    restart_seconds: float
    covers: float = 1.0


def tiered_ettr(fast: Tier, slow: Tier, failure_seconds: float) -> float:
    """ETTR with frequent checkpoints in (a neighbour's) memory and rare ones in storage.

    Saves cost their share of time; a failure costs its restart and, on the average, half an interval of the tier that
    survives it. First order in interval / mean time between failures, which fast tiers keep small; a test compares it
    with ``simulate_tiers``.
    """
    saving = fast.save_seconds / fast.interval + slow.save_seconds / slow.interval
    if math.isinf(failure_seconds):
        return 1 / (1 + saving)

    def repair(tier: Tier) -> float:
        segment = tier.interval * (1 + saving)
        # Expected loss of a segment cut short, and restarts that fail again.
        lost = failure_seconds - segment / math.expm1(segment / failure_seconds) if segment > 0 else 0.0
        return lost + failure_seconds * math.expm1(tier.restart_seconds / failure_seconds)

    cost = fast.covers * repair(fast) + (1 - fast.covers) * repair(slow)
    return max(0.0, (1 - cost / (failure_seconds + cost))) / (1 + saving)


def simulate_tiers(fast: Tier, slow: Tier, failure_seconds: float, work: float, seed: int = 0) -> float:
    """The same by simulation: a failure that the fast tier does not survive goes back to the slow one's last save."""
    rng = random.Random(seed)
    clock = done = fast_saved = slow_saved = 0.0
    failure = rng.expovariate(1 / failure_seconds)
    while done < work:
        target = min(fast_saved + fast.interval, slow_saved + slow.interval, work)
        target = max(target, done)
        save = slow.save_seconds if target >= slow_saved + slow.interval else fast.save_seconds
        if clock + (target - done) + save <= failure:
            clock += target - done + save
            done = fast_saved = target
            if done >= slow_saved + slow.interval:
                slow_saved = done
            continue
        clock = failure
        survives = rng.random() < fast.covers
        tier = fast if survives else slow
        done = fast_saved = fast_saved if survives else slow_saved
        failure = clock + rng.expovariate(1 / failure_seconds)
        while clock + tier.restart_seconds > failure:
            clock = failure
            failure = clock + rng.expovariate(1 / failure_seconds)
        clock += tier.restart_seconds
    return work / clock
