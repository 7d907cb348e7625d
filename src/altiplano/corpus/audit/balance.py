"""Where the bytes of each source went: into documents, left out, lost, or around the records."""

from collections import Counter
from typing import Any

PARTS = ("documents", "left_out", "lost")


def balances(counted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One per source, of the shards' counts, in their order."""
    sums: dict[str, Counter[str]] = {}
    framing: dict[str, Counter[str]] = {}
    for counts in counted:
        balance = counts.get("balance") or {}
        total = sums.setdefault(counts["source"], Counter())
        total.update({name: balance.get(name, 0) for name in ("unpacked", *PARTS)})
        framing.setdefault(counts["source"], Counter()).update(balance.get("framing", {}))
    return [
        {
            "source": source,
            **{name: total[name] for name in ("unpacked", *PARTS)},
            "framing": dict(sorted(framing[source].items())),
            "unaccounted": total["unpacked"] - sum(total[name] for name in PARTS) - framing[source].total(),
        }
        for source, total in sums.items()
    ]
