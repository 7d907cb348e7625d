"""Names of licences: the Hugging Face Hub's for the card, SPDX's for the bill of materials and the data card."""

import re
from pathlib import Path

NAMES = Path(__file__).parent
HUB = frozenset((NAMES / "hub_licences.txt").read_text(encoding="utf-8").split())
"""Identifiers that a card's metadata may have (hub documentation, repositories-licenses)."""
SPDX = {name.lower(): name for name in (NAMES / "spdx_licences.txt").read_text(encoding="utf-8").split()}
"""Identifiers of SPDX's list that are common for software and data, by their lower-case spelling."""
URL = "https://spdx.org/licenses/{}.html"


def hub_licence(name: str) -> str:
    """The Hugging Face Hub's identifier: a licence that it does not know is "other", and named beside it."""
    return name.lower() if not name or name.lower() in HUB else "other"


def spdx_licence(name: str) -> str:
    """The SPDX identifier as SPDX spells it; empty for what is not one (an expression, a licence of one's own)."""
    return SPDX.get(name.strip().lower(), "")


def is_spdx_expression(name: str) -> bool:
    """Whether ``name`` joins SPDX identifiers with AND, OR and parentheses, such as "MIT OR Apache-2.0"."""
    if name.count("(") != name.count(")"):
        return False
    parts = re.split(r"\b(?:AND|OR)\b", re.sub(r"[()]", " ", name))
    return all(spdx_licence(part) for part in parts)
