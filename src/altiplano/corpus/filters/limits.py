"""The limits that apply to each domain × language: general ones, or loosened to trusted text.

A limit found on English web pages calls good text of other languages and kinds bad. As FineWeb-2 does, limits are
taken from the distribution of trusted text: each is loosened until the share ``quality.trusted_share`` of the trusted
documents passes it, and never tightened, since the trusted text of a language may be of one kind only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.documents import Columns
from altiplano.recipe.quality import ProseLimits, QualityConfig
from altiplano.recipe.units import Section

MIN_TRUSTED = 30
"""Trusted documents below which a group's limits are not taken from them."""

WEB_ONLY = {
    "punctuated_lines", "short_lines", "lines_per_word", "sentences", "braces", "boilerplate", "lorem_ipsum",
}  # fmt: skip
"""C4's and FineWeb's rules, which were found on web pages."""

FIRM = {"english", "lorem_ipsum", "listed_words", "personal_data"}
"""Limits that trusted text does not loosen: what they count is unwanted everywhere."""


@dataclass(frozen=True)
class Limit:
    """``column`` may be at most (``largest``) or at least ``general``."""

    column: str
    largest: bool
    general: float

    @property
    def reason(self) -> str:
        return self.column.replace("_", " ")

    def broken(self, values: NDArray[Any], limits: Any) -> NDArray[np.bool_]:
        """Where a value is beyond its limit; NaN never is."""
        return values > limits if self.largest else values < limits

    def loosened(self, trusted: NDArray[Any], share: float) -> float:
        """The general limit, or where the share of the trusted values passes, whichever lets more pass."""
        values = trusted[~np.isnan(trusted)]
        if not len(values):
            return self.general
        if self.largest:
            return max(self.general, float(np.quantile(values, share, method="higher")))
        return min(self.general, float(np.quantile(values, 1 - share, method="lower")))


def limits_of(section: Section) -> Iterator[Limit]:
    """``max_symbols`` is the largest value of the column ``symbols``, and so on, in the recipe's order."""
    for name, value in section:
        side, _, column = name.partition("_")
        yield Limit(column, side == "max", float(value))


@dataclass(frozen=True)
class GroupLimits:
    """The limits of prose for a domain × language, the text they come from and how many documents that has."""

    domain: str
    language: str
    limits: dict[str, float]
    basis: str
    trusted: int


def group_limits(columns: Columns, quality: QualityConfig, trusted: NDArray[np.bool_]) -> list[GroupLimits]:
    """One per domain × language of the prose that there is. ``trusted`` marks documents."""
    domains, languages = columns["domain"].astype(str), columns["language"].astype(str)
    prose = domains != "code"
    groups = []
    for domain, language in sorted(set(zip(domains[prose].tolist(), languages[prose].tolist(), strict=True))):
        own = trusted & (languages == language)
        basis, members = f"{domain}.{language}", own & (domains == domain)
        if members.sum() < MIN_TRUSTED:
            basis, members = language, own
        if quality.thresholds == "fixed" or members.sum() < MIN_TRUSTED:
            basis, members = "general", np.zeros(len(own), bool)
        found = {
            limit.column: limit.general
            if limit.column in FIRM
            else round(limit.loosened(columns[limit.column][members], quality.trusted_share), 6)
            for limit in limits_of(quality.prose)
            if domain == "web" or limit.column not in WEB_ONLY
        }
        groups.append(GroupLimits(domain, language, found, basis, int(members.sum())))
    return groups


def limits_by_document(columns: Columns, groups: list[GroupLimits]) -> Callable[[str], NDArray[np.float64]]:
    """A function from a column to each document's limit for it; NaN where it does not apply, as to code."""
    names = np.array([f"{group.domain}.{group.language}" for group in groups] or [""])
    order = np.argsort(names)
    own = np.char.add(np.char.add(columns["domain"].astype(str), "."), columns["language"].astype(str))
    at = np.minimum(np.searchsorted(names, own, sorter=order), len(names) - 1)
    number = np.where(names[order][at] == own, order[at], len(groups))  # one more than there are: no group

    def limits(column: str) -> NDArray[np.float64]:
        return np.array([*(group.limits.get(column, np.nan) for group in groups), np.nan])[number]

    return limits


def apply(columns: Columns, groups: list[GroupLimits], section: ProseLimits) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """``(reason, where it applies)`` for each limit of prose, in the recipe's order."""
    limits = limits_by_document(columns, groups)
    for limit in limits_of(section):
        yield limit.reason, limit.broken(columns[limit.column], limits(limit.column))
