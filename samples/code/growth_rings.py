"""Cross-dating: find the year at which a floating series of ring widths fits a dated one."""

from statistics import fmean, pstdev


def detrend(widths: list[float], window: int = 7) -> list[float]:
    """Each ring relative to the mean of its neighbours, so that a tree's ageing does not matter."""
    half = window // 2
    return [w / fmean(widths[max(0, i - half) : i + half + 1]) for i, w in enumerate(widths)]


def correlation(a: list[float], b: list[float]) -> float:
    mean_a, mean_b = fmean(a), fmean(b)
    covariance = fmean((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    return covariance / (pstdev(a) * pstdev(b))


def date_of(sample: list[float], master: list[float], first_year: int) -> tuple[int, float]:
    """The year of the sample's first ring, and the correlation there."""
    small, large = detrend(sample), detrend(master)
    offsets = range(len(large) - len(small) + 1)
    scores = [correlation(small, large[i : i + len(small)]) for i in offsets]
    best = max(offsets, key=scores.__getitem__)
    return first_year + best, scores[best]
