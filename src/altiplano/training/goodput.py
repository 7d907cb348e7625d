"""Goodput: which share of a run's wall-clock went into training steps that were kept.

Booked time comes from ``ledger.jsonl``. Steps that were done again after a fault or a rollback are lost, with all that
was spent on them, as is the time from the last booked step until the fault was noticed. From there until training
goes on it is restart. Time between a clean stop and the next start belongs to nobody and is left out.
"""

from datetime import UTC, datetime
from typing import Any

from altiplano.training.ledger import COMPUTE, DATA, INIT, SAVE, VALIDATION

LOST, RESTART = "lost", "restart"
BUCKETS = (INIT, DATA, COMPUTE, SAVE, VALIDATION, LOST, RESTART)


def goodput(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds per bucket, their sum, the wall-clock from first to last event, and the share spent computing kept steps.

    The sum and the wall-clock are measured apart from one another: the first inside the ranks, the second between
    events.
    """
    spent = dict.fromkeys(BUCKETS, 0.0)
    kept: list[dict[str, Any]] = []
    stopped, last, repairing, clean = 0.0, None, False, True
    for event in events:
        at = event["time"]
        if last is None:
            last = at
        match event["event"]:
            case "start":
                if clean:
                    stopped += at - last
                else:  # after a fault was noticed, or after everything was killed and started again by hand
                    spent[RESTART] += at - last
                repairing, clean = not clean, False
            case "fault":
                spent[LOST] += at - last
            case "resume" | "rollback" | "step" | "end":
                seconds = dict(event["seconds"])
                if repairing:
                    spent[RESTART] += seconds.pop(INIT, 0.0)
                if event["event"] == "rollback":
                    # What the rollback itself took is repair, whatever it did.
                    spent[RESTART] += sum(seconds.values())
                    seconds = {}
                if event["event"] in ("resume", "rollback"):
                    spent[LOST] += sum(sum(line["seconds"].values()) for line in kept if line["step"] > event["step"])
                    kept = [line for line in kept if line["step"] <= event["step"]]
                kept.append({"step": event["step"], "seconds": seconds})
                clean = event["event"] == "end"
        last = at
    for line in kept:
        for bucket, seconds in line["seconds"].items():
            spent[bucket] += seconds
    wall = (events[-1]["time"] - events[0]["time"] - stopped) if events else 0.0
    return {
        "seconds": {bucket: round(value, 3) for bucket, value in spent.items()},
        "booked": round(sum(spent.values()), 3),
        "wall": round(wall, 3),
        "share": spent[COMPUTE] / wall if wall else None,
    }


def sessions(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every stretch between a start and its end or fault: times (ISO 8601), seconds, layout, first and last step."""
    found: list[dict[str, Any]] = []
    for event in events:
        when = datetime.fromtimestamp(event["time"], UTC).isoformat(timespec="seconds")
        if event["event"] == "start":
            begun = event["time"]
            found.append({"started": when, "layout": event["layout"], "seconds": 0.0, "how": "killed"})
        elif found:
            session = found[-1]
            session |= {"ended": when, "seconds": round(event["time"] - begun, 3)}
            if event["event"] == "resume":
                session["first_step"] = event["step"]
            if "step" in event:
                session["last_step"] = event["step"]
            if event["event"] in ("end", "fault"):
                session["how"] = event.get("what", "ended")
    return found
